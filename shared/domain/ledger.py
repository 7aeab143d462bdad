"""The segments of the log, the counters over them, and the one record that says how far a model has learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.clock import EPOCH
from shared.domain.events import EventKey, Observation
from shared.domain.lookback import Lookback

Event = TypeVar("Event")

COMMIT_WITHIN: Final = timedelta(minutes=2)
"""How long after its cut a deletion of the log may be committed: writers that cannot have heard of it are waited for from the cut on."""


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

    ``count`` is the number of its events, ``rewards`` that of the rewards among them (0 for decisions), and ``size`` the bytes that
    the events take in memory, or a little more.
    """

    key: SegmentKey
    count: int
    rewards: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Segment(Generic[Event]):
    """An opened segment; ``events`` is None when it did not verify and was quarantined."""

    head: SegmentHead
    events: Sequence[Event] | None


@dataclass(frozen=True, slots=True)
class Sought:
    """The segments that hold decisions of one event, among all sealed from ``since`` on; ``is_cut`` if that is later than was asked."""

    heads: Sequence[SegmentHead]
    since: datetime
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Opened(Generic[Event]):
    """Segments that were opened already; those sealed in ``[since, until)`` are all among them."""

    since: datetime
    until: datetime
    segments: Sequence[Segment[Event]]


class Sighting(NamedTuple):
    """One logged decision of an event id (and slot): when it was made and where it stands. The smallest of several is the first.

    ``tag`` tells its segment from others sealed in the same microsecond (`shared.domain.identity.segment_tag`), ``position`` is its
    place in it. A tuple, since there is one for each decision of a window: it takes a third of the time to make.
    """

    decided_at: datetime
    sealed_at: datetime
    tag: int
    position: int


class Report(NamedTuple):
    """An observation of an event that was asked for; ``id`` tells it from all others (`shared.domain.identity.report_id`)."""

    id: str
    sealed_at: datetime
    observation: Observation


class Due(NamedTuple):
    """A reward that is to be counted, or that was counted as late or unknown; ``mark`` is its event's fingerprint."""

    id: str
    sealed_at: datetime
    observed_at: datetime
    mark: int


@dataclass(frozen=True, slots=True)
class Reports:
    """What was observed: ``of`` the events asked for, in order of observation, and all rewards ``due`` to be counted.

    ``rewards`` is the number of those that are counted for the first time, ``lost`` that of those among them that cannot be read.
    """

    of: Mapping[EventKey, Sequence[Report]] = field(default_factory=dict)
    due: Sequence[Due] = ()
    rewards: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Counters:
    """What became of everything up to the watermark, since the loop began.

    ``repeated_rewards`` have the id of another one that their decision takes. ``forgotten_rewards`` were counted as late or unknown, and
    were too many to be remembered: they stay counted so.
    """

    learned: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    rewards: int = 0
    late_rewards: int = 0
    unknown_rewards: int = 0
    stragglers: int = 0
    forgotten_rewards: int = 0
    repeated_rewards: int = 0

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
            forgotten_rewards=self.forgotten_rewards + other.forgotten_rewards,
            repeated_rewards=self.repeated_rewards + other.repeated_rewards,
        )


@dataclass(frozen=True, slots=True)
class LogEpoch:
    """What the log consists of since it was deleted last: the names of its tables and chunks carry the ``generation``.

    Writers that have not heard of the deletion yet go on in an older generation, ``oldest`` or later: what they sealed from ``since``
    on belongs to the log all the same, and nothing that was sealed earlier does.
    """

    generation: int = 1
    since: datetime = EPOCH
    oldest: int = 1


@dataclass(frozen=True, slots=True)
class Stretch:
    """Chunks that were learned one after the other: from ``first``, or else from the one behind ``behind`` ("": the oldest), to ``last``.

    ``rewards`` is the JSON text of the settings under which they were joined again ("": they were learned as they are).
    """

    last: str
    behind: str = ""
    first: str = ""
    rewards: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an unbroken line of models begins: each was learned from the one before and the chunks in between, all behind ``chunk``.

    ``version`` is the model that it begins with ("": nothing was known), ``chunk`` the newest chunk at that time ("": there was none)
    and ``at`` when the model began that this one goes on from. ``path`` is all that ``version`` itself has learned, in order, beginning
    with nothing: so it is known when that model is no longer kept. It is empty where that is not known.
    """

    version: str = ""
    chunk: str = ""
    at: datetime = EPOCH
    path: tuple[Stretch, ...] = ()


LEFT_BEHIND: Final = -1
"""In place of a pointer's ``resets``: its model lacks windows that were dealt with while the next one was begun anew.

No settings have this number: whatever becomes of them, this model is not gone on with.
"""


class Link(NamedTuple):
    """A chunk's place in the joined log: the chunk before it ("": it is the first), how many events it has, and how many were learned.

    ``learned`` and ``events`` are None for a chunk that an earlier release wrote: it does not say.
    """

    parent: str
    learned: int | None = None
    events: int | None = None


@dataclass(frozen=True, slots=True)
class Pointer:
    """The commit: which model is published, how far it has learned, and what was counted on the way.

    ``sequence`` counts commits, ``published_at`` tells when ``version`` was first pointed to, and ``chunk`` names the newest
    chunk of the cold log ("" before the first one). ``version`` is "" when there is no model, and ``previous`` then names the one
    that was deleted last. ``learned`` is the number of events that the model learned, which is less than was counted when it was
    begun anew. ``lookback`` names the file of what the next trainer has to remember, or is that itself where it is little. ``resets`` is
    the number of the loop's settings' resets that it has followed, or `LEFT_BEHIND`. ``figures`` names the live figures ("": none yet, or
    none since the log was deleted), and ``breakdown`` likewise what is counted by action and feature. ``imported`` counts the events of
    others that were taken into the log.
    """

    sequence: int
    version: str
    published_at: datetime
    watermark: datetime
    chunk: str = ""
    counters: Counters = field(default_factory=Counters)
    lookback: Lookback | str = field(default_factory=Lookback)
    apprentice: ApprenticeMetrics = field(default_factory=ApprenticeMetrics)
    log: LogEpoch = field(default_factory=LogEpoch)
    learned: int = 0
    previous: str = ""
    resets: int = 0
    origin: Origin = field(default_factory=Origin)
    figures: str = ""
    imported: int = 0
    breakdown: str = ""


class ModelKind(StrEnum):
    """How a model came about."""

    TRAINED = "trained"
    RETRAINED = "retrained"
    IMPORTED = "imported"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a model was made of, and how (``settings``, JSON text).

    A trained one was learned from ``parent`` and one window, whose chunk it names, or from the chunks from ``first`` to ``chunk`` of an
    imported log; a retrained one from nothing and all chunks from ``first`` to ``chunk``; a restored one is a copy of ``parent``, and an
    imported one comes from outside. ``learned`` counts the events behind it, ``replaced`` names the model that was published before it,
    and ``origin`` tells where its line begins.
    """

    parent: str
    since: datetime
    until: datetime
    chunk: str
    learned: int
    settings: str
    kind: ModelKind = ModelKind.TRAINED
    published_at: datetime = EPOCH
    replaced: str = ""
    first: str = ""
    origin: Origin = field(default_factory=Origin)
