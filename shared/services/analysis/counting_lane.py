"""A lane that compares nobody: it counts the events of a range by the values of a feature."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np

from shared.domain.events import JoinedEvent
from shared.evaluation.intervals import Range
from shared.evaluation.sums import Floats
from shared.services.analysis.lane import Counts, Lineup, SlotSums
from shared.services.analysis.present import Chances
from shared.services.breakdowns.from_log import LogCount

_NO_SUMS: Final[Mapping[str, SlotSums]] = MappingProxyType({})


class AnyLane(Protocol):
    """What goes over the log, chunk by chunk: `shared.services.analysis.lane.Lane`, or a `CountingLane`."""

    @property
    def sums(self) -> Mapping[str, SlotSums]:
        """What was summed of the policies that are compared, by slot."""
        ...

    @property
    def counts(self) -> Counts:
        """The events that were met."""
        ...

    @property
    def values(self) -> Floats:
        """The values of rounds that are kept."""
        ...

    @property
    def range(self) -> Range:
        """The range of rewards."""
        ...

    @property
    def has_enough(self) -> bool:
        """Whether there is no need to go on."""
        ...

    def take(self, events: Iterable[JoinedEvent], present: Chances | None = None) -> Chances | None:
        """Take a batch; whatever ``events`` raise changes nothing. ``present``, and what it gives, are as in `Lane.take`."""
        ...

    def state(self) -> bytes:
        """Write all that is to be kept beside the sums."""
        ...


@dataclass(slots=True)
class CountingLane:
    """What is counted, and how many events were met on the way."""

    count: LogCount
    counts: Counts = field(default_factory=Counts)

    @staticmethod
    def of(lineup: Lineup, counts: Counts, state: bytes) -> "CountingLane":
        """Begin a lane, or put it back on its way if there is a ``state``; raises `UnreadableError`, or `NewerFormatError`."""
        count = LogCount(lineup.counts_by, lineup.since, lineup.until, events=counts.scored, thinned=counts.thinned)
        if state:
            count.load(state)
        return CountingLane(count, counts)

    def take(self, events: Iterable[JoinedEvent], present: Chances | None = None) -> None:
        """Count a batch."""
        self.counts.events += self.count.take(events)
        self.counts.scored, self.counts.thinned = self.count.events, self.count.thinned

    def state(self) -> bytes:
        """Write what is counted."""
        return self.count.dump()

    @property
    def sums(self) -> Mapping[str, SlotSums]:
        """Nobody is compared."""
        return _NO_SUMS

    @property
    def values(self) -> Floats:
        """No values are kept."""
        return np.zeros(0)

    @property
    def range(self) -> Range:
        """Nothing is predicted."""
        return Range()

    @property
    def has_enough(self) -> bool:
        """Every event of the range counts."""
        return False
