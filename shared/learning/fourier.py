"""Random Fourier features: what makes a linear learner see similarity instead of single features.

The inner product of two contexts' waves approaches a Gaussian kernel of the distance between the contexts (Rahimi & Recht 2007,
"Random features for large-scale kernel machines"). Distances are taken per feature, so that they mean the same whether a
context has three features or fifty.
"""

from collections.abc import Callable, Iterator
from functools import cache
from math import pi, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.learning.encoding import Floats32, Hashes
from shared.learning.segments import Positions, distinct, present

WAVES: Final = 128

_SPREAD: Final = 2.0
"""Of the frequencies; the kernel's width is its inverse. Set by trial, as is the weight of the waves against the constant."""

AMPLITUDE: Final = 3.0 * sqrt(2.0 / WAVES)
_QUANTILES: Final = 4096

_DENSE_CELLS: Final = 1 << 22
_ENTRIES_AT_ONCE: Final = 1 << 15  # of features times waves
"""Both bound the memory of `summed`."""


def gaussians(keys: Hashes, count: int) -> Floats32:
    """Give ``count`` standard normal numbers for each key, shape [n, count]: the same in every process, and without a state.

    >>> gaussians(np.array([1, 2], dtype=np.uint32), 3).shape
    (2, 3)
    """
    steps = np.arange(1, count + 1, dtype=np.uint32) * np.uint32(0x9E3779B1)
    given: Floats32 = _normal_quantiles()[_mixed(keys[:, None] + steps) >> np.uint32(20)]
    return given


def frequencies(hashes: Hashes) -> Floats32:
    """Give each feature's frequencies, shape [n, WAVES]."""
    return gaussians(hashes, WAVES) * np.float32(_SPREAD)


def summed(spread: Callable[[Hashes], Floats32], hashes: Hashes, values: Floats32, starts: Positions) -> Floats32:
    """Add up the frequencies of each row's features times their values, shape [rows, WAVES]: the angles of its waves.

    Row i has the entries ``starts[i]`` up to ``starts[i + 1]``, at least one, and names a feature once; ``spread`` gives features'
    frequencies. Rows have few distinct features in common: one product does it where their values fit into a dense table. What has the
    value 0, as ids of described actions have, is left out of it.
    """
    used, count = np.flatnonzero(values), len(starts) - 1
    features, places = distinct(hashes[used])
    if count * len(features) <= _DENSE_CELLS:
        dense = np.zeros((count, len(features)), dtype=np.float32)
        dense[np.repeat(np.arange(count), np.diff(starts))[used], places] = values[used]
        return dense @ spread(features)
    features, places = distinct(hashes)
    angles = np.empty((count, WAVES), dtype=np.float32)
    for first, last in _pieces(starts):
        entries = slice(starts[first], starts[last])
        known, own = present(places[entries], len(features))
        weighted = spread(features[known])[own] * values[entries, None]
        angles[first:last] = np.add.reduceat(weighted, starts[first:last] - entries.start, axis=0)
    return angles


def _pieces(starts: Positions) -> Iterator[tuple[int, int]]:
    """Cut rows into pieces of so few entries that their frequencies fit into memory."""
    first = 0
    while first < len(starts) - 1:
        last = int(np.searchsorted(starts, starts[first] + _ENTRIES_AT_ONCE, side="right")) - 1
        yield first, (last := max(last, first + 1))
        first = last


def waves(angles: Floats32, features: npt.NDArray[np.int64]) -> Floats32:
    """Give the features of contexts: a constant and `WAVES` cosines, shape [n, 1 + WAVES].

    ``angles`` [n, WAVES] are each context's frequencies, weighted by its ranked values and summed; ``features`` [n] is how
    many it has.
    """
    given = np.empty((len(angles), 1 + WAVES), dtype=np.float32)
    given[:, 0] = 1.0
    widths = np.sqrt(np.maximum(features, 1).astype(np.float32))[:, None]
    np.cos(angles / widths + phases(), out=given[:, 1:])
    given[:, 1:] *= np.float32(AMPLITUDE)
    return given


@cache
def phases() -> Floats32:
    """Give where each wave starts, shape [WAVES], in radians."""
    mixed = _mixed(np.arange(WAVES, dtype=np.uint32) + np.uint32(0x51ED270B))
    return (mixed * (2.0 * pi / 2.0**32)).astype(np.float32)


@cache
def _normal_quantiles() -> Floats32:
    normal = NormalDist()
    return np.array([normal.inv_cdf((place + 0.5) / _QUANTILES) for place in range(_QUANTILES)], dtype=np.float32)


def _mixed(words: Hashes) -> Hashes:
    """Appleby's MurmurHash3 finaliser."""
    mixed = (words ^ words >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    mixed = (mixed ^ mixed >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    given: Hashes = mixed ^ mixed >> np.uint32(16)
    return given
