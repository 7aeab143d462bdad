"""Quantiles that intervals need: of the normal, beta and F distributions; arrays in, arrays out."""

from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np

from shared.evaluation.sums import Floats

_TERMS: Final = 20_000
"""Most terms of the continued fraction: it takes about the root of the larger parameter."""

_STEPS: Final = 100
_CLOSE: Final = 1e-14
_CONVERGED: Final = 1e-13
_LOWEST: Final = 1e-20
"""What is below counts as this: no interval's end needs to be told from 0 any better."""

_MANY_DEGREES: Final = 500.0
_REMEMBERED: Final = 4096
"""Quantiles of single parameters: the policies of an evaluation have the same rounds, and ask for them again and again."""

_HIGHEST: Final = float(np.nextafter(1.0, 0.0))
_TINY: Final = 1e-300
_SHIFT: Final = 12
"""From here on Stirling's series is exact to the last bits."""


def normal_quantile(probability: float) -> float:
    """Give the standard normal distribution's quantile.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    return NormalDist().inv_cdf(probability)


def f_quantile(probability: float, degrees: Floats) -> Floats:
    """Give the quantile of F with 1 and so many degrees of freedom: that of a squared Student t.

    >>> f_quantile(0.95, np.array([10.0, 1000.0])).round(6).tolist()
    [4.964603, 3.850775]
    """
    many = degrees > _MANY_DEGREES
    few = np.where(many, 1.0, degrees)
    below = beta_quantile(probability, np.full(degrees.shape, 0.5), few / 2.0)
    quantile: Floats = np.where(many, _near_normal(probability, degrees), few * below / (1.0 - below))
    return quantile


def _near_normal(probability: float, degrees: Floats) -> Floats:
    """Expand Student's t around the normal distribution (Abramowitz & Stegun 1964, 26.7.5), and square it."""
    z, n = normal_quantile(0.5 + probability / 2.0), np.maximum(degrees, _MANY_DEGREES)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    squared: Floats = (z + (first + (second + (third + fourth / n) / n) / n) / n) ** 2
    return squared


def beta_quantile(probability: float, a: Floats, b: Floats) -> Floats:
    """Give x with I_x(a, b) = probability, by Newton's method within a bracket; equal parameters are looked up once.

    >>> beta_quantile(0.5, np.array([1.0, 2.0]), np.array([1.0, 2.0])).round(9).tolist()
    [0.5, 0.5]
    """
    if np.size(a) == 1:
        return np.full(np.shape(a), _solved_for_one(probability, float(np.ravel(a)[0]), float(np.ravel(b)[0])))
    pairs = np.stack([np.ravel(a), np.ravel(b)])
    different, back = np.unique(pairs, axis=1, return_inverse=True)
    quantile: Floats = _solved(probability, different[0], different[1])[np.ravel(back)].reshape(np.shape(a))
    return quantile


@lru_cache(maxsize=_REMEMBERED)
def _solved_for_one(probability: float, a: float, b: float) -> float:
    return float(_solved(probability, np.array([a]), np.array([b]))[0])


def _solved(probability: float, a: Floats, b: Floats) -> Floats:
    low, high = np.full(a.shape, _LOWEST), np.full(a.shape, _HIGHEST)
    x = np.clip(a / (a + b), _LOWEST, _HIGHEST)
    open_ = np.arange(len(x))
    for _ in range(_STEPS):
        following, low[open_], high[open_] = _improved(probability, x[open_], a[open_], b[open_], low[open_], high[open_])
        still = np.abs(following - x[open_]) > _CONVERGED * x[open_]
        x[open_] = following
        open_ = open_[still]
        if not len(open_):
            break
    return x


def _improved(probability: float, x: Floats, a: Floats, b: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    """Give a better guess, by Newton's method where that stays within the bracket, and the narrower bracket."""
    error = beta_cdf(x, a, b) - probability
    low, high = np.where(error < 0.0, x, low), np.where(error < 0.0, high, x)
    with np.errstate(all="ignore"):
        guess = x - error * x * (1.0 - x) / np.exp(_log_kernel(x, a, b))
    inside = (guess > low) & (guess < high)  # false for NaN
    return np.where(inside, guess, np.sqrt(low) * np.sqrt(high)), low, high


def beta_cdf(x: Floats, a: Floats, b: Floats) -> Floats:
    """Give the regularised incomplete beta function I_x(a, b), for 0 < x < 1 (Press et al., "Numerical recipes", 6.4).

    >>> beta_cdf(np.array([0.3]), np.array([1.0]), np.array([1.0])).round(12).tolist()
    [0.3]
    """
    mirrored = x > (a + 1.0) / (a + b + 2.0)
    y = np.where(mirrored, 1.0 - x, x)
    p, q = np.where(mirrored, b, a), np.where(mirrored, a, b)
    below = np.exp(_log_kernel(y, p, q)) / p * _continued_fraction(y, p, q)
    cdf: Floats = np.where(mirrored, 1.0 - below, below)
    return cdf


def _continued_fraction(x: Floats, a: Floats, b: Floats) -> Floats:
    """Evaluate by Lentz's method."""
    c = np.ones(x.shape)
    d = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0)),
        ):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            value = value * d * c
        if (np.abs(d * c - 1.0) <= _CLOSE).all():
            break
    return value


def _away_from_zero(values: Floats) -> Floats:
    return np.where(np.abs(values) < _TINY, _TINY, values)


def _log_kernel(x: Floats, a: Floats, b: Floats) -> Floats:
    """Give the logarithm of x^a (1 − x)^b / B(a, b), without taking large numbers from each other."""
    p, q = a + _SHIFT, b + _SHIFT
    shifted = p * np.log(x * (p + q) / p) + q * np.log1p(-x) + q * np.log((p + q) / q)
    shifted += 0.5 * np.log(p * q / (2.0 * np.pi * (p + q))) + _stirling(p + q) - _stirling(p) - _stirling(q)
    steps = np.arange(_SHIFT, dtype=np.float64).reshape(-1, *[1] * x.ndim)
    back = np.log(a + steps).sum(axis=0) + np.log(b + steps).sum(axis=0)
    total = (a + b) + np.arange(2 * _SHIFT, dtype=np.float64).reshape(-1, *[1] * x.ndim)
    logarithm: Floats = shifted + back - np.log(total).sum(axis=0) - _SHIFT * (np.log(x) + np.log1p(-x))
    return logarithm


def _stirling(z: Floats) -> Floats:
    """Give what Stirling's formula for ln Γ(z) leaves out."""
    inverse = 1.0 / (z * z)
    series: Floats = (
        1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse * (1 / 1188 - inverse * 691 / 360360))))
    ) / z
    return series
