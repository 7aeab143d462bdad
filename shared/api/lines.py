"""Bodies of batches: JSON, an object on each line."""

from typing import Final

import orjson

from shared.api.wire import BYTE_ORDER_MARK, compressed, not_json
from shared.domain.errors import InvalidRequestError, RequestError

MAX_LINES: Final = 1_000
_RIGHT: Final = "send each JSON object on a line of its own, with no brackets and commas around them"


def lines_of(body: bytes) -> list[tuple[int, bytes]]:
    r"""Give the lines that hold anything, each with its number, from 1, and without the mark that each of several joined files begins with.

    Raises `InvalidRequestError` for a body without a line, with too many, or that is an array.

    >>> lines_of(b'{"a": 1}\n\n{"a": 2}')
    [(1, b'{"a": 1}'), (3, b'{"a": 2}')]
    """
    split = enumerate(body.split(b"\n"), start=1)
    lines = [(number, line.removeprefix(BYTE_ORDER_MARK)) for number, line in split if line.removeprefix(BYTE_ORDER_MARK).strip()]
    if not lines:
        raise InvalidRequestError("the body has no line")
    if lines[0][1].lstrip().startswith(b"["):
        raise InvalidRequestError(f"the body is a JSON array: {_RIGHT}")
    if len(lines) > MAX_LINES:
        raise InvalidRequestError(f"the body has {len(lines)} lines; at most {MAX_LINES} are read at a time")
    return lines


def no_line(number: int, line: bytes, cause: orjson.JSONDecodeError, body: bytes) -> RequestError:
    """Give the error of a line that is not JSON; where the fault is that of the whole body, it says so."""
    if (error := compressed(body)) is not None:
        return error
    if _is_one_object(body):
        return InvalidRequestError(f"the body is one JSON object on several lines: {_RIGHT}")
    return InvalidRequestError(f"line {number}: not valid JSON: {not_json(line, cause, is_line=True)}", target=f"line {number}")


def _is_one_object(body: bytes) -> bool:
    try:
        return isinstance(orjson.loads(body.removeprefix(BYTE_ORDER_MARK)), dict)
    except orjson.JSONDecodeError:
        return False
