"""What lanes found, as people read it: estimates with intervals, time series, all estimators side by side, and what to be wary of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from typing import Any, Final

import numpy as np

from shared.domain.evaluation import ONLINE, PRESENT, Bucket, Estimate, Point, PolicyResult, PolicySource, Report, Series, Sums, Window
from shared.evaluation import estimators, intervals
from shared.evaluation.health import WeightHealth
from shared.evaluation.intervals import ALPHA, Interval, Range
from shared.evaluation.moments import Moments
from shared.evaluation.pairs import Pairs
from shared.evaluation.sequences import confidence_sequence
from shared.evaluation.series import Series as SeriesOfSums
from shared.evaluation.tally import default_interval
from shared.services.analysis.lane import MOST_SLOTS, Contender, Counts, Lane, SlotSums
from shared.services.analysis.titles import called, title_of

EXPANDING: Final = 5
ROLLING: Final = (60, 360, 720, 1440)
"""In minutes: what time series there are. Where buckets are longer than that, it is as fine as they are."""

_MOSTLY: Final = 0.5
_SELDOM: Final = 0.001
"""How often a policy may be called unsound that is sound."""


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """What is left of a lane when it is over: whom it compared, by slot the sums of all of them, and the range of rewards.

    ``values`` are those that it kept of its rounds, if any, ``counts`` the events that it met, and ``counted`` what a lane that only counts
    has come to, as bytes.
    """

    contenders: tuple[Contender, ...]
    sums: Mapping[str, SlotSums]
    rewards: Range
    values: tuple[float, ...] = ()
    counts: Counts = field(default_factory=Counts)
    counted: bytes = b""

    @staticmethod
    def of(lane: Lane) -> "Found":
        """Take it from a lane."""
        return Found(lane.lineup.contenders, lane.sums, lane.range, counts=replace(lane.counts))


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """One policy in one slot, or in all ("")."""

    contender: Contender
    slot: str
    series: SeriesOfSums
    moments: Moments
    sums: SlotSums
    rewards: Range

    @property
    def largest_weight(self) -> float:
        """The largest weight that could be."""
        return float(self.sums.coverage.largest_possible[0])

    @property
    def has_evidence(self) -> bool:
        """Whether the policy could have chosen what was shown in any round."""
        return bool(self.moments.w > 0.0)

    def against(self, other: "Part") -> Pairs | None:
        """Give the sums of this policy beside another one, which are kept of what was shown, the baseline and the present policy."""
        found = self.sums.pairs.get(other.contender.name)
        return None if found is None else found.taken(0)

    def estimate(self) -> Estimate:
        """Give the default estimate, over all rounds."""
        (found,) = _estimates(self.moments.taken(None), self)
        return found


def parts(found: Sequence[Found]) -> list[Part]:
    """Give each policy over all slots and then slot by slot, the slots in alphabetical order; what has no rounds is left out."""
    taken = [
        _part(lane, number, slot) for lane in found for number in range(len(lane.contenders)) for slot in sorted(lane.sums)
    ]  # "" is the first
    return sorted([each for each in taken if each.moments.rounds > 0.0], key=lambda each: _ORDER.get(each.contender.source, len(_ORDER)))


_ORDER: Final = {PolicySource.ONLINE: 0, PolicySource.BASELINE: 1, PolicySource.RANDOM: 2}


def _part(lane: Found, number: int, slot: str) -> Part:
    sums = lane.sums[slot]
    tally = sums.tally
    own = SlotSums(
        replace(
            tally,
            series=replace(tally.series, moments=tally.series.moments.taken([number])),
            table=tally.table.taken([number]),
            candidates={name: each.taken([number]) for name, each in tally.candidates.items()},
        ),
        sums.coverage.taken([number]),
        {name: each.taken([number]) for name, each in sums.pairs.items()},
    )
    series = replace(tally.series, moments=tally.series.moments.taken(number))
    return Part(lane.contenders[number], slot, series, series.total, own, lane.rewards)


# --- the contract's figures --------------------------------------------------------------------------------------------


def policy_results(found: Sequence[Part]) -> tuple[PolicyResult, ...]:
    """Give the figures over all of the range; without time series."""
    return tuple(
        [
            PolicyResult(
                name=each.contender.name,
                arguments=each.contender.arguments,
                source=each.contender.source,
                slot=each.slot,
                estimate=each.estimate(),
                sums=_sums(each.moments),
            )
            for each in found
        ]
    )


def with_one_series(result: PolicyResult, part: Part, window: Window, minutes: int) -> PolicyResult:
    """Add this time series alone: each takes its time, and readers look at one after the other."""
    sums = part.series.expanding() if window is Window.EXPANDING else _coarser(part.series, minutes)
    return replace(result, series=(Series(window, minutes, _points(sums, part)),))


def with_series(result: PolicyResult, part: Part) -> PolicyResult:
    """Add the buckets and all time series."""
    buckets = _points(part.series, part)
    sums = [_sums(part.series.moments.taken(number)) for number in range(len(buckets))]
    series = [Series(Window.EXPANDING, EXPANDING, _points(part.series.expanding(), part))]
    series += [Series(Window.ROLLING, minutes, _points(_coarser(part.series, minutes), part)) for minutes in ROLLING]
    return replace(
        result,
        buckets=tuple([Bucket(point.at, own, point.estimate, part.series.minutes) for point, own in zip(buckets, sums, strict=True)]),
        series=tuple(series),
    )


def optimal(results: Sequence[PolicyResult]) -> str:
    """Name the policy that would have earned most, of those that a loop can be served by; "" if none has figures.

    What was shown is none of these where the present policy is valued by itself, which is kept unless another earns more.
    """
    is_apart = any(each.name == PRESENT for each in results)
    left_out = {PolicySource.BASELINE, PolicySource.RANDOM, *([PolicySource.ONLINE] if is_apart else [])}
    able = [
        (each.estimate.expected_reward, each.name in (ONLINE, PRESENT), each.name)
        for each in results
        if each.estimate and not each.slot and each.source not in left_out
    ]
    return max(able)[-1] if able else ""


def _coarser(series: SeriesOfSums, minutes: int) -> SeriesOfSums:
    return series.coarser(minutes) if minutes > series.minutes else series


def _points(series: SeriesOfSums, part: Part) -> tuple[Point, ...]:
    found = _estimates(series.moments, part)
    return tuple([Point(at, estimate) for at, estimate in zip(series.begins, found, strict=True)])


def _estimates(moments: Moments, part: Part) -> list[Estimate]:
    """Give the default estimates [n], held within the range of rewards, and their intervals."""
    low, high = part.rewards.around(moments)
    interval = interval_of(moments, part)
    columns = estimators.calibrated_doubly_robust(moments), interval.lower, interval.upper
    rows = zip(*[np.clip(each, low, high).tolist() for each in columns], strict=True)
    return [Estimate(*row) for row in rows]


def interval_of(moments: Moments, part: Part, *, alpha: float = ALPHA) -> Interval:
    """Give the default interval; of rewards that were earned themselves, all of one weight, the exact one for shares."""
    if part.contender.source is PolicySource.ONLINE:
        return intervals.clopper_pearson(moments, alpha=alpha, rewards=part.rewards)
    return default_interval(moments, largest_weight=part.largest_weight, alpha=alpha, rewards=part.rewards)


def _sums(moments: Moments) -> Sums:
    rounds = float(moments.rounds)
    return Sums(
        weighted_rewards=float(moments.wr),
        rounds=rounds,
        weights=float(moments.w),
        weighted_squares=float(moments.wwrr),
        nonzero=float(moments.possible) / rounds if rounds else 0.0,
    )


# --- the full report ---------------------------------------------------------------------------------------------------


def report(part: Part, *, alpha: float = ALPHA) -> Report:
    """Say all there is to say of a policy."""
    moments, largest = part.moments, part.largest_weight
    health = WeightHealth.of(moments, alpha=alpha)
    return Report(
        name=part.contender.name,
        title=title_of(part.contender),
        source=part.contender.source,
        slot=part.slot,
        rounds=int(moments.rounds),
        estimates={name: _told(part, name, float(value[0])) for name, value in part.sums.tally.estimates(largest_weight=largest).items()},
        intervals={name: _ends(each) for name, each in _intervals(part, alpha).items()},
        mean_weight=float(health.mean),
        mean_weight_interval=_ends(health.interval),
        is_sound=_is_sound(health),
        effective_rounds=float(health.effective_rounds),
        largest_weight=float(health.largest),
        largest_possible_weight=largest,
        forced=float(part.sums.coverage.forced[0]) / float(moments.rounds),
    )


def _told(part: Part, name: str, value: float) -> float:
    """Give an estimate, nan where the log has no round that the policy could have chosen: predictions alone are told as such."""
    return value if part.has_evidence or name == "dm" else nan


def _intervals(part: Part, alpha: float) -> dict[str, Interval]:
    """Give those that hold as often as they say; `benchmarks.coverage` counts how often others do."""
    moments, rewards = part.moments, part.rewards
    bounded: dict[str, Any] = {"largest_weight": part.largest_weight, "alpha": alpha, "rewards": rewards}
    return {
        "default": interval_of(moments, part, alpha=alpha),
        "cressie_read": intervals.cressie_read(moments, **bounded),
        "empirical_bernstein": intervals.empirical_bernstein(moments, **bounded),
        "empirical_bernstein_dr": intervals.empirical_bernstein_doubly_robust(moments, **bounded),
        "anytime": confidence_sequence(moments, **bounded),
    }


def _ends(interval: Interval) -> tuple[float, float]:
    return float(interval.lower), float(interval.upper)


def _is_sound(health: WeightHealth) -> bool:
    """Tell whether the mean weight may be 1; one that never varies is, if it is nearly so."""
    return bool(health.is_sound) or abs(float(health.mean) - 1.0) < 1e-6


# --- what to be wary of ------------------------------------------------------------------------------------------------


def notes(found: Sequence[Found]) -> list[str]:
    """Say in words which events count in another way than once; nothing, if none does."""
    told = []
    if apprentice := max([each.counts.apprentice for each in found], default=0):
        told.append(
            f"Events of Apprentice mode ({apprentice:,} here) are learned, but do not count in any estimate: "
            "the baseline was shown, not the proposal."
        )
    if thinned := max([each.counts.thinned for each in found], default=0):
        told.append(
            f"Events that stand for others as well ({thinned:,} here) count 1 / (1 - pdrop) times in rounds, estimates and intervals. "
            "Intervals that hold at any time take those left out for as many as there are on average."
        )
    return told


def warnings(found: Sequence[Part]) -> list[str]:
    """Say in words what makes figures doubtful; nothing, if all is well."""
    whole = [each for each in found if not each.slot]
    told = [_unsound(each) for each in whole if not is_trusted(each)]
    forced = forced_share(found)
    if forced > _MOSTLY:
        told.append(
            f"In {_share(forced)} of the rounds only one action had any probability: the others count as excluded there, "
            "so all policies earn the same in those rounds."
        )
    return told + _left_out(found)


def forced_share(found: Sequence[Part]) -> float:
    """Tell the share of the rounds in which only one of several actions could be shown: nothing in them tells policies apart."""
    return max([float(each.sums.coverage.forced[0] / each.moments.rounds) for each in found if not each.slot], default=0.0)


def _share(part: float) -> str:
    """Write a share that is less than all as less than all.

    >>> _share(1.0), _share(0.9999), _share(0.5)
    ('100%', '99.99%', '50%')
    """
    text = f"{part:.0%}"
    return f"{min(part, 0.9999):.2%}" if text == "100%" and part < 1.0 else text


def _left_out(found: Sequence[Part]) -> list[str]:
    """Say how many rounds no slot's own figures hold, where there are as many of those as there may be."""
    own = [each for each in found if each.slot and each.contender == found[0].contender]
    left = found[0].moments.rounds - sum(each.moments.rounds for each in own) if found and not found[0].slot else 0.0
    if len(own) < MOST_SLOTS or left < 0.5:
        return []
    return [
        f"The first {MOST_SLOTS} slots have figures of their own; "
        f"the other {left:,.0f} rounds, of further slots or of none, count in the whole only."
    ]


def is_trusted(part: Part) -> bool:
    """Whether the mean weight is 1 but for chance: then the probabilities may be the true ones, and the figure holds."""
    return _is_sound(_certain(part))


def _certain(part: Part) -> WeightHealth:
    return WeightHealth.of(part.moments, alpha=_SELDOM)


def _unsound(part: Part) -> str:
    health = _certain(part)
    lower, upper = _ends(health.interval)
    if not isfinite(lower):
        return f"The mean weight of {called(part.contender)} is {float(health.mean):.3f} but it has to be 1: these are too few events."
    why = (
        "its choices were shown too rarely, so trust only the interval"
        if upper < 1.0
        else "the logged probabilities may not be the true ones"
    )
    return (
        f"The mean weight of {called(part.contender)} is {float(health.mean):.3f} (99.9 %: {lower:.3f} to {upper:.3f}) "
        f"but it has to be 1: {why}."
    )
