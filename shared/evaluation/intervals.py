"""Intervals of a finished evaluation: each holds with probability 1 − α at one look, decided on beforehand.

For whoever looks again and again there are `shared.evaluation.sequences`. Each takes `Moments` of any shape.
"""

from dataclasses import dataclass
from math import inf, log
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.evaluation.estimators import doubly_robust, ips, ratio, snips
from shared.evaluation.moments import Moments
from shared.evaluation.special import beta_quantile, f_quantile, normal_quantile
from shared.evaluation.sums import Floats

Flags = npt.NDArray[np.bool_]

ALPHA: Final = 0.05

_CLOSE: Final = 1e-9


@dataclass(frozen=True, eq=False, slots=True)
class Interval:
    """Lower and upper ends, of any shape; nan where nothing can be said."""

    lower: Floats
    upper: Floats

    @property
    def width(self) -> Floats:
        """Give the distance of the ends."""
        return self.upper - self.lower

    def covers(self, value: float | Floats) -> Flags:
        """Tell whether a value lies within."""
        within: Flags = (self.lower <= value) & (value <= self.upper)
        return within


@dataclass(frozen=True, slots=True)
class Range:
    """The least and most that a reward can be; widened by what was seen beyond."""

    lowest: float = 0.0
    highest: float = 1.0

    def around(self, moments: Moments) -> tuple[Floats, Floats]:
        """Give the ends for each sum."""
        return np.minimum(self.lowest, moments.lowest_reward), np.maximum(self.highest, moments.highest_reward)


UNIT: Final = Range()


def gaussian(moments: Moments, *, alpha: float = ALPHA) -> Interval:
    """Take `ips` for normally distributed: narrow, and too optimistic where large weights are rare."""
    return _known_where(moments.w > 0.0, _around(ips(moments), moments.wr, moments.wwrr, moments.rounds, alpha))


def gaussian_doubly_robust(moments: Moments, *, alpha: float = ALPHA) -> Interval:
    """Do so with `doubly_robust`."""
    return _known_where(moments.w > 0.0, _around(doubly_robust(moments), moments.d, moments.dd, moments.rounds, alpha))


def gaussian_snips(moments: Moments, *, alpha: float = ALPHA) -> Interval:
    """Do so with `snips`, whose spread is that of w (r − estimate) over the sum of weights."""
    value = snips(moments)
    squares = moments.wwrr - 2.0 * value * moments.wwr + value**2 * moments.ww
    half = normal_quantile(1.0 - alpha / 2.0) * ratio(np.sqrt(np.maximum(squares, 0.0)), moments.w)
    return _known_where(moments.rounds > 1.0, Interval(value - half, value + half))


def mean_weight(moments: Moments, *, alpha: float = ALPHA) -> Interval:
    """Give the interval of the mean weight, which has to hold 1 if the log's probabilities are true."""
    return _around(ratio(moments.w, moments.rounds), moments.w, moments.ww, moments.rounds, alpha)


def _known_where(known: Flags, interval: Interval) -> Interval:
    """Say nothing where no round tells of the spread: one without any would look certain."""
    return Interval(np.where(known, interval.lower, np.nan), np.where(known, interval.upper, np.nan))


def _around(mean: Floats, total: Floats, squares: Floats, n: Floats, alpha: float) -> Interval:
    half = normal_quantile(1.0 - alpha / 2.0) * np.sqrt(ratio(_variance(total, squares, n), n))
    return Interval(mean - half, mean + half)


def _variance(total: Floats, squares: Floats, n: Floats) -> Floats:
    """Give the sample variance, nan for fewer than two."""
    return ratio(np.maximum(squares - np.nan_to_num(ratio(total**2, n)), 0.0), np.where(n > 1.0, n - 1.0, 0.0))


def clopper_pearson(moments: Moments, *, alpha: float = ALPHA, rewards: Range = UNIT) -> Interval:
    """Take the weighted rewards for successes of n / (largest weight seen) trials (Clopper & Pearson 1934)."""
    low, high = rewards.around(moments)
    successes = ratio((moments.wr - low * moments.w) / (high - low), moments.largest_weight)
    trials = ratio(moments.rounds, moments.largest_weight)
    some, not_all = successes > 0.0, successes < trials
    lower = np.where(
        some, beta_quantile(alpha / 2.0, np.where(some, successes, 1.0), np.where(some & not_all, trials - successes, 0.0) + 1.0), 0.0
    )
    upper = np.where(
        not_all, beta_quantile(1.0 - alpha / 2.0, np.where(not_all, successes, 0.0) + 1.0, np.where(not_all, trials - successes, 1.0)), 1.0
    )
    known = moments.largest_weight > 0.0
    return Interval(np.where(known, low + (high - low) * lower, np.nan), np.where(known, low + (high - low) * upper, np.nan))


def empirical_bernstein(moments: Moments, *, largest_weight: float, alpha: float = ALPHA, rewards: Range = UNIT) -> Interval:
    """Hold at any number of rounds, by the variance and the largest weight that can be (Maurer & Pontil 2009, arXiv 0907.3740)."""
    low, high = rewards.around(moments)
    spread = (high - low) * np.maximum(largest_weight, moments.largest_weight)
    half = _bernstein(_variance(moments.wr, moments.wwrr, moments.rounds), spread, moments.rounds, alpha)
    return Interval(ips(moments) - half, ips(moments) + half)


def empirical_bernstein_doubly_robust(moments: Moments, *, largest_weight: float, alpha: float = ALPHA, rewards: Range = UNIT) -> Interval:
    """Do so with `doubly_robust`, for predictions within the range of rewards."""
    low, high = rewards.around(moments)
    spread = (high - low) * (1.0 + np.maximum(largest_weight, moments.largest_weight))
    half = _bernstein(_variance(moments.d, moments.dd, moments.rounds), spread, moments.rounds, alpha)
    return Interval(doubly_robust(moments) - half, doubly_robust(moments) + half)


def _bernstein(variance: Floats, spread: Floats, n: Floats, alpha: float) -> Floats:
    """Give half the width, for both sides together."""
    chance = log(4.0 / alpha)
    return np.sqrt(2.0 * chance * ratio(variance, n)) + 7.0 * chance * spread * ratio(
        np.ones(np.shape(n)), np.where(n > 1.0, 3.0 * (n - 1.0), 0.0)
    )


def cressie_read(moments: Moments, *, alpha: float = ALPHA, largest_weight: float | Floats = inf, rewards: Range = UNIT) -> Interval:
    """Take the least and most that is earned by whatever reweighs the rounds nearly as little as possible (arXiv 1906.03323).

    ``largest_weight`` is the largest that can be (for all, or for each of the sums), not the largest seen.
    """
    low, high = rewards.around(moments)
    largest = np.maximum(largest_weight, moments.largest_weight)
    phi = -(_least_divergence(moments, largest) + _limit(moments.rounds, alpha)) / (2.0 * (1.0 + moments.rounds))
    lower, upper = _extreme(moments, phi, largest, low, 1.0), _extreme(moments, phi, largest, high, -1.0)
    one = moments.rounds == 1.0  # tells nothing about spread
    lower, upper = np.where(one, low, np.clip(lower, low, high)), np.where(one, high, np.clip(upper, low, high))
    some = moments.rounds > 0.0
    return Interval(np.where(some, lower, np.nan), np.where(some, upper, np.nan))


def _extreme(moments: Moments, phi: Floats, largest: Floats, reward: Floats, sign: float) -> Floats:
    """Give the further of the ends that one more round of no weight, or of the largest, could make; the reward if there is none."""
    best = np.minimum(_end(moments, phi, np.zeros(largest.shape), reward, sign), _end(moments, phi, largest, reward, sign))
    return np.where(np.isinf(best), reward, sign * best)


def _limit(n: Floats, alpha: float) -> Floats:
    return f_quantile(1.0 - alpha, np.maximum(n, 1.0))


def _least_divergence(moments: Moments, largest: Floats) -> Floats:
    n = moments.rounds
    fake = np.where(moments.w < n, largest, 0.0)
    known = np.where(np.isfinite(fake), fake, 0.0)
    mean, squares = (known + moments.w) / (1.0 + n), (known**2 + moments.ww) / (1.0 + n)
    bounded = ratio((1.0 + n) * (mean - 1.0) ** 2, squares - mean**2)
    return np.where(np.isfinite(fake), np.nan_to_num(bounded), 1.0 + ratio(np.ones(n.shape), n))


def _end(moments: Moments, phi: Floats, fake: Floats, reward: Floats, sign: float) -> Floats:
    """Give the end (the least of ``sign`` × reward) if one more round had this weight and reward; inf where there is none."""
    finite = np.isfinite(fake)
    parts = zip(_bounded(moments, np.where(finite, fake, 0.0), reward, sign), _endless(moments, reward, sign), strict=True)
    x, y, z = (np.where(finite, one, other) for one, other in parts)
    product = y * (phi + z)
    with np.errstate(invalid="ignore"):
        found = x - np.sqrt(2.0 * product)
    end = np.where((phi + z <= 0.0) & (product >= 0.0), found, np.inf)
    end = np.where(np.abs(product) <= _CLOSE**2, x - np.sqrt(2.0) * _CLOSE, end)
    return np.where(np.isnan(end), np.inf, end)


def _endless(moments: Moments, r: Floats, sign: float) -> tuple[Floats, Floats, Floats]:
    n = moments.rounds
    x = sign * (r + ratio(moments.wr - moments.w * r, n))
    y = ratio((r * moments.w - moments.wr) ** 2, n * (1.0 + n)) - (r**2 * moments.ww - 2.0 * r * moments.wwr + moments.wwrr) / (1.0 + n)
    return x, y, ratio(np.full(n.shape, 0.5), n)


def _bounded(moments: Moments, fake: Floats, r: Floats, sign: float) -> tuple[Floats, Floats, Floats]:
    n = 1.0 + moments.rounds
    w, ww = (fake + moments.w) / n, (fake**2 + moments.ww) / n
    wr, wwr = sign * (fake * r + moments.wr) / n, sign * (fake**2 * r + moments.wwr) / n
    wwrr = (fake**2 * r**2 + moments.wwrr) / n
    spread = np.where(ww > w**2, ww - w**2, 0.0)
    x = wr + ratio((1.0 - w) * (wwr - w * wr), spread)
    y = ratio((wwr - w * wr) ** 2, spread) - (wwrr - wr**2)
    return x, y, ratio(0.5 * (1.0 - w) ** 2, spread)
