"""How much memory what was learned takes."""

from dataclasses import fields, is_dataclass
from typing import Any, Final

import numpy as np

_ENTRY: Final = 100
"""Bytes of an entry of a dictionary with its key, or a little more."""

_NUMBER: Final = 32
"""Bytes of a number in a list, with its place there."""


def bytes_in(*things: object) -> int:
    """Give about how many bytes the arrays, dictionaries and lists within these take; what is shared among them counts once.

    >>> bytes_in(np.zeros(1000)), bytes_in({1: np.zeros(1000)}, [0.5] * 10)
    (8000, 8420)
    """
    counted: set[int] = set()
    size = 0
    ahead = list(things)
    while ahead:
        each = ahead.pop()
        if isinstance(each, np.ndarray):
            each = _owner(each)
        if id(each) in counted:
            continue
        counted.add(id(each))
        if isinstance(each, np.ndarray):
            size += each.nbytes
        elif isinstance(each, dict):
            size += _ENTRY * len(each)
            ahead += each.values()
        elif isinstance(each, (list, tuple)):
            size += _NUMBER * len(each)
            ahead += [item for item in each if not isinstance(item, (int, float, str, bytes))]
        else:
            ahead += _members(each)
    return size


def _owner(array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Give the array whose memory this one is a view of, itself if it is none."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _members(thing: object) -> list[object]:
    if is_dataclass(thing):
        return [getattr(thing, each.name) for each in fields(thing)]
    return [*vars(thing).values()] if hasattr(thing, "__dict__") and not isinstance(thing, type) else []
