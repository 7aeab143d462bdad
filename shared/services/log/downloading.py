"""The joined log handed out over HTTP: a bounded piece at a time, each of which tells where the next one begins."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.clock import EPOCH, LATEST
from shared.domain.errors import InvalidRequestError, ResourceNotFoundError
from shared.services.log.exporting import Exporter

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_LINES: Final = 5_000
MOST_CHUNKS: Final = 100
"""A piece ends with the line, or the chunk, that reaches any of these. It has at least one line, however long that is."""

_CURSOR: Final = re.compile(r"([!-9;-~]{1,200}):([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of the joined log, and where the next piece begins ("": there is none)."""

    text: bytes
    events: int
    following: str


class Downloads:
    """Hands out one loop's log."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter

    async def piece(self, since: datetime | None, until: datetime | None, *, cursor: str = "") -> Piece:
        """Give the lines of events that were decided in ``[since, until)``, from the ``cursor`` on; raises as `JoinedLog`.

        Raises `InvalidRequestError` for what no piece gave as a cursor, `ResourceNotFoundError` for one whose place is gone.
        """
        between = since or EPOCH, until or LATEST
        names = await self._exporter.chunks(*between)
        first, skip = _place(names, cursor)
        lines: list[bytes] = []
        size = 0
        for place in range(first, len(names)):
            found = b"".join([part.text async for part in self._exporter.lines(names[place], *between)])
            given, left = await asyncio.to_thread(_cut, found, skip, room=(MOST_LINES - len(lines), MOST_BYTES - size))
            lines += given
            size += sum(map(len, given))
            if left:
                return Piece(b"".join(lines), len(lines), f"{names[place]}:{skip + len(given)}")
            skip = 0
            is_full = size >= MOST_BYTES or len(lines) >= MOST_LINES or place - first + 1 >= MOST_CHUNKS
            if is_full and place + 1 < len(names):
                return Piece(b"".join(lines), len(lines), f"{names[place + 1]}:0")
        return Piece(b"".join(lines), len(lines), "")


def _place(names: Sequence[str], cursor: str) -> tuple[int, int]:
    """Find the chunk, and how many of its lines were given already."""
    if not cursor:
        return 0, 0
    read = _CURSOR.fullmatch(cursor)
    if read is None:
        raise InvalidRequestError("cursor: is not one that a piece of the log came with", target="cursor")
    if read[1] not in names:
        raise ResourceNotFoundError("this part of the log is not there any more: begin the download again")
    return names.index(read[1]), int(read[2])


def _cut(text: bytes, skip: int, *, room: tuple[int, int]) -> tuple[list[bytes], bool]:
    """Give the lines behind the first ones as far as there is room for them, but at least one; tells whether more are left."""
    lines = text.splitlines(keepends=True)[skip:]
    most, size = room
    count = 0
    while count < len(lines) and (count == 0 or (count < most and size > 0)):
        size -= len(lines[count])
        count += 1
    return lines[:count], count < len(lines)
