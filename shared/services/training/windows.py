"""Which segments the trainer learns next, and whether it is time to."""

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.ledger import Pointer, SegmentHead
from shared.domain.lookback import Lookback, Seen
from shared.domain.loop import LoopSettings
from shared.domain.ports import EventLog

YOUNG_GROWTH = 0.2
YOUNG_EVENTS = 10
IDLE_ADVANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Limits:
    """How the log is read.

    ``grace`` is how long after its sealing a segment may still turn up, ``lookback`` how far behind the watermark stragglers are
    looked for. So that it fits in memory, a window takes at most ``max_events`` decisions and as many observations, and of each at most
    ``max_bytes`` of memory: its peak is three times that. A slow trainer takes less at once, but no less than ``least_events`` (`Pace`).
    Of rewards that were counted as late or unknown the newest ``max_remembered`` are remembered, and of segments behind the watermark as
    many runs of each log; up to ``max_carried`` bytes of that are in the pointer.
    """

    grace: timedelta
    lookback: timedelta
    max_events: int = 50_000
    max_bytes: int = 96 * 1024 * 1024
    least_events: int = 10_000
    max_remembered: int = 100_000
    max_carried: int = 2_048


@dataclass(slots=True)
class Pace:
    """How many events a window may take, so that a trainer that is behind publishes about as often as its loop wants.

    That follows from how long the last window took that tells it: one of few events mostly takes what any window does.

    >>> pace, limits = Pace(), Limits(grace=timedelta(seconds=30), lookback=timedelta(seconds=40))
    >>> pace.took(50_000, seconds=200.0, limits=limits)
    >>> [pace.most(limits, wanted=timedelta(seconds=each)) for each in (1, 60, 300)]
    [10000, 15000, 50000]
    """

    _rate: float = math.inf

    def took(self, events: int, *, seconds: float, limits: Limits) -> None:
        """Take note of a window that was learned and published."""
        if events >= limits.least_events and seconds > 0.0:
            self._rate = events / seconds

    def most(self, limits: Limits, *, wanted: timedelta) -> int:
        """Give the number of events that are learned and published in the ``wanted`` time, within the limits."""
        events = min(self._rate * wanted.total_seconds(), limits.max_events)
        return min(max(round(events), limits.least_events), limits.max_events)


@dataclass(frozen=True, slots=True)
class Plan:
    """The segments of the next window, ``[since, until)``; ``is_cut`` when there is more to learn behind it.

    ``observations`` are those to be counted: sealed in the window, or turned up behind it. Of no length is a window of so many
    stragglers that they are all it has room for. ``lookback`` is what was remembered when it was planned.
    """

    since: datetime
    until: datetime
    fresh: Sequence[SegmentHead]
    stragglers: Sequence[SegmentHead]
    observations: Sequence[SegmentHead]
    is_cut: bool
    lookback: Lookback = field(default_factory=Lookback)

    @property
    def decisions(self) -> int:
        """The number of decisions in the window."""
        return sum(head.count for head in (*self.fresh, *self.stragglers))

    @property
    def events(self) -> int:
        """The number of decisions or of observations, whichever are more."""
        return max(self.decisions, sum(head.count for head in self.observations))

    @property
    def size(self) -> int:
        """The bytes that the decisions take in memory."""
        return sum(head.size for head in (*self.fresh, *self.stragglers))


async def plan_window(log: EventLog, pointer: Pointer, lookback: Lookback, *, horizon: datetime, limits: Limits) -> Plan | None:
    """Find the window from the watermark to ``horizon``, or to where it would be too large; None when there is no time to learn.

    ``lookback`` is what was remembered with the pointer.
    """
    since = pointer.watermark
    if horizon <= since:
        return None
    behind = since - limits.lookback
    decisions = await _collect(log.decision_heads(behind, horizon), since, horizon, lookback.decisions, limits)
    rewards = await _collect(log.observation_heads(behind, decisions.until), since, decisions.until, lookback.observations, limits)
    return Plan(
        since=since,
        until=rewards.until,
        fresh=[head for head in decisions.fresh if head.key.sealed_at < rewards.until],
        stragglers=decisions.stragglers,
        observations=[*rewards.stragglers, *rewards.fresh],
        is_cut=rewards.until < horizon,
        lookback=lookback,
    )


def is_due(plan: Plan, pointer: Pointer, loop: LoopSettings, *, now: datetime) -> bool:
    """Whether to commit now: a young model is published early, an old one at least every ``model_export_frequency``.

    While a model is begun anew the old one only grows older: the window must be that long as well, lest each run cuts a small one.
    Rewards without decisions are counted at once. An idle loop moves its watermark now and then, lest the next reader has to
    look through all that time.
    """
    if plan.is_cut:
        return True
    if plan.decisions:
        enough = max(YOUNG_EVENTS, YOUNG_GROWTH * pointer.learned)
        if plan.decisions >= enough:
            return True
        if loop.resets != pointer.resets and plan.until - plan.since < loop.model_export_frequency:
            return False
        return not pointer.version or now - pointer.published_at >= loop.model_export_frequency
    return bool(plan.observations) or (pointer.sequence > 0 and plan.until - plan.since >= IDLE_ADVANCE)


@dataclass(frozen=True, slots=True)
class _Collected:
    stragglers: list[SegmentHead]
    fresh: list[SegmentHead]
    until: datetime


async def _collect(
    minutes: AsyncIterator[Sequence[SegmentHead]], since: datetime, until: datetime, seen: Seen, limits: Limits
) -> _Collected:
    """Take segments up to ``until``, or up to the one that is too many; segments sealed at the same time stay together."""
    found = _Collected([], [], until)
    count = size = 0
    async for minute in minutes:
        for head in minute:
            at = head.key.sealed_at
            if at < since and seen.has(head.key.name, at):
                continue
            is_full = count and (count + head.count > limits.max_events or size + head.size > limits.max_bytes)
            if is_full and not (found.fresh and at == found.fresh[-1].key.sealed_at):
                return replace(found, until=max(at, since))
            (found.stragglers if at < since else found.fresh).append(head)
            count += head.count
            size += head.size
    return found
