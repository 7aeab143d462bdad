"""The joined log handed out: its lines, of a range of time, as they are stored."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from shared.domain.clock import EPOCH, LATEST, later
from shared.domain.errors import UnreadableError
from shared.domain.ports import JoinedLog
from shared.joining.chunks import ChunkName

_SEALED_LATE: Final = timedelta(hours=2)
"""More than any decision is older than the segment it is in: what waits for storage, or was uploaded."""


class _Dated(msgspec.Struct, rename={"at": "Timestamp"}):
    at: datetime


_DATED = msgspec.json.Decoder(_Dated)


@dataclass(frozen=True, slots=True)
class Exported:
    """A chunk's lines, of one day (UTC), each with its end."""

    day: str
    text: bytes
    lines: int


class Exporter:
    """Reads one loop's joined log."""

    def __init__(self, joined: JoinedLog) -> None:
        self._joined = joined

    async def chunks(self, since: datetime = EPOCH, until: datetime = LATEST) -> Sequence[str]:
        """List the chunks that may hold events of this range, in order; raises as `JoinedLog`."""
        return [name for name in await self._joined.chain() if _may_hold(ChunkName.parse(name), since, until)]

    async def lines(self, chunk: str, since: datetime = EPOCH, until: datetime = LATEST) -> AsyncIterator[Exported]:
        """Give a chunk's events that were decided in ``[since, until)``, in order, day by day; raises as `JoinedLog`."""
        text = await self._joined.chunk(chunk)
        for part in await asyncio.to_thread(lambda: list(_days(text, since, until))):
            yield part


def _may_hold(chunk: ChunkName, since: datetime, until: datetime) -> bool:
    """Whether a chunk may hold such events: a decision is made before it is sealed, and its window goes by that."""
    return chunk.until > since and chunk.since < later(until, _SEALED_LATE)


def _days(text: bytes, since: datetime, until: datetime) -> Iterator[Exported]:
    day, lines = "", list[bytes]()
    for line in text.splitlines(keepends=True):
        at = _time(line)
        if not since <= at < until:
            continue
        if f"{at:%Y-%m-%d}" != day:
            if lines:
                yield Exported(day, b"".join(lines), len(lines))
            day, lines = f"{at:%Y-%m-%d}", []
        lines.append(line)
    if lines:
        yield Exported(day, b"".join(lines), len(lines))


def _time(line: bytes) -> datetime:
    try:
        return _DATED.decode(line).at
    except msgspec.MsgspecError as cause:
        raise UnreadableError(f"a joined event cannot be read: {cause}") from cause
