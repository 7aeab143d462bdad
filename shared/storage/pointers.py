"""The pointer as JSON text."""

import orjson
from pydantic import TypeAdapter, ValidationError

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.ledger import Pointer

FORMAT = 2
"""The first format knew no deletion of log or model, no resets, and nothing of where a line of models begins."""

_POINTER = TypeAdapter(Pointer)


def write_pointer(pointer: Pointer) -> bytes:
    """Write a pointer; equal pointers give equal bytes."""
    return orjson.dumps({"format": FORMAT, **_POINTER.dump_python(pointer)}, default=_plain, option=orjson.OPT_SORT_KEYS)


def read_pointer(text: bytes) -> Pointer:
    """Inverse of `write_pointer`; raises `NewerFormatError` or `UnreadableError`."""
    try:
        document = orjson.loads(text)
        found = int(document.pop("format"))
        if found > FORMAT:
            raise NewerFormatError("the model pointer", found=found, known=FORMAT)
        if found == 1:
            document["learned"] = document["counters"]["learned"]
        return _POINTER.validate_python(document)
    except (orjson.JSONDecodeError, ValidationError, LookupError, AttributeError, TypeError, ValueError) as cause:
        raise UnreadableError(f"the model pointer cannot be read: {cause}") from cause


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError
