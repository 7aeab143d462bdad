"""The segments of the log, the counters over them, and the one record that says how far a model has learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from shared.domain.apprentice import ApprenticeMetrics

Event = TypeVar("Event")


@dataclass(frozen=True, slots=True, order=True)
class SegmentKey:
    """Where a segment stands in its log: ordered by the time it was sealed, then by name.

    ``name`` is unique to the segment; ``partition`` says in which minute and shard it is stored.
    """

    sealed_at: datetime
    name: str
    partition: str


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """What the log tells of a segment without opening it.

    ``count`` is the number of its events and ``rewards`` that of the rewards among them (0 for decisions).
    """

    key: SegmentKey
    count: int
    rewards: int = 0


@dataclass(frozen=True, slots=True)
class Segment(Generic[Event]):
    """An opened segment; ``events`` is None when it did not verify and was quarantined."""

    head: SegmentHead
    events: Sequence[Event] | None


@dataclass(frozen=True, slots=True)
class Opened(Generic[Event]):
    """Segments that were opened already; those sealed in ``[since, until)`` are all among them."""

    since: datetime
    until: datetime
    segments: Sequence[Segment[Event]]


class Sighting(NamedTuple):
    """One logged decision of an event id (and slot): when it was made and where it stands. The smallest of several is the first.

    A tuple, since there is one for each decision of a window: it takes a third of the time to make.
    """

    decided_at: datetime
    segment: SegmentKey
    position: int


@dataclass(frozen=True, slots=True)
class Counters:
    """What became of everything up to the watermark, since the loop began."""

    learned: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    rewards: int = 0
    late_rewards: int = 0
    unknown_rewards: int = 0
    stragglers: int = 0

    @property
    def processed(self) -> int:
        """Decisions that the loop is done with."""
        return self.learned + sum(self.skipped.values())

    def plus(self, other: "Counters") -> "Counters":
        """Add two counts, reason by reason; a reason that comes to nothing is left out."""
        reasons = sorted(self.skipped.keys() | other.skipped.keys())
        totals = {reason: self.skipped.get(reason, 0) + other.skipped.get(reason, 0) for reason in reasons}
        return Counters(
            learned=self.learned + other.learned,
            skipped={reason: n for reason, n in totals.items() if n},
            rewards=self.rewards + other.rewards,
            late_rewards=self.late_rewards + other.late_rewards,
            unknown_rewards=self.unknown_rewards + other.unknown_rewards,
            stragglers=self.stragglers + other.stragglers,
        )


@dataclass(frozen=True, slots=True)
class Lookback:
    """What the trainer must remember from just behind the watermark to go on exactly.

    ``decisions`` and ``observations`` name the segments that were seen there: one that turns up and is not among them is a
    straggler. ``unknown`` names the rewards that were counted as unknown and may still precede their decision.
    """

    decisions: frozenset[str] = frozenset()
    observations: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pointer:
    """The commit: which model is published, how far it has learned, and what was counted on the way.

    ``sequence`` counts commits, ``published_at`` tells when ``version`` was first pointed to, and ``chunk`` names the newest
    chunk of the cold log ("" before the first one).
    """

    sequence: int
    version: str
    published_at: datetime
    watermark: datetime
    chunk: str = ""
    counters: Counters = field(default_factory=Counters)
    lookback: Lookback = field(default_factory=Lookback)
    apprentice: ApprenticeMetrics = field(default_factory=ApprenticeMetrics)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a model was made of: its parent, the window and chunk it learned, and how (JSON text)."""

    parent: str
    since: datetime
    until: datetime
    chunk: str
    learned: int
    settings: str
