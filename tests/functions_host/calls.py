"""What the host tells a queue function beside the message, in the kinds of value that it sends."""

import json
from collections.abc import Mapping

from local.backend import QueueCall


def queue_metadata(call: QueueCall) -> Mapping[str, Mapping[str, str]]:
    """Give each value's name, kind and text.

    >>> queue_metadata(QueueCall("a message", id="7"))
    {'Id': {'string': '7'}, 'PopReceipt': {'string': ''}, 'DequeueCount': {'json': '1'}}
    """
    moments = {"InsertionTime": call.inserted, "ExpirationTime": call.expires, "NextVisibleTime": call.next_visible}
    return {name: {"json": json.dumps(moment.isoformat())} for name, moment in moments.items() if moment} | {
        "Id": {"string": call.id},
        "PopReceipt": {"string": call.receipt},
        "DequeueCount": {"json": str(call.dequeue_count)},
    }
