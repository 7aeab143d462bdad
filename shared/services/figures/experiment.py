"""What the standing holdout has shown: what the policy earns beside the application's own choice, and since when that is proven.

Everything holds at all looks at once: who looks at it every minute is wrong with a chance of 5 % at most in the whole time.

The difference is not taken from two intervals, but has a sequence of its own: each event is a draw of w (r − c) with w = 1/(1 − h), or
−1/h if it was held out. Its lift in per cent also needs what the baseline earns. So the difference has one half of the 5 %, and each side
the other half.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log2
from typing import Final

import numpy as np

from shared.domain.clock import EPOCH
from shared.domain.experiment import Verdict
from shared.domain.loop import LEAST_HOLDOUT, MOST_HOLDOUT
from shared.evaluation.buckets import expanded, merged
from shared.evaluation.estimators import ratio, snips
from shared.evaluation.intervals import ALPHA, Interval
from shared.evaluation.rounds import Integers
from shared.evaluation.sequences import confidence_sequence_by_constants, confidence_sequence_of_sides
from shared.evaluation.sums import Floats
from shared.services.figures.lifts import Estimated, Lift, lift_between
from shared.services.figures.timeline import Timeline
from shared.services.figures.trial import Trial

MOST_LOOKS: Final = 100
"""At so many ends of buckets it is looked when the lift was proven; then at all between two of them."""

DOUBTED: Final = 0.01
"""A split is not what was asked for if it is less likely than that; a sound one is ever doubted with this chance at most."""

_CLASSES: Final = np.array([log2(1.0 / LEAST_HOLDOUT) // 1 + 2, log2(1.0 / (1.0 - MOST_HOLDOUT)) // 1 + 2])
"""How many powers of two may turn out to bound the weights of each side."""

_BELIEFS: Final = (
    np.array([0.0, 0.1, 0.1, 0.15, 0.2, 0.2, 0.1, 0.05, 0.04, 0.03, 0.03]),
    np.array([0.0, 0.82, 0.1, 0.05, 0.03]),
)
"""The shares of stakes that are put on each of them where both sides are compared: most on holdouts of 2 to 20 %."""

_TILTS: Final = 0.5 ** np.arange(13.0)

_BASELINE, _LEARNED = 0, 1


@dataclass(frozen=True, slots=True)
class Side:
    """What one side earned an event: None where nothing tells."""

    events: int
    expected_reward: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Split:
    """Which share was to be held out and which one was; ``p_value`` holds at any time, and is small if that was hardly chance."""

    asked: float
    found: float
    p_value: float

    @property
    def is_as_asked(self) -> bool:
        """Whether there is no reason to doubt it."""
        return self.p_value >= DOUBTED


@dataclass(frozen=True, slots=True)
class Experiment:
    """The events decided from ``since`` on; the last one in a bucket that begins at ``until``.

    Nothing is proven while the split is doubted. ``proven_since`` is the end of the bucket from which on the verdict has stood.
    """

    since: datetime
    until: datetime
    baseline: Side
    learned: Side
    lift: Lift
    split: Split
    verdict: Verdict
    proven_since: datetime | None

    @property
    def events(self) -> int:
        """How many there were."""
        return self.baseline.events + self.learned.events


def experiment_of(timeline: Timeline, ends: Integers) -> Experiment | None:
    """Read it off the figures; None without one. ``ends`` [B] are those of the buckets, in minutes since 1970."""
    places = np.flatnonzero(timeline.trial.events > 0.0)
    if not len(places):
        return None
    trial, begins = timeline.trial.taken(places), timeline.begins[places]
    whole = merged(trial)
    split = _split(whole)
    interval = anytime(whole)
    sides = [_side(whole, interval, side) for side in (_BASELINE, _LEARNED)]
    effective = ratio(whole.moments.w**2, whole.moments.ww)[:, 0]
    baseline, learned = (
        Estimated(each.expected_reward, each.interval, float(np.nan_to_num(rounds))) for each, rounds in zip(sides, effective, strict=True)
    )
    between = anytime_difference(whole)
    outcome = int(proven(between)[0]) if split.is_as_asked else 0
    return Experiment(
        since=_time(begins[0]),
        until=_time(begins[-1]),
        baseline=sides[_BASELINE],
        learned=sides[_LEARNED],
        lift=lift_between(
            learned,
            baseline,
            (float(between.lower[0]), float(between.upper[0])),
            events=float(whole.events[0]),
            least=float(min(whole.lowest_reward[0], 0.0)),
        ),
        split=split,
        verdict={1: Verdict.BETTER, -1: Verdict.WORSE}.get(outcome, Verdict.NOT_KNOWN),
        proven_since=_time(ends[places[_first(trial, outcome)]]) if outcome else None,
    )


def split_p_values(sums: Trial) -> Floats:
    """Give the chance that the held-out events are as far from what was expected as they are, at any of all looks, [...].

    For a sum S of differences of at most 1 with a mean of 0, whose variances sum to V, exp(tS − V (exp(t) − 1 − t)) is a
    supermartingale for each t > 0 (Bennett 1962), and so is a mean over several t and both signs. Ville's inequality does the rest.
    """
    off, variance = (sums.held_out - sums.expected)[..., None], sums.variance[..., None]
    costs = variance * (np.expm1(_TILTS) - _TILTS)
    exponents = np.concatenate([_TILTS * off - costs, -_TILTS * off - costs], axis=-1)
    largest = exponents.max(axis=-1)
    log_wealth = largest + np.log(np.exp(exponents - largest[..., None]).mean(axis=-1))
    found: Floats = np.exp(-np.maximum(log_wealth, 0.0))
    return found


def _split(whole: Trial) -> Split:
    events = float(whole.events[0])
    return Split(float(whole.expected[0]) / events, float(whole.held_out[0]) / events, float(split_p_values(whole)[0]))


def anytime(sums: Trial) -> Interval:
    """Give intervals of both sides, [2, B], that hold together and at all looks at once."""
    moments = sums.moments
    classes = np.ceil(np.log2(np.maximum(moments.largest_weight, 1.0)))
    belief = np.broadcast_to((1.0 / _CLASSES).reshape(-1, *[1] * (classes.ndim - 1)), classes.shape)
    found = confidence_sequence_by_constants(moments, largest_weight=2.0**classes, belief=belief, alpha=ALPHA / 2.0)
    value = snips(moments)
    return Interval(np.fmin(found.lower, value), np.fmax(found.upper, value))


def anytime_difference(sums: Trial) -> Interval:
    """Give intervals of what the policy earns more than the baseline, [B], that hold at all looks at once."""
    classes = np.ceil(np.log2(np.maximum(np.stack([sums.baseline_bound, sums.learned_bound]), 1.0)))
    beliefs = np.stack([of[np.minimum(each, len(of) - 1).astype(np.int64)] for of, each in zip(_BELIEFS, classes, strict=True)])
    found = confidence_sequence_of_sides(sums.difference, largest_weights=2.0**classes, beliefs=beliefs, alpha=ALPHA / 2.0)
    baseline, learned = snips(sums.moments)
    return Interval(np.fmin(found.lower, learned - baseline), np.fmax(found.upper, learned - baseline))


def proven(difference: Interval) -> Integers:
    """Tell of each look what is proven: 1 if the policy earns more, −1 if it earns less, else 0."""
    found: Integers = (difference.lower > 0.0).astype(np.int64) - (difference.upper < 0.0).astype(np.int64)
    return found


def _first(trial: Trial, outcome: int) -> int:
    """Give the bucket at whose end this was proven, and has been ever since: as far as looks at some, and then at all between two, tell."""
    sums = expanded(trial)
    looks = np.unique(np.linspace(0, len(trial.events) - 1, min(len(trial.events), MOST_LOOKS)).astype(np.int64))
    others = np.flatnonzero(proven(anytime_difference(sums.taken(looks)))[:-1] != outcome)
    if not len(others):
        return int(looks[0])
    last = others[-1]
    between = np.arange(looks[last] + 1, looks[last + 1] + 1)
    others = np.flatnonzero(proven(anytime_difference(sums.taken(between)))[:-1] != outcome)
    return int(between[others[-1] + 1 if len(others) else 0])


def _side(whole: Trial, interval: Interval, side: int) -> Side:
    events = whole.held_out[0] if side == _BASELINE else whole.events[0] - whole.held_out[0]
    reward = _number(snips(whole.moments)[side])
    lower, upper = _number(interval.lower[side]), _number(interval.upper[side])
    return Side(int(events), reward, None if lower is None or upper is None else (lower, upper))


def _number(values: Floats) -> float | None:
    return float(values[0]) if np.isfinite(values[0]) else None


def _time(minutes: int) -> datetime:
    return EPOCH + timedelta(minutes=int(minutes))
