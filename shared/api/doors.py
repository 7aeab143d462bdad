"""Bodies that were sent to the wrong one of two paths: one is for a single slot, the other for several.

They are read as leniently here as where they belong.
"""

import orjson

from shared.api.lenient import is_list_with_gaps, is_number
from shared.api.wire import BYTE_ORDER_MARK


def holds_list(body: bytes, member: str) -> bool:
    """Whether a body is an object with a list under this name, in any case.

    >>> holds_list(b'{"Slots": [{"id": "top"}]}', "slots"), holds_list(b'{"actions": [{"id": "slots"}]}', "slots")
    (True, False)
    """
    found = _member(body, member)
    return isinstance(found, list) or is_list_with_gaps(found)


def holds_number(body: bytes, member: str) -> bool:
    """Whether a body is an object with a number, or the text of one, under this name, in any case."""
    return is_number(_member(body, member))


def _member(body: bytes, name: str) -> object:
    if f'"{name}"'.encode() not in body.lower():  # nearly every body, and much quicker than to read it
        return None
    try:
        found = orjson.loads(body.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict):
        return None
    return found[name] if name in found else {each.lower(): value for each, value in found.items()}.get(name)
