"""Bodies that were sent to the wrong one of two paths: one is for a single slot, the other for several."""

import orjson


def holds_list(body: bytes, member: str) -> bool:
    """Whether a body is an object with a list under this name.

    >>> holds_list(b'{"slots": [{"id": "top"}]}', "slots"), holds_list(b'{"actions": [{"id": "slots"}]}', "slots")
    (True, False)
    """
    return isinstance(_member(body, member), list)


def holds_number(body: bytes, member: str) -> bool:
    """Whether a body is an object with a number under this name."""
    found = _member(body, member)
    return isinstance(found, (int, float)) and not isinstance(found, bool)


def _member(body: bytes, name: str) -> object:
    if f'"{name}"'.encode() not in body:  # nearly every body, and much quicker than to read it
        return None
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found.get(name) if isinstance(found, dict) else None
