"""The pointer as JSON text."""

import orjson
from pydantic import TypeAdapter, ValidationError

from shared.domain.clock import from_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.identity import report_id, report_tag
from shared.domain.ledger import Pointer

FORMAT = 4
"""The first format knew no deletion of log or model, no resets, and nothing of where a line of models begins.

The second named unknown rewards by segment and place instead of by `shared.domain.ledger.Report.id`, and remembered no late ones.

The third had all that a trainer remembers in the pointer itself, each segment by its name.
"""

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
        if found < 3 and "lookback" in document:
            document["lookback"]["unknown"] = [_report(name) for name in document["lookback"]["unknown"]]
        if found < 4 and "lookback" in document:
            document["lookback"] |= {log: {"names": document["lookback"][log]} for log in ("decisions", "observations")}
        return _POINTER.validate_python(document)
    except (orjson.JSONDecodeError, ValidationError, LookupError, AttributeError, TypeError, ValueError, OverflowError) as cause:
        raise UnreadableError(f"the model pointer cannot be read: {cause}") from cause


def _report(name: str) -> str:
    """Give the id of a reward that was named by its segment and its place in it: a segment's name begins with the time of its sealing."""
    segment, _, index = name.rpartition("#")
    return report_id(from_micros(int(segment.partition("-")[0])), report_tag(segment, int(index)))


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError
