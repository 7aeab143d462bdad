"""How much each feature is worth: what is lost by a policy that was learned without it, over the same rounds.

Both policies are valued round by round, and the differences are averaged: what both have in common, noise included, cancels out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.evaluation.estimators import ratio
from shared.evaluation.intervals import ALPHA, Interval
from shared.evaluation.rounds import Rounds
from shared.evaluation.special import f_quantile
from shared.evaluation.sums import Floats, Largest, Summed, Sums


@dataclass(frozen=True, eq=False, slots=True)
class Loss(Sums):
    """Sums of what is lost in a round, of its second, third and fourth power, and of the whole policy's value; the furthest of them."""

    rounds: Summed
    lost: Summed
    squares: Summed
    cubes: Summed
    fourths: Summed
    whole: Summed
    furthest: Largest

    @staticmethod
    def of(whole: Rounds, without: Rounds) -> "Loss":
        """Compare doubly robust values; ``without`` has the features as its first axis, [F, n]."""
        return Loss.of_values(whole.values, without.values)

    @staticmethod
    def of_values(whole: Floats, without: Floats) -> "Loss":
        """Compare values of the same rounds, [n] and [F, n]."""
        lost = whole - without
        ones, squares = np.ones(lost.shape), lost * lost
        summed = [each.sum(axis=-1) for each in (ones, lost, squares, squares * lost, squares * squares, ones * whole)]
        return Loss(*[*summed, np.abs(lost).max(axis=-1, initial=0.0)])

    def difference(self, *, alpha: float = ALPHA) -> Interval:
        """Give the interval of the mean loss by Student's t, with one more round at each end.

        That round is as far off as any: a log may hold none of the few rounds that count. The t's degrees of
        freedom are those of the variance that was seen, 2n/(kurtosis − 1) (Satterthwaite 1946; Box 1953): where a few rounds make nearly
        all of it, it is known no better than from so few.
        """
        n = self.rounds
        mean, second, third, fourth = (ratio(each, n) for each in (self.lost, self.squares, self.cubes, self.fourths))
        variance = np.maximum(second - mean**2, 0.0)
        around = np.maximum(fourth - 4.0 * mean * third + 6.0 * mean**2 * second - 3.0 * mean**4, 0.0)
        excess = np.maximum(np.nan_to_num(ratio(around, variance**2)) - 1.0, 0.0)
        freedom = np.clip(np.nan_to_num(ratio(2.0 * n, excess), nan=np.inf), 1.0, np.maximum(n - 1.0, 1.0))
        squares = n * variance + self.furthest**2
        half = ratio(self.furthest + np.sqrt(f_quantile(1.0 - alpha, freedom) * squares), np.where(n > 1.0, n, 0.0))
        return Interval(mean - half, mean + half)


@dataclass(frozen=True, slots=True)
class Importance:
    """A feature's: the part of the policy's value that is lost without it, from 0 to 1, and the ends of its interval."""

    feature: str
    score: float
    lower: float
    upper: float


def importances(features: Sequence[str], loss: Loss, *, alpha: float = ALPHA) -> list[Importance]:
    """Give all features' importance, the largest first; 0 for all if the policy is worth nothing."""
    interval = loss.difference(alpha=alpha)
    scores, lower, upper = (_part(each, loss) for each in (ratio(loss.lost, loss.rounds), interval.lower, interval.upper))
    rows = zip(features, scores.tolist(), lower.tolist(), upper.tolist(), strict=True)
    return sorted((Importance(*row) for row in rows), key=lambda each: (-each.score, each.feature))


def groups(ranked: Sequence[Importance]) -> list[list[str]]:
    """Put features together that cannot be told apart from the most important one of their group.

    >>> groups([Importance("a", 0.5, 0.4, 0.6), Importance("b", 0.45, 0.3, 0.5), Importance("c", 0.1, 0.0, 0.2)])
    [['a', 'b'], ['c']]
    """
    found: list[list[str]] = []
    least = float("inf")
    for each in ranked:
        if found and each.upper >= least:
            found[-1].append(each.feature)
        else:
            found.append([each.feature])
            least = each.lower
    return found


def _part(value: Floats, loss: Loss) -> Floats:
    whole = ratio(loss.whole, loss.rounds)
    parts: Floats = np.clip(np.nan_to_num(np.where(whole > 0.0, ratio(value, whole), 0.0)), 0.0, 1.0)
    return parts
