"""What storage says of a table, a container or a queue that was deleted and is not gone yet: for half a minute, or longer."""

from typing import Final

from azure.core.exceptions import HttpResponseError

_CONFLICT: Final = 409
_CODES: Final = frozenset({"TableBeingDeleted", "ContainerBeingDeleted", "QueueBeingDeleted"})


def is_being_deleted(answer: HttpResponseError) -> bool:
    """Whether it is on its way out: there is nothing in it any more, and nothing of its name can be made yet.

    The SDK takes two of the three for "it is there already", which they are not: what was to be made is not there, and has to be
    tried again later.
    """
    return answer.status_code == _CONFLICT and getattr(answer, "error_code", None) in _CODES
