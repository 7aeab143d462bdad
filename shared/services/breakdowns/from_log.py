"""A breakdown that is counted from the joined log, piece by piece: of bounded size, whatever the log holds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np

from shared.domain.clock import EPOCH
from shared.domain.errors import UnreadableError
from shared.domain.events import JoinedEvent
from shared.services.breakdowns.files import Kept, dump, load
from shared.services.breakdowns.table import DAY, HOUR, Table
from shared.services.breakdowns.window import Breakdown, broken_down
from shared.services.figures.logged import logged

MOST_BUCKETS: Final = 100
"""Of a trend. Over longer times the buckets are longer."""

_FEW: Final = 5_000
_FEW_BYTES: Final = 8 * 1024 * 1024
"""Events, and bytes of their text, that are counted at a time."""

_HEADER: Final = 8
"""Bytes that tell how long the buckets are, which stand before the sums."""


@dataclass(slots=True)
class LogCount:
    """What is counted of events decided in ``[since, until)``, in buckets of so many ``minutes``; pairs have one bucket for all times.

    An event that is ``thinned`` stands for more than itself.
    """

    feature: str
    since: datetime
    until: datetime
    found: Breakdown = field(init=False)
    minutes: int = HOUR
    events: int = 0
    thinned: int = 0

    def __post_init__(self) -> None:
        self.found = Breakdown.none(self.feature)

    def take(self, events: Iterable[JoinedEvent]) -> int:
        """Count the events of the range that are learned, and tell how many were read; whatever ``events`` raise changes nothing."""
        found, minutes, read, counted, thinned = self.found, self.minutes, 0, 0, 0
        for few in _pieces(events):
            read += len(few)
            wanted = [each for each in few if each.skip is None and self.since <= each.decision.decided_at < self.until]
            if wanted:
                found, minutes = _bounded(found.plus(_coarser(broken_down(wanted, logged(wanted), self.feature), minutes)), minutes)
                counted += len(wanted)
                thinned += sum(each.weight > 1.0 for each in wanted)
        self.found, self.minutes = found, minutes
        self.events += counted
        self.thinned += thinned
        return read

    def dump(self) -> bytes:
        """Write what is counted."""
        return self.minutes.to_bytes(_HEADER, "little") + dump(Kept(EPOCH, EPOCH, self.found))

    def load(self, data: bytes) -> None:
        """Go on with what `dump` wrote; raises `UnreadableError`, or `NewerFormatError`."""
        self.minutes, self.found = read(data)


def read(data: bytes) -> tuple[int, Breakdown]:
    """Give how many minutes the buckets have that `LogCount.dump` wrote, and the sums; raises as `LogCount.load`."""
    minutes = int.from_bytes(data[:_HEADER], "little")
    if minutes != HOUR and (minutes <= 0 or minutes % DAY):
        raise UnreadableError(f"a breakdown with buckets of {minutes} minutes")
    return minutes, load(data[_HEADER:]).breakdown


def _pieces(events: Iterable[JoinedEvent]) -> Iterator[list[JoinedEvent]]:
    few: list[JoinedEvent] = []
    size = 0
    for event in events:
        few.append(event)
        size += len(event.decision.situation)
        if len(few) >= _FEW or size >= _FEW_BYTES:
            yield few
            few, size = [], 0
    yield few


def _bounded(found: Breakdown, minutes: int) -> tuple[Breakdown, int]:
    """Make buckets longer until there are few enough of them: a day, two days, four, and so on."""
    while _buckets(found.actions) > MOST_BUCKETS:
        minutes = DAY if minutes == HOUR else 2 * minutes
        found = _coarser(found, minutes)
    return found, minutes


def _coarser(found: Breakdown, minutes: int) -> Breakdown:
    pairs = found.pairs.coarser(_EVER)
    return Breakdown(found.feature, found.actions.coarser(minutes), found.values.coarser(minutes), pairs)


_EVER: Final = 1 << 31


def _buckets(table: Table[Any]) -> int:
    """Count the buckets from the first to the last that have events. Every event is in the table of actions, if only among the others."""
    return len(np.unique(table.begins))
