"""Two policies compared round by round: by how much one earns more than the other, over the same events.

Where both would have chosen alike, a round says that they earn the same, however noisy its reward is. So the difference is known long
before each of the two values is.

The difference of two doubly robust values is one itself: D = Σ (π(b) − π'(b)) q(b) + δ (r − q(a)) with δ = (π(a) − π'(a)) / μ(a). So its
sums are `Moments` whose weights are δ, with a mean of 0 where a policy's weights have one of 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shared.domain.errors import UnreadableError
from shared.evaluation.estimators import calibration, ratio
from shared.evaluation.intervals import ALPHA, UNIT, Interval, Range
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.sequences import CONSTANTS, SHARES, differences_by_constants, halved, sequence_of
from shared.evaluation.special import f_quantile
from shared.evaluation.sums import Floats, Largest, Summed, Sums

_FITTED: Final = 3.0
"""Numbers that the estimate is fitted by: the mean, and what predictions are calibrated with."""


@dataclass(frozen=True, eq=False, slots=True)
class Scope(Sums):
    """What could have been drawn in the place of what was.

    ``differing`` counts the rounds in which the policies differ at all, ``distance`` sums how much of their probability does. ``rises`` and
    ``falls`` sum the expected squares of δ where it is above 0 and below. ``reach`` is the furthest that a round's D could be from 0, in
    rewards' ranges.
    """

    rounds: Summed
    differing: Summed
    distance: Summed
    rises: Summed
    falls: Summed
    reach: Largest


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """n rounds of a log: of each its ``chosen`` action [n], the probabilities ``logged`` [n, K], its reward, and ``predictions`` [n, K].

    ``counts`` [n] tell how many rounds each stands for, as in `Rounds`.
    """

    chosen: npt.NDArray[np.int64]
    logged: Floats
    rewards: Floats
    predictions: Floats
    counts: Floats | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Pairs:
    """The sums of policies [P], each beside the same other one."""

    moments: Moments
    scope: Scope

    @staticmethod
    def of(drawn: Drawn, target: Floats, other: Floats) -> "Pairs":
        """Compare the policies' probabilities [P, n, K] with those of another one [n, K], over all rounds."""
        return Pairs.of_parts(drawn, target, other, np.zeros(1, dtype=np.int64)).taken((..., 0))

    @staticmethod
    def of_parts(drawn: Drawn, target: Floats, other: Floats, starts: npt.NDArray[np.int64]) -> "Pairs":
        """Do so for each part, from one start to the next one; the parts are the last axis, and none is empty."""
        columns = [_difference(drawn, each - other) for each in target]
        weights, predicted, expected, reach, *summed = (np.stack(column) for column in zip(*columns, strict=True))
        rewards = np.broadcast_to(drawn.rewards, weights.shape)
        rounds = Rounds(weights, rewards, predicted, expected, np.zeros(weights.shape), drawn.counts)
        moments = Moments.of_parts(rounds, starts)
        differing, distance, rises, falls = (np.add.reduceat(each, starts, axis=-1) for each in summed)
        return Pairs(moments, Scope(moments.rounds, differing, distance, rises, falls, np.maximum.reduceat(reach, starts, axis=-1)))

    def __add__(self, other: "Pairs") -> "Pairs":
        return Pairs(self.moments + other.moments, self.scope + other.scope)

    def taken(self, index: Any) -> "Pairs":
        """Give some of the policies, as an array's index would."""
        return Pairs(self.moments.taken(index), self.scope.taken(index))

    def plain(self) -> dict[str, Any]:
        """Give nothing but mappings, lists and finite numbers."""
        return {"moments": self.moments.plain(), "scope": self.scope.plain()}

    @staticmethod
    def of_plain(plain: Mapping[str, Any]) -> "Pairs":
        """Read back what `plain` gave; raises `UnreadableError` for anything else."""
        if not isinstance(plain, Mapping) or set(plain) != {"moments", "scope"}:
            raise UnreadableError("a pair consists of moments and a scope")
        return Pairs(Moments.of_plain(plain["moments"]), Scope.of_plain(plain["scope"]))


def _difference(drawn: Drawn, shift: Floats) -> tuple[Floats, ...]:
    """Give δ, q and Σ (π − π') q of each round [n], and then what `Scope` takes of it."""
    deltas = np.divide(shift, drawn.logged, out=np.zeros(shift.shape), where=drawn.logged > 0.0)
    many = np.ones(len(drawn.chosen)) if drawn.counts is None else drawn.counts
    distance = np.abs(shift).sum(axis=1)
    return (
        _of(deltas, drawn.chosen),
        _of(drawn.predictions, drawn.chosen),
        (shift * drawn.predictions).sum(axis=1),
        many * (np.abs(deltas).max(axis=1, initial=0.0) + 0.5 * distance),
        many * (distance > 0.0),
        many * 0.5 * distance,
        many**2 * (np.maximum(deltas, 0.0) ** 2 * drawn.logged).sum(axis=1),
        many**2 * (np.minimum(deltas, 0.0) ** 2 * drawn.logged).sum(axis=1),
    )


def _of(values: Floats, chosen: npt.NDArray[np.int64]) -> Floats:
    taken: Floats = np.take_along_axis(values, chosen[:, None], axis=1)[:, 0]
    return taken


def lift(pairs: Pairs) -> Floats:
    """Give how much more is earned a round; predictions are calibrated as in `calibrated_doubly_robust`."""
    moments, n = pairs.moments, pairs.moments.rounds
    alpha, beta = calibration(moments)
    return ratio(moments.wr, n) - alpha * ratio(moments.w, n) - beta * ratio(moments.e, n)


def lift_interval(pairs: Pairs, *, alpha: float = ALPHA, rewards: Range = UNIT) -> Interval:
    """Give the interval for one look, which was decided on beforehand: Student's, with one more round at each end.

    That round has the weight that is usual where the policies differ, and a reward that moves the end outwards: a log may hold none of the
    few rounds that count. How often each δ can be drawn is known, so their spread is known as well: if those that were drawn spread less,
    what they say of the noise is scaled up. The fewer rounds say most of it, the fewer are the degrees of freedom.
    """
    moments, (low, high) = pairs.moments, rewards.around(pairs.moments)
    value, n, limit = lift(pairs), moments.rounds, high - low
    quantile, squares = f_quantile(1.0 - alpha, _degrees(moments)), n * _variance(pairs)
    up, down = _one_more(pairs, low, high)
    lower = value - ratio(down + np.sqrt(quantile * (squares + down**2)), n)
    upper = value + ratio(up + np.sqrt(quantile * (squares + up**2)), n)
    known = n > _FITTED
    return Interval(np.where(known, np.maximum(lower, -limit), -limit), np.where(known, np.minimum(upper, limit), limit))


def _one_more(pairs: Pairs, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Give by how much one more round could raise the sum of D, and lower it."""
    scope, moments = pairs.scope, pairs.moments
    usual = np.clip(ratio(moments.wwr, moments.ww), low, high)  # what is earned where the policies differ
    more = np.where(np.isnan(usual), high - low, high - usual)
    less = np.where(np.isnan(usual), high - low, usual - low)
    rise, fall = (np.nan_to_num(ratio(each, scope.distance)) for each in (scope.rises, scope.falls))
    return np.maximum(rise * more, fall * less), np.maximum(fall * more, rise * less)


def _variance(pairs: Pairs) -> Floats:
    """Give that of a round's calibrated D."""
    moments, n = pairs.moments, pairs.moments.rounds
    alpha, beta = calibration(moments)
    squares = (
        moments.wwrr
        - 2.0 * alpha * moments.wwr
        - 2.0 * beta * moments.wre
        + alpha**2 * moments.ww
        + beta**2 * moments.ee
        + 2.0 * alpha * beta * moments.we
    )
    seen = np.maximum(ratio(squares, n) - lift(pairs) ** 2, 0.0) * ratio(n, np.maximum(n - _FITTED, 1.0))
    missing = np.nan_to_num(ratio(pairs.scope.rises + pairs.scope.falls, moments.ww), nan=1.0)
    return seen * np.maximum(missing, 1.0)


def _degrees(moments: Moments) -> Floats:
    """Give the degrees of freedom of a variance whose noise is that of squares of D (Satterthwaite 1946)."""
    n, squares, fourth = moments.rounds, moments.dd, moments.dddd
    tailed = np.nan_to_num(ratio(n * fourth, squares**2), nan=3.0)
    return np.clip(2.0 * ratio(n, np.maximum(tailed - 1.0, 1e-9)), 1.0, np.maximum(n - _FITTED, 1.0))


def lift_sequence(pairs: Pairs, *, alpha: float = ALPHA, rewards: Range = UNIT) -> Interval:
    """Give an interval that holds the difference at all looks at once (Waudby-Smith et al. 2022, arXiv 2210.10768).

    Predictions have to lie within the range of rewards, and must not know their own round or later ones.
    """
    moments, (low, high) = pairs.moments, rewards.around(pairs.moments)
    scale = high - low
    reach = _rounded_up(pairs.scope.reach)[..., None]
    depths = np.concatenate([reach, reach * np.maximum(CONSTANTS, 1.0 - CONSTANTS)], axis=-1)
    found = sequence_of(halved(_powers(moments, low, scale)), 0.5 * (1.0 + depths), 0.5 * (1.0 + depths), SHARES, alpha)
    return Interval(scale * (2.0 * found.lower - 1.0), scale * (2.0 * found.upper - 1.0))


def _rounded_up(reach: Floats) -> Floats:
    """Give the next power of two: stakes have to be fixed before the first round, and must not follow each new largest reach."""
    return np.asarray(2.0 ** np.ceil(np.log2(np.maximum(reach, 1.0))))


def _powers(moments: Moments, low: Floats, scale: Floats) -> list[Floats]:
    """Give the sums of powers of D for the learned predictions, and then for each constant one, for rewards put to 0..1."""
    robust = (moments.rounds, moments.d, moments.dd, moments.ddd, moments.dddd)
    constant = differences_by_constants(moments, low, scale)
    return [
        np.concatenate([(mine / scale**degree)[..., None], others], axis=-1)
        for degree, (mine, others) in enumerate(zip(robust, constant, strict=True))
    ]
