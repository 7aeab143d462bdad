"""Decisions and observations become joined events; what was not joined is counted, and why.

What becomes of a decision or a reward depends on times, event ids and slots alone: not on the order of arrival, on how the log
was cut into segments, nor on how time was cut into windows.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from shared.domain.events import Decision, EventKey, JoinedEvent, LearningMode, Observation, SkipReason
from shared.domain.identity import fingerprint, segment_tag
from shared.domain.ledger import Counters, Due, Report, Reports, Segment, SegmentKey, Sighting
from shared.domain.loop import LoopSettings
from shared.joining.aggregation import aggregate

EARLY = timedelta(minutes=2)
"""How long before its decision an observation may arrive: clients report in parallel, and clocks differ."""

REMEMBERED = timedelta(hours=1)
"""How long after its wait an event id is still known: repeated decisions are duplicates, and rewards late, until then."""

_MANY = 20
"""Observations of one event, of which what repeats its decision tells no more: each call of a client may name the same event."""

Sightings = Mapping[int, Sequence[Sighting]]
"""All logged decisions of the events (and slots) in question, by fingerprint; the window's own, and later and earlier ones, included."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one trainer run learns: the segments sealed in ``[since, until)``, and those that turned up behind ``since``.

    ``reports`` are the observations of its decisions, and the rewards that are due to be counted. ``unknown`` and ``late`` are those of
    `Lookback` of the commit before. ``grace`` is how much later than its time an observation may be sealed.
    """

    since: datetime
    until: datetime
    fresh: Sequence[Segment[Decision]]
    stragglers: Sequence[Segment[Decision]]
    reports: Reports
    sightings: Sightings
    unknown: AbstractSet[str] = frozenset()
    late: AbstractSet[str] = frozenset()
    grace: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Joined:
    """The window's events in the order of the log, what to add to the counters, and the rewards that still are unknown, or late."""

    events: tuple[JoinedEvent, ...]
    counters: Counters
    unknown: frozenset[str] = field(default=frozenset())
    late: frozenset[str] = field(default=frozenset())


def keys_of(decisions: Iterable[Segment[Decision]]) -> set[EventKey]:
    """Collect what the observations of these decisions name: an activation names the event of all slots."""
    events = [event for segment in decisions for event in segment.events or ()]
    return {event.key for event in events}.union([event.event_id for event in events if event.slot])


def marks_of(decisions: Iterable[Segment[Decision]], reports: Reports) -> set[int]:
    """Collect what to look up the sightings of, for a window of these segments and reports."""
    keys = {event.key for segment in decisions for event in segment.events or ()}
    return set(map(fingerprint, keys)).union([each.mark for each in reports.due])


def join(window: Window, *, loop: LoopSettings) -> Joined:
    """Give each decision of the window its final reward, or the reason why it is not learned from."""
    work = _Joining(window, loop)
    for segment, is_straggler in _in_order(window):
        work.take(segment, is_straggler=is_straggler)
    return work.done()


class _Joining:
    """A window on its way: ``placed`` names the observations that some decision of the window is there for."""

    def __init__(self, window: Window, loop: LoopSettings) -> None:
        self._window = window
        self._loop = loop
        self._repeated = _repeated(window, loop.reward_wait + REMEMBERED)
        self._events: list[JoinedEvent] = []
        self._skipped: Counter[SkipReason] = Counter()
        self._placed: set[str] = set()
        self._found: dict[str, Due] = {}
        self._of_slots: dict[EventKey, Sequence[Report]] = {}
        self._slow: dict[EventKey, Sequence[int]] = {}
        self._wasted = self._repeats = 0

    def take(self, segment: Segment[Decision], *, is_straggler: bool) -> None:
        """Join the decisions of one segment."""
        if segment.events is None:
            self._skipped[SkipReason.QUARANTINED] += segment.head.count
            return
        reports = self._window.reports.of
        limit = segment.head.key.sealed_at + self._loop.reward_wait + self._window.grace
        tag = segment_tag(segment.head.key.name) if self._repeated else 0
        foreseen = segment.head.key.sealed_at - self._window.grace
        for index, decision in enumerate(segment.events):
            is_unforeseen = is_straggler or decision.decided_at < foreseen
            mine = self._reports_of(decision) if decision.slot else reports.get(decision.event_id, ())
            before = _NONE
            if self._repeated and (mark := fingerprint(decision.key)) in self._repeated:
                own = Sighting(decision.decided_at, segment.head.key.sealed_at, tag, index)
                before = self._repeated[mark].before(own, self._loop.reward_wait + REMEMBERED, is_straggler=is_straggler)
                mine = self._few(mine, decision, before) if before and not is_unforeseen and len(mine) > _MANY else mine
            taken = _in_time(mine, decision.decided_at, limit, self._loop) if mine else ()
            is_duplicate = bool(before)
            self._wasted += sum(self._is_wasted(each, before) for each in taken) if is_duplicate else 0
            self._placed.update([each.id for each in taken])
            if is_unforeseen:
                self._found.update(_counted_before(taken, self._window))
            counted = _once([each.observation for each in taken])
            self._repeats += 0 if is_duplicate else len(taken) - len(counted)
            event = _joined(decision, counted, self._loop, is_duplicate=is_duplicate)
            self._events.append(event)
            if event.skip is not None:
                self._skipped[event.skip] += 1

    def done(self) -> Joined:
        """Count, and give all."""
        window = self._window
        counted, unknown, late = _count_rewards(window, self._placed, self._loop)
        taken_back = _taken_back(self._found, window, self._loop)
        counters = Counters(
            learned=sum(event.skip is None for event in self._events),
            skipped={reason.value: count for reason, count in self._skipped.items()},
            late_rewards=self._wasted - taken_back[_Verdict.LATE],
            unknown_rewards=-taken_back[_Verdict.UNKNOWN],
            stragglers=sum(segment.head.count for segment in window.stragglers),
            repeated_rewards=self._repeats,
        )
        return Joined(tuple(self._events), counted.plus(counters), unknown, late)

    def _reports_of(self, decision: Decision) -> Sequence[Report]:
        if decision.key not in self._of_slots:
            self._of_slots[decision.key] = _of_slot(decision, self._window.reports.of)
        return self._of_slots[decision.key]

    def _few(self, mine: Sequence[Report], decision: Decision, before: "_Before") -> Sequence[Report]:
        """Choose some of a duplicate's many reports: all that the decision before it is not in time for, and the first of the others.

        That one is of this window as well, and takes what is left out.
        """
        nearest, wait = before.nearest(), self._loop.reward_wait
        if nearest is None or nearest.sealed_at < self._window.since:
            return mine
        if decision.key not in self._slow:
            grace = self._window.grace
            self._slow[decision.key] = [n for n, each in enumerate(mine) if each.sealed_at - each.observation.observed_at >= grace]
        first = bisect_left(mine, decision.decided_at - EARLY, key=_observed_at)
        others = max(first, bisect_right(mine, nearest.decided_at + wait, key=_observed_at))
        last = bisect_right(mine, decision.decided_at + wait, key=_observed_at)
        slow = [place for place in self._slow[decision.key] if first <= place < others]
        places = sorted({*range(first, min(first + _MANY, others)), *slow})
        return [*[mine[place] for place in places], *mine[others:last]]

    def _is_wasted(self, report: Report, before: "_Before") -> bool:
        """Whether a duplicate's observation is a reward that no earlier decision was in time for: it is late for the one that counts."""
        at, window, loop = report.observation.observed_at, self._window, self._loop
        if report.observation.is_activation:
            return False
        in_question = before.decided_between(at - loop.reward_wait, at + EARLY)
        return not any(_covers(each, at, report.sealed_at, window, loop) for each in in_question)


@dataclass(frozen=True, slots=True)
class _Before:
    """The decisions that come before one of the same event (and slot): parts of some in order.

    None is copied, nor looked at where another one tells enough: every call of a client may name the same event.
    """

    parts: Sequence[tuple[Sequence[Sighting], range]]
    grace: timedelta = timedelta(0)

    def __bool__(self) -> bool:
        return any(places for _, places in self.parts)

    def nearest(self) -> Sighting | None:
        """Give the last of those that come before it in order, if there are any."""
        ordered, places = self.parts[0]
        return ordered[places[-1]] if places else None

    def decided_between(self, first: datetime, last: datetime) -> Iterator[Sighting]:
        """Give those decided in ``[first, last]``, the last in order first."""
        for ordered, places in self.parts:
            for place in reversed(places):
                if first <= ordered[place].decided_at <= last:
                    yield ordered[place]
                elif _turn(ordered[place], self.grace) < first:
                    break


_NONE = _Before(())


@dataclass(frozen=True, slots=True)
class _Repeated:
    """All decisions of one event (and slot), in order, and those of them that were learned before this window."""

    ordered: Sequence[Sighting]
    learned: Sequence[Sighting]
    grace: timedelta

    def before(self, own: Sighting, span: timedelta, *, is_straggler: bool) -> _Before:
        """Give those that come first, or (for a straggler) were learned long ago."""
        turn = _turn(own, self.grace)
        near = self._between(self.ordered, turn - span, turn)
        first = (self.ordered, range(near.start, bisect_left(self.ordered, (turn, own), key=_place(self.grace))))
        if not is_straggler:
            return _Before([first], self.grace)
        return _Before([first, (self.learned, self._between(self.learned, turn - span, turn + span))], self.grace)

    def _between(self, ordered: Sequence[Sighting], first: datetime, last: datetime) -> range:
        """Tell where those stand whose turn is in ``[first, last]``."""

        def turn(each: Sighting) -> datetime:
            return _turn(each, self.grace)

        return range(bisect_left(ordered, first, key=turn), bisect_right(ordered, last, key=turn))


def _repeated(window: Window, span: timedelta) -> dict[int, _Repeated]:
    """Give the decisions of each event that has several."""
    straggling = _straggling(window)
    found: dict[int, _Repeated] = {}
    for mark, sightings in window.sightings.items():
        if len(sightings) > 1:
            ordered = sorted(sightings, key=_place(window.grace))
            learned = _learned(ordered, straggling, window, span) if straggling else ()
            found[mark] = _Repeated(ordered, learned, window.grace)
    return found


def _learned(ordered: Iterable[Sighting], straggling: AbstractSet[Sighting], window: Window, span: timedelta) -> Sequence[Sighting]:
    """Give those of the windows before, without what one did not learn because it saw an earlier one of a window to come."""
    learned: list[Sighting] = []
    ahead = None
    for each in ordered:
        if each in straggling:
            continue
        turn = _turn(each, window.grace)
        if each.sealed_at >= window.since:
            ahead = turn
        elif ahead is None or ahead < turn - span:
            learned.append(each)
    return learned


def _turn(sighting: Sighting, grace: timedelta) -> datetime:
    """Tell from when on a decision counts among those of its event: when it was made, or a grace before it was sealed if that is later.

    So those before it were sealed less than a grace behind the end of its window at most: each window sees them all, whichever of
    them belongs to a later one.
    """
    return max(sighting.decided_at, sighting.sealed_at - grace)


def _place(grace: timedelta) -> Callable[[Sighting], tuple[datetime, Sighting]]:
    """Give what decisions of one event are put in order by."""
    return lambda sighting: (_turn(sighting, grace), sighting)


def _is_unforeseen(sighting: Sighting, window: Window, until: datetime) -> bool:
    """Whether a decision was sealed so long after it was made that windows up to this time may have counted its rewards without it."""
    return sighting.sealed_at >= until and sighting.sealed_at - sighting.decided_at > window.grace


def _observed_at(report: Report) -> datetime:
    return report.observation.observed_at


def _straggling(window: Window) -> set[Sighting]:
    """Give the sightings of what turned up behind the watermark."""
    return {
        Sighting(event.decided_at, segment.head.key.sealed_at, segment_tag(segment.head.key.name), index)
        for segment in window.stragglers
        for index, event in enumerate(segment.events or ())
    }


def _in_order(window: Window) -> Iterator[tuple[Segment[Decision], bool]]:
    for segment in sorted(window.stragglers, key=_key):
        yield segment, True
    for segment in sorted(window.fresh, key=_key):
        yield segment, False


def _key(segment: Segment[Decision]) -> SegmentKey:
    return segment.head.key


def _of_slot(decision: Decision, reports: Mapping[EventKey, Sequence[Report]]) -> Sequence[Report]:
    """Give the rewards of a decision's slot and the activations of its event: those name no slot."""
    activations = [report for report in reports.get(decision.event_id, ()) if report.observation.is_activation]
    return sorted([*reports.get(decision.key, ()), *activations], key=_arrival)


def _arrival(report: Report) -> tuple[datetime, datetime]:
    return report.observation.observed_at, report.sealed_at


def _in_time(reports: Sequence[Report], decided_at: datetime, limit: datetime, loop: LoopSettings) -> Sequence[Report]:
    """Choose the reports that count for a decision of this time: observed in time, and sealed before the limit."""
    first, last = decided_at - EARLY, decided_at + loop.reward_wait
    return [report for report in reports if first <= report.observation.observed_at <= last and report.sealed_at < limit]


def _once(observations: Sequence[Observation]) -> tuple[Observation, ...]:
    """Leave out the rewards that have the id of an earlier one: a client sent it again, to another process or after a restart."""
    if not any(each.mark for each in observations):
        return tuple(observations)
    found: dict[int, Observation] = {}
    for number, each in enumerate(observations):
        found.setdefault(each.mark or -number - 1, each)
    return tuple(found.values())


def _covers(sighting: Sighting, at: datetime, sealed_at: datetime, window: Window, loop: LoopSettings) -> bool:
    """Whether what was observed at that time, and sealed then, is in time for this decision."""
    is_in_time = sighting.decided_at - EARLY <= at <= sighting.decided_at + loop.reward_wait
    return is_in_time and sealed_at < sighting.sealed_at + loop.reward_wait + window.grace


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


def _counted_before(taken: Iterable[Report], window: Window) -> dict[str, Due]:
    """Give the rewards among what an unforeseen decision takes that are of earlier windows."""
    rewards = [each for each in taken if each.sealed_at < window.since and not each.observation.is_activation]
    return {each.id: Due(each.id, each.sealed_at, each.observation.observed_at, fingerprint(each.observation.key)) for each in rewards}


def _taken_back(found: Mapping[str, Due], window: Window, loop: LoopSettings) -> Counter["_Verdict"]:
    """Tell what rewards were counted as without the unforeseen decisions: as what the others made of them.

    Those that this window judges are none of them.
    """
    verdicts: Counter[_Verdict] = Counter()
    if not found:
        return verdicts
    straggling, judged = _straggling(window), {each.id for each in window.reports.due}
    for name, each in found.items():
        if name in judged:
            continue
        others = [s for s in window.sightings.get(each.mark, ()) if s not in straggling and not _is_unforeseen(s, window, window.since)]
        verdicts[_verdict(each, replace(window, since=each.sealed_at, sightings={each.mark: others}), loop)] += 1
    return verdicts


class _Verdict(Enum):
    IN_TIME = 1
    LATE = 2
    UNKNOWN = 3


def _count_rewards(window: Window, placed: AbstractSet[str], loop: LoopSettings) -> tuple[Counters, frozenset[str], frozenset[str]]:
    """Count the rewards that are due to be counted, and count those anew that were late or unknown and may have found their decision."""
    found: dict[_Verdict, dict[str, datetime]] = {verdict: {} for verdict in _Verdict}
    for each in window.reports.due:
        verdict = _Verdict.IN_TIME if each.id in placed else _verdict(each, window, loop)
        found[verdict][each.id] = each.observed_at
    late, unknown, lost = found[_Verdict.LATE], found[_Verdict.UNKNOWN], window.reports.lost
    judged = set().union(*found.values())
    counters = Counters(
        rewards=window.reports.rewards,
        late_rewards=len(late) - len(window.late & judged),
        unknown_rewards=len(unknown) + lost - len(window.unknown & judged),
    )
    return counters, _remembered(unknown, window), _remembered(late, window)


def _remembered(rewards: Mapping[str, datetime], window: Window) -> frozenset[str]:
    """Name those that a decision may still come for."""
    return frozenset([each for each, at in rewards.items() if at >= window.until - EARLY])


def _verdict(due: Due, window: Window, loop: LoopSettings) -> _Verdict:
    """Tell what becomes of a reward that no decision of this window is there for.

    One that turned up behind the watermark is late for any decision that was learned without it, and one that was counted before
    has not met those that were there then.
    """
    sightings, at = window.sightings.get(due.mark, ()), due.observed_at
    is_straggler, until = due.sealed_at < window.since, window.until
    in_time = (s for s in sightings if _covers(s, at, due.sealed_at, window, loop) and (s.sealed_at >= window.since or not is_straggler))
    if any(not _is_unforeseen(each, window, until) for each in in_time):
        return _Verdict.IN_TIME
    known = (s for s in sightings if s.decided_at - EARLY <= at <= s.decided_at + loop.reward_wait + REMEMBERED)
    if any(not _is_unforeseen(each, window, until) for each in known):
        return _Verdict.LATE
    return _Verdict.UNKNOWN
