"""Estimators with less weight on rare actions: some bias for less noise, and how much of it is chosen out of a few candidates.

A candidate replaces w in the doubly robust value by a smaller weight. All are summed side by side, so that shards merge and the choice
comes at the end (SLOPE: Su, Srinath & Krishnamurthy 2020, arXiv 2002.07729; in the form of Tucker & Lee 2021, arXiv 2106.07914).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.evaluation.estimators import ratio
from shared.evaluation.rounds import Rounds, corrected
from shared.evaluation.special import normal_quantile
from shared.evaluation.sums import Floats, Summed, Sums

LIMITS: Final = (1.0, 1.5, 2.5, 4.0, 6.0, 10.0, 16.0, 25.0, 40.0, 100.0, 1000.0, inf)
"""Candidates; each is more noise and less bias than the one before, the last is the estimator as it was."""

SQUARED_LIMITS: Final = tuple(limit**2 for limit in LIMITS)

_CONSTANT: Final = sqrt(6.0) - 1.0
_ALPHA: Final = 0.05


def clipped(weights: Floats, limit: float) -> Floats:
    """Count no weight as more than the limit (Ionides 2008; Bottou et al. 2013, arXiv 1209.2355).

    >>> clipped(np.array([0.5, 4.0]), 2.0).tolist()
    [0.5, 2.0]
    """
    return np.minimum(weights, limit)


def switched(weights: Floats, limit: float) -> Floats:
    """Leave the round to the predictions where the weight is above the limit (Wang, Agarwal & Dudík 2017, arXiv 1612.01205).

    >>> switched(np.array([0.5, 4.0]), 2.0).tolist()
    [0.5, 0.0]
    """
    return np.where(weights <= limit, weights, 0.0)


def optimistic(weights: Floats, limit: float) -> Floats:
    """Shrink to λw / (w² + λ): least in a bound of the squared error (Su et al. 2020, arXiv 1907.09623, as DRos).

    >>> optimistic(np.array([0.5, 4.0]), 2.0).round(3).tolist()
    [0.444, 0.444]
    """
    return weights if limit == inf else weights * (limit / (weights * weights + limit))


@dataclass(frozen=True, slots=True)
class Family:
    """A way to shrink, and the limits that are tried; ``predicts`` tells whether predictions take part."""

    shrink: Callable[[Floats, float], Floats]
    limits: tuple[float, ...]
    predicts: bool = True


FAMILIES: Final[Mapping[str, Family]] = {
    "clipped_ips": Family(clipped, LIMITS, predicts=False),
    "clipped_dr": Family(clipped, LIMITS),
    "switch_dr": Family(switched, LIMITS),
    "dr_os": Family(optimistic, SQUARED_LIMITS),
}


@dataclass(frozen=True, eq=False, slots=True)
class Candidates(Sums):
    """Sums of one family's values and their squares, the candidates along the last axis; ``rounds`` has that axis as well."""

    rounds: Summed
    values: Summed
    squares: Summed

    @staticmethod
    def of(rounds: Rounds, family: Family) -> "Candidates":
        """Sum over all rounds."""
        sums = [_summed(rounds, family, limit) for limit in family.limits]
        values, squares = (np.stack(column, axis=-1) for column in zip(*sums, strict=True))
        return Candidates(np.full(values.shape, rounds.total), values, squares)

    @property
    def estimates(self) -> Floats:
        """Give each candidate's estimate."""
        return ratio(self.values, self.rounds)

    @property
    def chosen(self) -> npt.NDArray[np.int64]:
        """Choose the most biased candidate that is near enough all that are less so, by how noisy they are."""
        estimates, deviations = np.nan_to_num(self.estimates), np.nan_to_num(self._deviations())
        best = np.full(estimates.shape[:-1], estimates.shape[-1] - 1)
        agrees = np.ones(best.shape, dtype=np.bool_)
        for candidate in range(estimates.shape[-1] - 2, -1, -1):
            distances = np.abs(estimates[..., candidate + 1 :] - estimates[..., [candidate]])
            bounds = deviations[..., [candidate]] + _CONSTANT * deviations[..., candidate + 1 :]
            agrees = agrees & (distances <= bounds).all(axis=-1)
            best = np.where(agrees, candidate, best)
        return best

    @property
    def value(self) -> Floats:
        """Give the chosen candidate's estimate."""
        taken: Floats = np.take_along_axis(self.estimates, self.chosen[..., None], axis=-1)[..., 0]
        return taken

    def _deviations(self) -> Floats:
        """Give the half-widths of the candidates' 95 % intervals."""
        variances = np.maximum(ratio(self.squares, self.rounds) - self.estimates**2, 0.0)
        return normal_quantile(1.0 - _ALPHA / 2.0) * np.sqrt(ratio(variances, self.rounds))


def shrunk_values(rounds: Rounds, family: Family, limit: float) -> Floats:
    """Give each round's value by one candidate."""
    weights = family.shrink(rounds.weights, limit)
    return corrected(rounds, weights) if family.predicts else weights * rounds.rewards


def _summed(rounds: Rounds, family: Family, limit: float) -> tuple[Floats, Floats]:
    values = rounds.counted(shrunk_values(rounds, family, limit))
    return values.sum(axis=-1), (values * values).sum(axis=-1)
