"""The messages of a binary log: a number for the kind, a length, and that many bytes, aligned to 8."""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from shared.domain.errors import UnreadableError

MOST: Final = 64 * 1024 * 1024
"""Bytes of a message: those of a longer one are not kept."""

VERSION: Final = 1

_HEAD: Final = struct.Struct("<II")
_ALIGNED: Final = 8
_KIND: Final = 4


class MessageKind(IntEnum):
    """What is read; messages of other kinds are passed over."""

    MAGIC = 0x42465756  # the letters VWFB
    HEADER = 0x55555555
    CHECKPOINT = 0x11111111
    EVENTS = 0xFFFFFFFF
    END = 0xAAAAAAAA


_KNOWN: Final = frozenset(kind.to_bytes(_KIND, "little") for kind in MessageKind)


class Message(NamedTuple):
    """One of them; the kind is a number for one that is not known."""

    kind: int
    payload: bytes


class MessageSplitter:
    """Splits one file. Memory is bounded by a piece and a message."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._padding = (0, 0)

    def feed(self, piece: bytes) -> Iterator[Message]:
        """Give the messages that end in this piece; raises `UnreadableError` where what follows cannot be read."""
        self._rest += piece
        while (message := self._next()) is not None:
            yield message

    @property
    def is_cut_off(self) -> bool:
        """Whether a message has begun that has not ended."""
        return any(self._rest) and bytes(self._rest).lstrip(b"\x00") != MessageKind.END.to_bytes(_KIND, "little")

    def _next(self) -> Message | None:
        if len(self._rest) < max(self._padding) + _HEAD.size:
            return None
        start = self._start()
        kind, size = _HEAD.unpack_from(self._rest, start)
        if kind == MessageKind.MAGIC:
            if size != VERSION:
                raise UnreadableError(f"this is a binary log of version {size}; only version {VERSION} is read")
            size = 0
        if size > MOST:
            raise UnreadableError(f"a message says that it has {size} bytes: at most {MOST >> 20} MiB are read")
        end = start + _HEAD.size + size
        if len(self._rest) < end:
            return None
        payload = bytes(self._rest[start + _HEAD.size : end])
        del self._rest[:end]
        self._padding = (size % _ALIGNED, -size % _ALIGNED)
        return Message(kind, payload)

    def _start(self) -> int:
        """Tell how many bytes pad the message before. The libraries pad with as many as its length leaves over; others, to the next 8."""
        return next((each for each in self._padding if bytes(self._rest[each : each + _KIND]) in _KNOWN), self._padding[0])
