"""Tables of FlatBuffers in bytes that nobody has checked: whatever they hold, reading ends with a value or `UnreadableError`."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from flatbuffers import encode, packer
from numpy.typing import NDArray

from shared.domain.errors import UnreadableError

_FIRST_FIELD: Final = 4
"""Where a table's list of its fields, of 2 bytes each, names the first one."""

_LENGTH: Final = 4
"""Bytes that tell a vector's or a string's length, and stand before it."""

_MOST_FIELDS: Final = 8
"""Of any table that is read here: more of them, of a later schema, have no meaning to us."""

_NAMES: Final = tuple(struct.Struct(f"<{count}H") for count in range(_MOST_FIELDS + 1))


@contextmanager
def damage_told(what: str) -> Iterator[None]:
    """Raise `UnreadableError` where offsets lead out of the bytes."""
    try:
        yield
    except (struct.error, TypeError, ValueError, OverflowError) as cause:
        raise UnreadableError(f"{what} is damaged: it is not a FlatBuffers message, or it was cut off") from cause


class Table:
    """One table; fields are numbered from 0 in the order of the schema. A field that is not there has its default.

    Methods raise what `damage_told` translates.
    """

    __slots__ = ("_at", "_data", "_fields")

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        named = at - encode.Get(packer.soffset, data, at)
        if named < 0:
            raise ValueError("the list of fields lies before the bytes")
        count = (encode.Get(packer.voffset, data, named) - _FIRST_FIELD) // 2
        self._fields = _NAMES[max(0, min(count, _MOST_FIELDS))].unpack_from(data, named + _FIRST_FIELD)

    @staticmethod
    def root(data: bytes) -> "Table":
        """Give the table that the bytes begin with."""
        return Table(data, _referred(data, 0))

    def has(self, field: int) -> bool:
        """Whether the field was written."""
        return self._place(field) > 0

    def byte(self, field: int) -> int:
        """Give a boolean or an enumeration's number, 0 by default."""
        return int(self._scalar(field, packer.uint8))

    def integer(self, field: int) -> int:
        """Give a number of 32 bits, 0 by default."""
        return int(self._scalar(field, packer.int32))

    def real(self, field: int) -> float:
        """Give a number of single precision, as the shortest decimal that stands for it; 0 by default."""
        return shortest(self._scalar(field, packer.float32))

    def members(self, field: int, layout: struct.Struct) -> tuple[int, ...] | None:
        """Give a struct's members; None if it is not there."""
        at = self._place(field)
        return layout.unpack_from(self._data, at) if at else None

    def text(self, field: int) -> str:
        """Give a string, empty by default."""
        return self.content(field).decode()

    def content(self, field: int) -> bytes:
        """Give a string's bytes, or a vector of bytes; none by default."""
        at = self._place(field)
        return _bytes(self._data, _referred(self._data, at)) if at else b""

    def array(self, field: int, kind: np.dtype[Any]) -> NDArray[Any]:
        """Give a vector of numbers; none by default."""
        at = self._place(field)
        if not at:
            return np.empty(0, kind)
        start = _referred(self._data, at)
        return np.frombuffer(self._data, kind, encode.Get(packer.uoffset, self._data, start), start + _LENGTH).copy()

    def table(self, field: int) -> "Table | None":
        """Give the table that a field refers to, that of a union as well."""
        at = self._place(field)
        return Table(self._data, _referred(self._data, at)) if at else None

    def tables(self, field: int) -> Iterator["Table"]:
        """Give the tables of a vector."""
        for at in self._references(field):
            yield Table(self._data, _referred(self._data, at))

    def texts(self, field: int) -> Iterator[bytes]:
        """Give the strings of a vector, as bytes."""
        for at in self._references(field):
            yield _bytes(self._data, _referred(self._data, at))

    def _references(self, field: int) -> range:
        at = self._place(field)
        if not at:
            return range(0)
        start = _referred(self._data, at)
        first = start + _LENGTH
        return range(first, first + 4 * encode.Get(packer.uoffset, self._data, start), 4)

    def _scalar(self, field: int, kind: struct.Struct) -> Any:
        at = self._place(field)
        return encode.Get(kind, self._data, at) if at else 0

    def _place(self, field: int) -> int:
        """Tell where a field lies; 0 if it was not written."""
        fields = self._fields
        return self._at + fields[field] if field < len(fields) and fields[field] else 0


def _referred(data: bytes, at: int) -> int:
    return at + int(encode.Get(packer.uoffset, data, at))


def _bytes(data: bytes, at: int) -> bytes:
    first = at + _LENGTH
    last = first + encode.Get(packer.uoffset, data, at)
    if last > len(data):
        raise ValueError("the bytes end before")
    return data[first:last]


def shortest(number: float) -> float:
    """Give the number that the shortest decimal of a number of single precision stands for.

    >>> shortest(0.10000000149011612)
    0.1
    """
    return float(str(np.float32(number)))
