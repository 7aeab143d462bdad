"""What is about to be stored is checked by the same function that will check it when it is read.

A file that cannot be read back is worse than none: what was there before is gone. So nothing is written that would not be read as it was
meant, and what is there stays. That would be a fault of this program, so it is logged; whoever comes next tries again.
"""

import json
import logging
from collections.abc import Callable
from typing import TypeVar

from shared.domain.errors import NotWrittenError, UnreadableError

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


def readable(text: bytes, read: Callable[[bytes], Value], *, name: str) -> Value:
    """Give what is read of a text that is about to be stored under this name; raises `NotWrittenError`."""
    try:
        return read(text)
    except UnreadableError as cause:
        raise _not_written(name, str(cause)) from cause


def checked(text: bytes, *, read: Callable[[bytes], Value], write: Callable[[Value], bytes], name: str) -> bytes:
    """Give the JSON text if what is read of it is written as the same; raises `NotWrittenError`. 1 and 1.0 are the same number.

    >>> checked(b"7", read=float, write=lambda number: b"%f" % number, name="a number")
    b'7'
    """
    again = write(readable(text, read, name=name))
    if again != text and json.loads(again) != json.loads(text):
        raise _not_written(name, "it would be read as something else")
    return text


def _not_written(name: str, reason: str) -> NotWrittenError:
    logger.error("a file is not written, because it could not be read again: %s", reason, extra={"file": name})
    return NotWrittenError(f"{name} is not written, because it could not be read again: {reason}")
