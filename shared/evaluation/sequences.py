"""Intervals that hold at every look at once: whoever watches a figure live, or acts by it at any time, needs these.

A bettor stakes a part λ of its wealth on the mean being above ν, round by round. If the mean is ν, its wealth is a martingale, and ever
exceeds 1/α with a chance of α at most (Ville 1939; Waudby-Smith & Ramdas 2024, arXiv 2010.09686; for policies Karampatziakis, Mineiro &
Ramdas 2021, arXiv 2102.09540, and Waudby-Smith et al. 2022, arXiv 2210.10768). Here many bettors share the first stake, each with a λ and
a way to estimate the policy's value from a round, all fixed before the first round:

* d = Σ π(b) q(b) + w (r − q(a)), the doubly robust value, for predictions q made without the rewards of this round and later ones, or
* c + w (r − c) with a constant c, which needs no predictions.

The logarithm of their wealth, Σ ln(1 + λy) with y = value − ν ≥ −b, is bounded from below by sums of powers of y. By Taylor's theorem
ln(1 + z) is the series up to z^(k−1) minus z^k ∫ t^(k−1)/(1 + tz) dt, and for even k and z ≥ −s that integral is largest at −s; k = 2 is
Fan's inequality (Fan, Grama & Liu 2015), and k = 4 is closer where z is small. So shards merge by ``+``, and the order of rounds does not
matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, log
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.evaluation.intervals import ALPHA, UNIT, Interval, Range
from shared.evaluation.moments import Moments
from shared.evaluation.sums import Floats

CONSTANTS: Final = np.array([0.0, 0.5, 1.0])
SHARES: Final = np.array([0.7, 0.1, 0.1, 0.1])
"""What the doubly robust bettors begin with, and those with each of the constants."""

BLIND_SHARES: Final = np.array([0.55, 0.05, 0.2, 0.2])
"""The same where there are no predictions: of the first it is known more, fourth powers, than of constants, although it is one."""

STAKES: Final = 0.9 * 0.5 ** np.arange(16.0)
"""λ b: parts of the stake with which all can be lost in one round."""

SIDE_SHARES: Final = np.array([0.4, 0.3, 0.3])
"""What the bettors with each of the constants begin with where two sides are compared."""

_SHARES_OF_STAKES: Final = np.exp(-np.arange(16.0) / 3.0) / np.exp(-np.arange(16.0) / 3.0).sum()
_WORST_SQUARE: Final = -np.log1p(-STAKES) - STAKES
_WORST_FOURTH: Final = _WORST_SQUARE - STAKES**2 / 2.0 - STAKES**3 / 3.0
_GRID: Final = np.linspace(0.0, 1.0, 9)[:-1]
_STEPS: Final = 30

Flags = npt.NDArray[np.bool_]
Powers = Sequence[Floats]
"""Sums of values to the power of 0, 1, 2, 3 and 4."""


@dataclass(frozen=True, eq=False, slots=True)
class _Bettors:
    """Those of one side: the sums of what they bet on, [..., 1 + constants], how far that can be below a mean at most, and their shares.

    Third and fourth powers of values with a constant are nan: not known.
    """

    powers: Powers
    depths: Floats
    shares: Floats

    def log_wealth(self, mean: Floats) -> Floats:
        """Bound the logarithm of their wealth if they bet against this mean, [...]; they began with 1."""
        _, first, second, third, fourth = (each[..., None] for each in moved(self.powers, mean[..., None]))
        b = self.depths[..., None]
        stakes = STAKES / b
        spread = np.maximum(second, 0.0)
        by_squares = stakes * first - _WORST_SQUARE * (spread / b**2)
        by_fourths = stakes * first - stakes**2 * spread / 2.0 + stakes**3 * third / 3.0 - _WORST_FOURTH * (fourth / b**4)
        shares = np.log(self.shares[..., None] * _SHARES_OF_STAKES)
        each = (shares + np.fmax(by_squares, by_fourths)).reshape(*mean.shape, -1)
        largest: Floats = each.max(axis=-1)
        wealth: Floats = largest + np.log(np.exp(each - largest[..., None]).sum(axis=-1))
        return wealth


def confidence_sequence(moments: Moments, *, largest_weight: float, alpha: float = ALPHA, rewards: Range = UNIT) -> Interval:
    """Give an interval that holds the mean at all looks at once with probability 1 − α.

    ``largest_weight`` is the largest that can be: 1 over the least probability that any logged action could have had.
    Predictions have to lie within the range of rewards.
    """
    low, high = rewards.around(moments)
    weight = np.maximum(largest_weight, moments.largest_weight)[..., None]
    powers = _unit_powers(moments, low, high - low)
    found = sequence_of(powers, _depths(weight, CONSTANTS), _depths(weight, 1.0 - CONSTANTS), SHARES, alpha)
    return Interval(low + (high - low) * found.lower, low + (high - low) * found.upper)


def confidence_sequence_by_constants(
    moments: Moments, *, largest_weight: Floats, belief: Floats, alpha: float = ALPHA, rewards: Range = UNIT
) -> Interval:
    """Give such an interval for sums without predictions (all q = 0), where it turns out round by round how large weights can be.

    ``largest_weight`` [...] is the largest that could have been in any round so far, known before each draw but not before the first
    one, and one of a few bounds that were fixed beforehand; ``belief`` [...] is the share of the stakes that was put on this bound,
    which adds up to 1 over all of them: who had bet on a smaller one has lost everything. A bettor whose value cannot be below 0
    needs no bound, and puts all on the mean.
    """
    low, high = rewards.around(moments)
    weight = np.maximum(largest_weight, moments.largest_weight)[..., None]
    none = (-low / (high - low))[..., None]  # what q = 0 is among rewards put to 0..1
    constants = np.concatenate([none, np.broadcast_to(CONSTANTS, (*none.shape[:-1], len(CONSTANTS)))], axis=-1)
    powers = _unit_powers(moments, low, high - low)
    least = _lower_end(_by_constants(powers, constants, weight, belief), alpha / 2.0)
    most = 1.0 - _lower_end(_by_constants(_mirrored(powers), 1.0 - constants, weight, belief), alpha / 2.0)
    found = whole_where_crossed(least, most)
    return Interval(low + (high - low) * found.lower, low + (high - low) * found.upper)


def confidence_sequence_of_sides(
    moments: Moments, *, largest_weights: Floats, beliefs: Floats, alpha: float, rewards: Range = UNIT
) -> Interval:
    """Give such an interval of what one side earns more than another, where chance puts each round on one side.

    A round on the second side has its weight w in the sums, and one on the first side −w: so w has the mean 0, and w (r − c) the mean of
    the difference for any constant c. ``largest_weights`` and ``beliefs`` [2, ...] are those of both sides, as in
    `confidence_sequence_by_constants`. A bettor whose stake the weights of a side do not bound needs no belief in them.
    """
    low, high = rewards.around(moments)
    scale, c = high - low, CONSTANTS
    powers = halved(differences_by_constants(moments, low, scale))
    first, second = largest_weights[..., None]
    least = _lower_end(
        _Bettors(powers, 0.5 + 0.5 * np.maximum((1.0 - c) * first, c * second), _believed(beliefs, c < 1.0, c > 0.0)), alpha / 2
    )
    above = 0.5 + 0.5 * np.maximum(c * first, (1.0 - c) * second)
    most = 1.0 - _lower_end(_Bettors(_mirrored(powers), above, _believed(beliefs, c > 0.0, c < 1.0)), alpha / 2)
    found = whole_where_crossed(least, most)
    return Interval(scale * (2.0 * found.lower - 1.0), scale * (2.0 * found.upper - 1.0))


def _believed(beliefs: Floats, first: Flags, second: Flags) -> Floats:
    """Give the shares of bettors who need to believe in the weights of the first side, and of the second one."""
    one, other = beliefs[..., None]
    return np.asarray(SIDE_SHARES * np.where(first, one, 1.0) * np.where(second, other, 1.0))


def differences_by_constants(moments: Moments, low: Floats, scale: Floats) -> Powers:
    """Give the sums of powers of w (r − c) for each of the constants, [..., constants], for rewards put to 0..1; none from the third on."""
    w, ww, n = moments.w[..., None], moments.ww[..., None], moments.rounds[..., None]
    wr = ((moments.wr - low * moments.w) / scale)[..., None]
    wwr = ((moments.wwr - low * moments.ww) / scale)[..., None]
    wwrr = ((moments.wwrr - 2.0 * low * moments.wwr + low**2 * moments.ww) / scale**2)[..., None]
    first, second = wr - CONSTANTS * w, wwrr - 2.0 * CONSTANTS * wwr + CONSTANTS**2 * ww
    unknown = np.full(first.shape, np.nan)
    return (n + 0.0 * first, first, second, unknown, unknown)


def halved(powers: Powers) -> Powers:
    """Give the sums for (1 + D) / 2, whose mean lies between 0 and 1."""
    return [0.5**degree * each for degree, each in enumerate(moved(powers, np.full(1, -1.0)))]


def sequence_of(powers: Powers, depths_below: Floats, depths_above: Floats, shares: Floats, alpha: float) -> Interval:
    """Give the interval for sums of several bettors' values [..., bettors], whose mean lies between 0 and 1.

    A value is less than any such mean by ``depths_below`` [..., bettors] at most, and more by ``depths_above``.
    """
    least = _lower_end(_Bettors(powers, depths_below, shares), alpha / 2.0)
    most = 1.0 - _lower_end(_Bettors(_mirrored(powers), depths_above, shares), alpha / 2.0)
    return whole_where_crossed(least, most)


def whole_where_crossed(least: Floats, most: Floats) -> Interval:
    """Give 0 to 1 where every value is ruled out: then the log's probabilities are not the true ones, and nothing is known.

    >>> found = whole_where_crossed(np.array([0.25, 0.75]), np.array([0.5, 0.5]))
    >>> found.lower.tolist(), found.upper.tolist()
    ([0.25, 0.0], [0.5, 1.0])
    """
    crossed = least > most
    return Interval(np.where(crossed, 0.0, least), np.where(crossed, 1.0, most))


def _by_constants(powers: Powers, constants: Floats, weight: Floats, belief: Floats) -> _Bettors:
    shares = BLIND_SHARES * np.where(constants > 0.0, belief[..., None], 1.0)
    return _Bettors(powers, 1.0 + constants * (weight - 1.0), shares)


def moved(powers: Powers, by: Floats) -> Powers:
    """Give the sums for values that are less by as much.

    >>> [float(each) for each in moved([np.array(each) for each in (2.0, 4.0, 10.0)], np.array(1.0))]
    [2.0, 2.0, 4.0]
    """
    return [_moved(powers[: degree + 1], by) for degree in range(len(powers))]


def _moved(powers: Powers, by: Floats) -> Floats:
    degree = len(powers) - 1
    total = powers[degree]
    for lower in range(degree):
        total = total + comb(degree, lower) * (-by) ** (degree - lower) * powers[lower]
    return total


def _mirrored(powers: Powers) -> Powers:
    """Give the sums for 1 − value."""
    return [(-1.0) ** degree * each for degree, each in enumerate(moved(powers, np.ones(1)))]


def _unit_powers(moments: Moments, low: Floats, scale: Floats) -> Powers:
    """Give the sums of all bettors' values, for rewards put to 0..1."""
    robust = moved([moments.rounds, moments.d, moments.dd, moments.ddd, moments.dddd], low)
    n, w, ww = moments.rounds[..., None], moments.w[..., None], moments.ww[..., None]
    wr = ((moments.wr - low * moments.w) / scale)[..., None]
    wwr = ((moments.wwr - low * moments.ww) / scale)[..., None]
    wwrr = ((moments.wwrr - 2.0 * low * moments.wwr + low**2 * moments.ww) / scale**2)[..., None]
    c = CONSTANTS
    error = wr - c * w
    squares = n * c**2 + 2.0 * c * error + wwrr - 2.0 * c * wwr + c**2 * ww
    unknown = np.full(error.shape, np.nan)
    constant = (n + 0.0 * c, n * c + error, squares, unknown, unknown)
    return [
        np.concatenate([(mine / scale**degree)[..., None], others], axis=-1)
        for degree, (mine, others) in enumerate(zip(robust, constant, strict=True))
    ]


def _depths(weight: Floats, constants: Floats) -> Floats:
    """Bound how far a value can be below a mean of at most 1: by the weight of an action that is predicted to earn all, or the constant."""
    return np.concatenate([weight, 1.0 + constants * (weight - 1.0)], axis=-1)


def _lower_end(bettors: _Bettors, alpha: float) -> Floats:
    """Find a mean that is ruled out, just below one that is not; those below are ruled out too, for betting on them earned more."""
    enough = -log(alpha)
    ruled_out = _start(bettors, enough)
    kept = np.ones(ruled_out.shape)
    some = ~np.isnan(ruled_out)
    for _ in range(_STEPS):
        middle = 0.5 * (ruled_out + kept)
        new = bettors.log_wealth(middle) >= enough
        ruled_out, kept = np.where(new, middle, ruled_out), np.where(new, kept, middle)
    end: Floats = np.where(some, ruled_out, 0.0)
    return end


def _start(bettors: _Bettors, enough: float) -> Floats:
    """Find any mean that is ruled out, nan where there is none: 0, unless the bound is far too low there."""
    found = np.full(bettors.depths.shape[:-1], np.nan)
    for mean in _GRID:
        open_ = np.isnan(found)
        if mean > 0.0 and not open_.any():
            break
        found = np.where(open_ & (bettors.log_wealth(np.full(found.shape, mean)) >= enough), mean, found)
    return found
