"""Decisions and observations become joined events; what was not joined is counted, and why.

What becomes of a decision or a reward depends on times, event ids and slots alone: not on the order of arrival, on how the log
was cut into segments, nor on how time was cut into windows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from shared.domain.events import Decision, EventKey, JoinedEvent, LearningMode, Observation, SkipReason
from shared.domain.ledger import Counters, Segment, SegmentKey, Sighting
from shared.domain.loop import LoopSettings
from shared.joining.aggregation import aggregate

EARLY = timedelta(minutes=2)
"""How long before its decision an observation may arrive: clients report in parallel, and clocks differ."""

REMEMBERED = timedelta(hours=1)
"""How long after its wait an event id is still known: repeated decisions are duplicates, and rewards late, until then."""

Sightings = Mapping[EventKey, Sequence[Sighting]]
"""All logged decisions of the events (and slots) in question; the window's own, and later and earlier ones, included."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one trainer run learns: the segments sealed in ``[since, until)``, and those that turned up behind ``since``.

    ``observations`` are the segments that may hold one of its decisions' observations or are due to be counted;
    ``uncounted`` names those of the latter. ``unknown`` is `Lookback.unknown` of the commit before.
    """

    since: datetime
    until: datetime
    fresh: Sequence[Segment[Decision]]
    stragglers: Sequence[Segment[Decision]]
    observations: Sequence[Segment[Observation]]
    uncounted: AbstractSet[str]
    sightings: Sightings
    unknown: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Joined:
    """The window's events in the order of the log, what to add to the counters, and the observations still unknown."""

    events: tuple[JoinedEvent, ...]
    counters: Counters
    unknown: frozenset[str]


class _Report(NamedTuple):
    """An observation and the name that tells it from all others."""

    name: str
    observation: Observation


def event_ids(decisions: Iterable[Segment[Decision]], observations: Iterable[Segment[Observation]]) -> set[EventKey]:
    """Collect what to look up the sightings of, for a window of these segments."""
    keys = {event.key for segment in decisions for event in segment.events or ()}
    return keys.union([event.key for segment in observations for event in segment.events or ()])


def join(window: Window, *, loop: LoopSettings) -> Joined:
    """Give each decision of the window its final reward, or the reason why it is not learned from."""
    named = [(segment, _named(segment)) for segment in window.observations]
    reports = _by_key(reports for _, reports in named)
    repeated = {key for key, sightings in window.sightings.items() if len(sightings) > 1}
    events: list[JoinedEvent] = []
    skipped: Counter[SkipReason] = Counter()
    placed: set[str] = set()
    for segment, is_straggler in _in_order(window):
        if segment.events is None:
            skipped[SkipReason.QUARANTINED] += segment.head.count
            continue
        for index, decision in enumerate(segment.events):
            observations: tuple[Observation, ...] = ()
            if decision.slot:
                key, mine = decision.key, _of_slot(decision, reports)
            else:  # nearly always, and cheaper than asking for the key
                key, mine = decision.event_id, reports.get(decision.event_id, ())
            if mine:
                names, observations = _in_time(mine, decision.decided_at, loop)
                placed.update(names)
            is_duplicate = key in repeated and _is_duplicate(
                Sighting(decision.decided_at, segment.head.key, index), key, window, loop, is_straggler=is_straggler
            )
            event = _joined(decision, observations, loop, is_duplicate=is_duplicate)
            events.append(event)
            if event.skip is not None:
                skipped[event.skip] += 1
    counted, unknown = _count_rewards(window, named, placed, loop)
    learned = sum(event.skip is None for event in events)
    stragglers = sum(segment.head.count for segment in window.stragglers)
    return Joined(tuple(events), counted.plus(Counters(learned=learned, skipped=_by_name(skipped), stragglers=stragglers)), unknown)


def _by_name(skipped: Mapping[SkipReason, int]) -> dict[str, int]:
    return {reason.value: count for reason, count in skipped.items()}


def _in_order(window: Window) -> Iterator[tuple[Segment[Decision], bool]]:
    for segment in sorted(window.stragglers, key=_key):
        yield segment, True
    for segment in sorted(window.fresh, key=_key):
        yield segment, False


def _key(segment: Segment[Decision]) -> SegmentKey:
    return segment.head.key


def _named(segment: Segment[Observation]) -> list[_Report]:
    stem = f"{segment.head.key.name}#"
    return [_Report(stem + str(index), observation) for index, observation in enumerate(segment.events or ())]


def _by_key(segments: Iterable[Sequence[_Report]]) -> dict[EventKey, list[_Report]]:
    by_key: dict[EventKey, list[_Report]] = {}
    for reports in segments:
        for report in reports:
            by_key.setdefault(report.observation.key, []).append(report)
    for reports in by_key.values():
        if len(reports) > 1:
            reports.sort(key=_arrival)
    return by_key


def _of_slot(decision: Decision, reports: Mapping[EventKey, Sequence[_Report]]) -> Sequence[_Report]:
    """Give the rewards of a decision's slot and the activations of its event: those name no slot."""
    activations = [report for report in reports.get(decision.event_id, ()) if report.observation.is_activation]
    return sorted([*reports.get(decision.key, ()), *activations], key=_arrival)


def _arrival(report: _Report) -> tuple[datetime, str]:
    return report.observation.observed_at, report.name


def _in_time(reports: Sequence[_Report], decided_at: datetime, loop: LoopSettings) -> tuple[tuple[str, ...], tuple[Observation, ...]]:
    """Choose the reports that count for a decision of this time; gives their names and their observations."""
    first, last = decided_at - EARLY, decided_at + loop.reward_wait
    if len(reports) == 1 and first <= reports[0].observation.observed_at <= last:  # nearly always: worth a path without a loop
        return (reports[0].name,), (reports[0].observation,)
    mine = [report for report in reports if first <= report.observation.observed_at <= last]
    return tuple([report.name for report in mine]), tuple([report.observation for report in mine])


def _is_duplicate(own: Sighting, key: EventKey, window: Window, loop: LoopSettings, *, is_straggler: bool) -> bool:
    """Whether another decision of the same event (and slot) comes first, or (for a straggler) was learned long ago."""
    span = loop.reward_wait + REMEMBERED
    for other in window.sightings[key]:
        if other == own or abs(own.decided_at - other.decided_at) > span:
            continue
        if other < own or (is_straggler and other.segment.sealed_at < window.since and not _is_new(other, window)):
            return True
    return False


def _is_new(sighting: Sighting, window: Window) -> bool:
    return any(sighting.segment == segment.head.key for segment in window.stragglers)


def _joined(decision: Decision, observations: tuple[Observation, ...], loop: LoopSettings, *, is_duplicate: bool) -> JoinedEvent:
    rewards = [o.reward for o in observations if o.reward is not None]
    reward = aggregate(rewards, loop.reward_aggregation) if rewards else loop.default_reward
    exact = 0.0 + reward  # -0.0 would come back from the joined log as 0.0
    return JoinedEvent(decision, exact, observations, _skip(decision, observations, is_duplicate=is_duplicate))


def _skip(decision: Decision, observations: Iterable[Observation], *, is_duplicate: bool) -> SkipReason | None:
    if is_duplicate:
        return SkipReason.DUPLICATE
    if decision.mode is LearningMode.LOGGING_ONLY:
        return SkipReason.LOGGING_ONLY
    if decision.deferred and not any(o.is_activation for o in observations):
        return SkipReason.NOT_ACTIVATED
    return None


def _count_rewards(
    window: Window, named: Iterable[tuple[Segment[Observation], Sequence[_Report]]], placed: AbstractSet[str], loop: LoopSettings
) -> tuple[Counters, frozenset[str]]:
    """Count the rewards that are due to be counted, and take back those once unknown whose decision has come."""
    rewards = late = lost = 0
    came_true = window.unknown & placed
    unknown: dict[str, datetime] = {}
    for segment, reports in named:
        is_due = segment.head.key.name in window.uncounted
        if is_due:
            rewards += segment.head.rewards
            lost += segment.head.rewards if segment.events is None else 0
        for name, observation in reports:
            if name in placed or observation.is_activation:
                continue
            if name in window.unknown:
                unknown[name] = observation.observed_at
            elif is_due:
                verdict = _verdict(observation, segment.head.key, window, loop)
                late += verdict is _Verdict.LATE
                if verdict is _Verdict.UNKNOWN:
                    unknown[name] = observation.observed_at
    newly_unknown = len(unknown.keys() - window.unknown)
    remembered = frozenset(name for name, at in unknown.items() if at >= window.until - EARLY)
    counters = Counters(rewards=rewards, late_rewards=late, unknown_rewards=newly_unknown + lost - len(came_true))
    return counters, remembered


class _Verdict(Enum):
    IN_TIME = 1
    LATE = 2
    UNKNOWN = 3


def _verdict(observation: Observation, key: SegmentKey, window: Window, loop: LoopSettings) -> _Verdict:
    """Tell what becomes of a reward that no decision of this window takes.

    One that turned up behind the watermark is late for any decision that was learned without it.
    """
    sightings = window.sightings.get(observation.key, ())
    is_straggler = key.sealed_at < window.since
    at = observation.observed_at
    if any(
        s.decided_at - EARLY <= at <= s.decided_at + loop.reward_wait and (s.segment.sealed_at >= window.since or not is_straggler)
        for s in sightings
    ):
        return _Verdict.IN_TIME
    if any(at >= s.decided_at - EARLY for s in sightings):
        return _Verdict.LATE
    return _Verdict.UNKNOWN
