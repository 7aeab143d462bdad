"""Tables of FlatBuffers in bytes that nobody has checked: whatever they hold, reading ends with a value or `UnreadableError`."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import flatbuffers.table
import numpy as np
from flatbuffers import number_types as numbers
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
        raise UnreadableError(f"{what} is damaged: it is no FlatBuffers message, or it was cut") from cause


class Table:
    """One table; fields are numbered from 0 in the order of the schema. A field that is not there has its default.

    Methods raise what `damage_told` translates.
    """

    __slots__ = ("_fields", "_table")

    def __init__(self, data: bytes, at: int) -> None:
        self._table: Any = flatbuffers.table.Table(data, at)
        named = at - self._table.Get(numbers.SOffsetTFlags, at)
        count = (self._table.Get(numbers.VOffsetTFlags, named) - _FIRST_FIELD) // 2
        self._fields = _NAMES[max(0, min(count, _MOST_FIELDS))].unpack_from(data, named + _FIRST_FIELD)

    @staticmethod
    def root(data: bytes) -> "Table":
        """Give the table that the bytes begin with."""
        return Table(data, int.from_bytes(data[:4], "little") if len(data) > _FIRST_FIELD else len(data))

    def has(self, field: int) -> bool:
        """Whether the field was written."""
        return bool(self._offset(field))

    def byte(self, field: int) -> int:
        """Give a boolean or an enumeration's number, 0 by default."""
        return int(self._scalar(field, numbers.Uint8Flags))

    def integer(self, field: int) -> int:
        """Give a number of 32 bits, 0 by default."""
        return int(self._scalar(field, numbers.Int32Flags))

    def real(self, field: int) -> float:
        """Give a number of single precision, as the shortest decimal that stands for it; 0 by default."""
        return shortest(self._scalar(field, numbers.Float32Flags))

    def struct(self, field: int, layout: struct.Struct) -> tuple[int, ...] | None:
        """Give a struct's members; None if it is not there."""
        at = self._offset(field)
        return layout.unpack_from(self._table.Bytes, self._table.Pos + at) if at else None

    def text(self, field: int) -> str:
        """Give a string, empty by default."""
        return self.content(field).decode()

    def content(self, field: int) -> bytes:
        """Give a string's bytes, or a vector of bytes; none by default."""
        at = self._offset(field)
        return self._bytes(self._table.Vector(at), self._table.VectorLen(at)) if at else b""

    def array(self, field: int, kind: np.dtype[Any]) -> NDArray[Any]:
        """Give a vector of numbers; none by default."""
        at = self._offset(field)
        if not at:
            return np.empty(0, kind)
        return np.frombuffer(self._table.Bytes, kind, self._table.VectorLen(at), self._table.Vector(at)).copy()

    def table(self, field: int) -> "Table | None":
        """Give the table that a field refers to, that of a union as well."""
        at = self._offset(field)
        return Table(self._table.Bytes, self._table.Indirect(self._table.Pos + at)) if at else None

    def tables(self, field: int) -> Iterator["Table"]:
        """Give the tables of a vector."""
        for at in self._references(field):
            yield Table(self._table.Bytes, self._table.Indirect(at))

    def texts(self, field: int) -> Iterator[bytes]:
        """Give the strings of a vector, as bytes."""
        for at in self._references(field):
            start = self._table.Indirect(at)
            yield self._bytes(start + _LENGTH, self._table.Get(numbers.UOffsetTFlags, start))

    def _bytes(self, start: int, length: int) -> bytes:
        found: bytes = self._table.Bytes[start : start + length]
        if len(found) < length:
            raise ValueError("the bytes end before")
        return found

    def _references(self, field: int) -> range:
        at = self._offset(field)
        if not at:
            return range(0)
        start = self._table.Vector(at)
        return range(start, start + 4 * self._table.VectorLen(at), 4)

    def _scalar(self, field: int, kind: Any) -> Any:
        at = self._offset(field)
        return self._table.Get(kind, self._table.Pos + at) if at else 0

    def _offset(self, field: int) -> int:
        return int(self._fields[field]) if field < len(self._fields) else 0


def shortest(number: float) -> float:
    """Give the number that the shortest decimal of a number of single precision stands for.

    >>> shortest(0.10000000149011612)
    0.1
    """
    return float(str(np.float32(number)))
