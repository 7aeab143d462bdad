"""What is remembered of the log that a window may have to look through again: rows as columns, in memory and, whole hours, in files."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.events import Decision, Observation
from shared.domain.ledger import LogEpoch, Segment
from shared.storage import names
from shared.storage.columns import OBSERVED, SIGHTED, Block, Part, observed, sighted
from shared.storage.hot_log import HotLog
from shared.storage.hours import Hours, kept_by_the_hour
from shared.storage.ports import Row, Storage
from shared.storage.rows import SIGHTED_COLUMNS, head
from shared.storage.sightings import Sightings
from shared.storage.tail import Piece, Tail, Upkeep

MOST_OBSERVATIONS: Final = 4_000_000
"""At 48 bytes each: what comes in 2 days at 20 a second. What is more is read again for each window, from the kept hours."""

MOST_SIGHTINGS: Final = 4_000_000
"""At 26 bytes each."""

_SIGHTINGS_PAGE: Final = 256
"""Rows at once, each with up to 64 KB of fingerprints and times."""

_PIECE_ROWS: Final = 5_000
_PIECE_EVENTS: Final = 250_000
"""A piece is some MB: a row may hold thousands of events, or one."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Reads both logs' rows as columns; a row is opened by ``observation``, or looked at by ``sightings``."""

    observations: HotLog[Observation]
    decisions: HotLog[Decision]
    observation: Callable[[Row], Awaitable[Segment[Observation]]]
    sightings: Callable[[Row], Awaitable[Sightings]]

    async def observed(self, since: datetime, until: datetime) -> AsyncIterator[Piece]:
        """Read observations, as many at a time as one query brings."""
        async for each in self.observations.ranges(since, until):
            rows = self.observations.rows(each.since, each.until, page=each.rows + 1)
            parts = [observed(await self.observation(row)) async for row in rows] if each.rows else []
            yield Piece(each.since, each.until, Block.of(parts, OBSERVED))

    async def sighted(self, since: datetime, until: datetime) -> AsyncIterator[Piece]:
        """Read whose decisions there are, minute by minute; a piece ends with a minute, and with an hour."""
        parts: list[Part] = []
        minute, events = "", 0
        async for row in self.decisions.rows(since, until, select=SIGHTED_COLUMNS, page=_SIGHTINGS_PAGE):
            key, last = head(row).key, minute
            minute = names.minute(key.partition)
            is_enough = len(parts) >= _PIECE_ROWS or events >= _PIECE_EVENTS
            if parts and minute != last and (is_enough or minute[:-2] != names.minute(parts[0].key.partition)[:-2]):
                end = key.sealed_at.replace(second=0, microsecond=0)
                yield Piece(since, end, Block.of(parts, SIGHTED))
                since, parts, events = end, [], 0
            told = await self.sightings(row)
            parts.append(sighted(key, told.fingerprints, told.micros))
            events += len(told.fingerprints)
        yield Piece(since, until, Block.of(parts, SIGHTED))


class Memory:
    """Both tails of one epoch of a loop's log."""

    def __init__(self, storage: Storage, rows: Rows, *, loop: str, epoch: LogEpoch, upkeep: Upkeep) -> None:
        self.epoch = epoch
        observations = Hours(storage, loop=loop, generation=epoch.generation, kind=names.Kind.OBSERVATIONS, columns=OBSERVED)
        decisions = Hours(storage, loop=loop, generation=epoch.generation, kind=names.Kind.DECISIONS, columns=SIGHTED)
        self.observed = Tail(kept_by_the_hour(rows.observed, observations, clock=upkeep.clock), upkeep, most=MOST_OBSERVATIONS)
        self.sighted = Tail(kept_by_the_hour(rows.sighted, decisions, clock=upkeep.clock), upkeep, most=MOST_SIGHTINGS)

    def close(self) -> None:
        """Remember nothing any more."""
        self.observed.close()
        self.sighted.close()
