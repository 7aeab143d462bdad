"""The maximum-likelihood estimate, out of a table of weights (Karampatziakis, Langford & Mineiro 2020, arXiv 1906.03323).

It is no function of a few sums, so the rounds are counted by weight: 32 bins for each doubling, of which each keeps its mean weight.
Logs of few different weights are kept exactly; otherwise the estimate differs from that of all rounds by less than 0.0001 of the range of
rewards.
"""

from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np

from shared.evaluation.estimators import ratio
from shared.evaluation.rounds import Integers, Rounds
from shared.evaluation.sums import Floats, Summed, Sums

_FINENESS: Final = 32
_SMALLEST: Final = -16
_LARGEST: Final = 20
BINS: Final = (_LARGEST - _SMALLEST) * _FINENESS + 1
"""The first is for weights of 0 and nearly so."""

_STEPS: Final = 120
_LEAST_EXCESS: Final = 1e-9
_SMALLEST_MASS: Final = 1e-300


@dataclass(frozen=True, eq=False, slots=True)
class WeightTable(Sums):
    """Rounds, weights, weighted rewards and rewards in each bin; the bins are the last axis."""

    rounds: Summed
    weights: Summed
    weighted: Summed
    rewards: Summed

    @staticmethod
    def of(rounds: Rounds) -> "WeightTable":
        """Count the rounds."""
        bins, w = _bins(rounds.weights), rounds.weights
        columns = (np.ones(w.shape), w, w * rounds.rewards, rounds.rewards)
        return WeightTable(*[_binned(bins, rounds.counted(column)) for column in columns])

    def value(self, *, largest_weight: float = inf) -> Floats:
        """Give the value under the likeliest distribution of weights and rewards among those with a mean weight of 1.

        ``largest_weight`` is the largest that can be, not the largest seen. What the likeliest leaves over earns the mean logged reward.
        """
        n = self.rounds.sum(axis=-1, keepdims=True)
        means = np.nan_to_num(ratio(self.weights, self.rounds), nan=1.0)
        excess = means - 1.0
        dual = self._dual(excess, n, largest_weight)
        masses = np.maximum(excess * dual + n, _SMALLEST_MASS)
        value = (self.weighted / masses).sum(axis=-1)
        missing = np.maximum(0.0, 1.0 - (self.weights / masses).sum(axis=-1))
        estimate: Floats = np.where(n[..., 0] > 0.0, value + missing * np.nan_to_num(ratio(self.rewards.sum(axis=-1), n[..., 0])), np.nan)
        return estimate

    def _dual(self, excess: Floats, n: Floats, largest_weight: float) -> Floats:
        """Find where the dual's slope is 0, or the end of its range that it rises towards."""
        seen = self.rounds > 0.0
        low_excess = np.where(seen, excess, 0.0).min(axis=-1, keepdims=True)
        high_excess = np.where(seen, excess, 0.0).max(axis=-1, keepdims=True)
        high = np.minimum(n, np.nan_to_num(ratio(n - 1.0, -low_excess), nan=np.inf))
        lowest = -n / np.maximum(max(largest_weight - 1.0, _LEAST_EXCESS), high_excess)
        low = np.minimum(np.maximum(lowest, np.nan_to_num(ratio(1.0 - n, high_excess), nan=-np.inf)), high)
        for _ in range(_STEPS):
            middle = 0.5 * (low + high)
            rises = (self.rounds * excess / np.maximum(excess * middle + n, _SMALLEST_MASS)).sum(axis=-1, keepdims=True) > 0.0
            low, high = np.where(rises, middle, low), np.where(rises, high, middle)
        middle_of_last: Floats = 0.5 * (low + high)
        return middle_of_last


def _bins(weights: Floats) -> Integers:
    scaled = np.log2(np.maximum(weights, 2.0**_SMALLEST)) - _SMALLEST
    bins: Integers = np.minimum(np.ceil(scaled * _FINENESS), BINS - 1).astype(np.int64)
    return bins


def _binned(bins: Integers, values: Floats) -> Floats:
    rows = int(np.prod(bins.shape[:-1], dtype=np.int64))
    places = (bins.reshape(rows, -1) + BINS * np.arange(rows)[:, None]).ravel()
    counted: Floats = np.bincount(places, np.ascontiguousarray(values).ravel(), minlength=rows * BINS).astype(np.float64)
    return counted.reshape(*bins.shape[:-1], BINS)
