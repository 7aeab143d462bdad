"""The live figures of a loop, ready to be drawn."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from shared.domain.budget import UNBOUNDED, Budget
from shared.domain.clock import EPOCH
from shared.domain.ledger import Counters, Pointer
from shared.domain.ports import ModelStore
from shared.evaluation.buckets import expanded, merged
from shared.evaluation.estimators import ratio
from shared.evaluation.health import WeightHealth
from shared.evaluation.intervals import ALPHA, Interval
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Integers
from shared.evaluation.sums import Floats
from shared.learning.sizes import bytes_in
from shared.services.figures.bands import anytime, at_one_look, bounds, estimates
from shared.services.figures.experiment import Experiment, experiment_of
from shared.services.figures.files import Kept, load
from shared.services.figures.latest import latest
from shared.services.figures.lifts import Estimated, Lift, lift_of
from shared.services.figures.timeline import POLICIES, Activity, Timeline, lengths, starts_of
from shared.services.figures.window import SKIPPED

MOST_BANDS: Final = 100
"""Points at which bands over time are told: each takes some computing."""

_REMEMBERED: Final = 8
"""Reports: of several pages that look at different times."""

_POINT_BYTES: Final = 1_600
"""That a point takes with its figures, or a little more."""

_ONLINE: Final = POLICIES.index("online")
_BASELINE: Final = POLICIES.index("baseline1")

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Query:
    """Which buckets are wanted: those of so many minutes that begin in ``[since, until)``, as far as these are given."""

    minutes: int
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PolicyFigures:
    """What a policy would have earned an event, None where nothing tells; ``mean_weight`` has to be 1 but for chance."""

    name: str
    expected_reward: float | None
    interval: Ends | None
    effective_events: float
    mean_weight: float | None = None
    mean_weight_interval: Ends | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Over all events since the figures began."""

    events: int
    average_reward: float | None
    match_rate: float | None
    policies: Sequence[PolicyFigures]
    lift: Lift
    """Of what was shown over the baseline; its interval holds at all looks at once with 95 %."""


@dataclass(frozen=True, slots=True)
class Point:
    """A bucket, which begins ``at`` a time. Rates are over its learned events, and None without any.

    Where all of them are of Apprentice mode, ``proposed_reward`` has the least and the most that the proposals can have earned on average.
    """

    at: datetime
    events: int
    rewards: int
    late_rewards: int
    unknown_rewards: int
    skipped: Mapping[str, int]
    average_reward: float | None
    exploration_share: float | None
    entropy: float | None
    match_rate: float | None
    proposed_reward: Ends | None
    lag_seconds: float | None
    policies: Sequence[PolicyFigures]


@dataclass(frozen=True, slots=True)
class Cumulated:
    """From when the figures began to the end of the bucket that begins ``at`` a time."""

    at: datetime
    policies: Sequence[PolicyFigures]


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of all events that were decided since ``since``; both times are None as long as there are none."""

    since: datetime | None
    watermark: datetime | None
    totals: Totals
    points: Sequence[Point]
    cumulated: Sequence[Cumulated]
    experiment: Experiment | None = None


class LiveFigures:
    """Reads one loop's figures; what was read and told last is kept at hand while the budget has room for it."""

    def __init__(self, store: ModelStore, budget: Budget | None = None) -> None:
        self._store = store
        self._budget = budget or Budget(UNBOUNDED)
        self.used_at = self._budget.monotonic()
        self._is_closed = False
        self._read: tuple[str, Kept] | None = None  # under a name that tells the content
        self._told: dict[str, Report] = {}

    def let_go(self) -> int:
        """Read and compute it again when somebody asks."""
        self._read, self._told = None, {}
        return 0

    def close(self) -> None:
        """Keep nothing any more: the loop is gone."""
        self._is_closed = True
        self.let_go()
        self._budget.drop(self)

    async def report(self, query: Query) -> Report:
        """Tell what is known at the latest commit; raises `StorageUnavailableError`, `NewerFormatError` or `UnreadableError`."""
        pointer, kept = await self._latest()
        return await asyncio.to_thread(self._report, pointer, kept, query)

    async def counted(self, *, within: timedelta) -> Counters | None:
        """Count what was decided so long before the watermark, in whole buckets; None without figures. Raises as `report`."""
        pointer, kept = await self._latest()
        return None if pointer is None or kept is None else _counted(kept.timeline, pointer.watermark - within)

    def _report(self, pointer: Pointer | None, kept: Kept | None, query: Query) -> Report:
        """Compute it, unless it is remembered: whoever watches asks every few seconds, and buckets change seldom."""
        timeline = Timeline.none() if kept is None or pointer is None else kept.timeline.folded(pointer.watermark)
        watermark = pointer.watermark if pointer is not None else EPOCH
        length = lengths(timeline.begins, watermark)
        whole = timeline.merged(starts_of(timeline.begins, np.where(length > 0, np.maximum(length, query.minutes), 0)))
        shown = _shown(whole, lengths(whole.begins, watermark), query)
        name = f"{pointer.sequence if pointer is not None else 0} {query.minutes} {shown[:1]} {shown[-1:]}"
        found = self._told.get(name)
        if found is None:
            times = kept.since if kept is not None else None, pointer.watermark if pointer is not None else None
            found = Report(*times, _totals(whole), _points(whole, shown), _cumulated(whole, shown), _experiment(timeline, watermark))
            self._told = dict([*self._told.items(), (name, found)][-_REMEMBERED:])
            self._count()
        return found

    async def _latest(self) -> tuple[Pointer | None, Kept | None]:
        return await latest(self._store, named=lambda pointer: pointer.figures, read=self._kept)

    async def _kept(self, name: str) -> Kept:
        read, self.used_at = self._read, self._budget.monotonic()
        if read is not None and read[0] == name:
            return read[1]
        kept = load(await self._store.figures(name))
        self._read = name, kept
        self._count()
        return kept

    def _count(self) -> None:
        """Tell the budget what is at hand."""
        read, told, self.used_at = self._read, self._told, self._budget.monotonic()
        if not self._is_closed:
            points = sum([len(each.points) + len(each.cumulated) for each in told.values()])
            self._budget.hold(self, _POINT_BYTES * points + (0 if read is None else bytes_in(read[1])))


def _experiment(timeline: Timeline, watermark: datetime) -> Experiment | None:
    """Read the experiment off the finest buckets: when it was proven does not hang on what is shown."""
    length = lengths(timeline.begins, watermark)
    oldest = timeline.begins[np.argmax(length > 0)] if (length > 0).any() else _minute(watermark)
    ends = np.where(length > 0, timeline.begins + length, oldest)
    return experiment_of(timeline, np.minimum(ends, _minute(watermark)).astype(np.int64))


def _counted(timeline: Timeline, since: datetime) -> Counters:
    activity = timeline.activity.taken(np.flatnonzero(timeline.begins >= _minute(since)))

    def total(column: Floats) -> int:
        return round(float(column.sum()))

    return Counters(
        learned=total(activity.events),
        skipped={reason: total(getattr(activity, name)) for reason, name in SKIPPED.items()},
        rewards=total(activity.rewards),
        late_rewards=total(activity.late_rewards),
        unknown_rewards=total(activity.unknown_rewards),
    )


def _shown(timeline: Timeline, length: Integers, query: Query) -> Integers:
    """Tell which buckets are asked for, by their places; longer ones than wanted are not."""
    first = _minute(query.since) if query.since is not None else 1
    end = _minute(query.until) if query.until is not None else np.inf
    return np.flatnonzero((length > 0) & (length <= query.minutes) & (timeline.begins >= first) & (timeline.begins < end))


def _minute(at: datetime) -> float:
    return (at - EPOCH) / timedelta(minutes=1)


def _totals(timeline: Timeline) -> Totals:
    activity, moments = merged(timeline.activity), merged(timeline.moments)
    policies = _policies(moments, anytime(moments, bounds(activity)), with_weights=True)[0]
    match_rate = _number(ratio(activity.imitated, activity.proposed)[0])
    events = int(activity.events[0])
    return Totals(events, policies[_ONLINE].expected_reward, match_rate, policies, _lift(moments, activity, events))


def _lift(moments: Moments, activity: Activity, events: int) -> Lift:
    """Compare what was shown with the baseline, by intervals that hold together."""
    found = _policies(moments, anytime(moments, bounds(activity), alpha=ALPHA / 2.0))[0]
    shown, baseline = (Estimated(each.expected_reward, each.interval, each.effective_events) for each in (found[_ONLINE], found[_BASELINE]))
    return lift_of(shown, baseline, events=events)


def _points(timeline: Timeline, shown: Integers) -> list[Point]:
    activity, moments = timeline.activity.taken(shown), timeline.moments.taken((slice(None), shown))
    policies = _policies(moments, at_one_look(moments, bounds(activity)))
    shown_alone = moments.taken(_ONLINE)
    return [
        _point(begin, activity, number, policies[number], _proposed_reward(activity.taken(number), shown_alone.taken(number)))
        for number, begin in enumerate(timeline.begins[shown].tolist())
    ]


def _proposed_reward(activity: Activity, shown: Moments) -> Ends | None:
    """Tell what the proposals of a bucket can have earned on average, from what the application's own choices earned.

    Where both were the same, so was the reward. How much of all rewards that is, is not counted, nor what other proposals would have
    earned: each can be as low or as high as rewards are.
    """
    events, same, total = float(activity.events), float(activity.imitated), float(shown.rewards)
    if not events or activity.proposed != events:
        return None
    low, high = min(float(shown.lowest_reward), 0.0), max(float(shown.highest_reward), 1.0)
    others = events - same
    least, most = max(same * low, total - others * high), min(same * high, total - others * low)
    return (least + others * low) / events, (most + others * high) / events


def _point(begin: int, activity: Activity, number: int, policies: Sequence[PolicyFigures], proposed_reward: Ends | None) -> Point:
    sums = activity.taken(number)
    events = float(sums.events)

    def mean(total: Floats) -> float | None:
        return float(total) / events if events else None

    return Point(
        at=_time(begin),
        events=int(events),
        rewards=int(sums.rewards),
        late_rewards=int(sums.late_rewards),
        unknown_rewards=int(sums.unknown_rewards),
        skipped={reason.value: count for reason, name in SKIPPED.items() if (count := int(getattr(sums, name)))},
        average_reward=policies[_ONLINE].expected_reward,
        exploration_share=mean(sums.explored),
        entropy=mean(sums.entropy),
        match_rate=float(sums.imitated / sums.proposed) if sums.proposed else None,
        proposed_reward=proposed_reward,
        lag_seconds=mean(sums.lag_seconds),
        policies=policies,
    )


def _cumulated(timeline: Timeline, shown: Integers) -> list[Cumulated]:
    """Tell the bands at some of the buckets that are shown, evenly, the last one among them."""
    if not len(shown):
        return []
    some = shown[np.unique(np.linspace(len(shown) - 1, 0, min(len(shown), MOST_BANDS)).astype(np.int64))]
    moments, activity = expanded(timeline.moments).taken((slice(None), some)), expanded(timeline.activity).taken(some)
    policies = _policies(moments, anytime(moments, bounds(activity)))
    return [Cumulated(_time(begin), each) for begin, each in zip(timeline.begins[some].tolist(), policies, strict=True)]


def _policies(moments: Moments, interval: Interval, *, with_weights: bool = False) -> list[list[PolicyFigures]]:
    """Give all policies' figures of each bucket."""
    health, value = WeightHealth.of(moments), estimates(moments)

    def figures(policy: int, bucket: int) -> PolicyFigures:
        at = policy, bucket
        return PolicyFigures(
            name=POLICIES[policy],
            expected_reward=_number(value[at]),
            interval=_ends(interval, at),
            effective_events=_number(health.effective_rounds[at]) or 0.0,
            mean_weight=_number(health.mean[at]) if with_weights else None,
            mean_weight_interval=_ends(health.interval, at) if with_weights else None,
        )

    return [[figures(policy, bucket) for policy in range(len(POLICIES))] for bucket in range(moments.rounds.shape[-1])]


def _ends(interval: Interval, at: tuple[int, int]) -> Ends | None:
    lower, upper = _number(interval.lower[at]), _number(interval.upper[at])
    return None if lower is None or upper is None else (lower, upper)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _time(minutes: int) -> datetime:
    return EPOCH + timedelta(minutes=minutes)
