"""Random Fourier features: what makes a linear learner see similarity instead of single features.

The inner product of two contexts' waves approaches a Gaussian kernel of the distance between the contexts (Rahimi & Recht 2007,
"Random features for large-scale kernel machines"). Distances are taken per feature, so that they mean the same whether a
context has three features or fifty.
"""

from collections.abc import Callable, Iterator, Sequence
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

_SHORT: Final = 32
"""Entries up to which `summed_alone` adds up many rows together."""

_REMEMBERED: Final = 2048
"""Features whose frequencies are remembered, a megabyte of them."""

_LITTLE: Final = 8
"""What is new is remembered where it is this part of what is, at least: to lay out all of them for a few takes longer than these."""

Spread = Callable[[Hashes], Floats32]
"""Gives the frequencies of features, [n, WAVES]."""


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


def summed(spreads: Sequence[Spread], hashes: Hashes, values: Floats32, starts: Positions) -> list[Floats32]:
    """Add up the frequencies of each row's features times their values, shape [rows, WAVES]: the angles of its waves.

    Row i has the entries ``starts[i]`` up to ``starts[i + 1]``, at least one, and names a feature once; each of ``spreads`` gives other
    frequencies, and so other angles. Rows have few distinct features in common: one product does it where their values fit into a dense
    table. What has the value 0, as ids of described actions have, is left out of it.
    """
    used, count = np.flatnonzero(values), len(starts) - 1
    features, places = distinct(hashes[used])
    if count * len(features) <= _DENSE_CELLS:
        dense = np.zeros((count, len(features)), dtype=np.float32)
        dense[np.repeat(np.arange(count), np.diff(starts))[used], places] = values[used]
        return [dense @ spread(features) for spread in spreads]
    features, places = distinct(hashes)
    angles = [np.empty((count, WAVES), dtype=np.float32) for _ in spreads]
    for first, last in _pieces(starts):
        entries = slice(starts[first], starts[last])
        known, own = present(places[entries], len(features))
        for of_spread, spread in zip(angles, spreads, strict=True):
            weighted = spread(features[known])[own] * values[entries, None]
            of_spread[first:last] = np.add.reduceat(weighted, starts[first:last] - entries.start, axis=0)
    return angles


def summed_alone(spread: Spread, hashes: Hashes, values: Floats32, starts: Positions) -> Floats32:
    """Give what `summed` gives of one of its spreads, each row to the bit as if it were the only one.

    The last digits of a product depend on what is beside a row. Here values are added one after the other: the first of all rows, then the
    second of all, and so on; those of a long row by themselves, which gives the same.
    """
    used = np.flatnonzero(values)
    features, places = distinct(hashes.take(used))
    frequencies, values, starts = spread(features), values.take(used)[:, None], np.searchsorted(used, starts)
    sizes = np.diff(starts)
    order = np.argsort(-sizes)
    lengths, firsts, sums = sizes.take(order), starts.take(order), np.zeros((len(order), WAVES), dtype=np.float32)
    long = int(np.count_nonzero(lengths > min(_SHORT, len(order))))
    for row in range(long):
        entries = slice(firsts[row], firsts[row] + lengths[row])
        sums[row] = np.add.reduce(frequencies.take(places[entries], axis=0) * values[entries], axis=0)
    for place in range(int(lengths[long:].max(initial=0))):
        first = firsts[long : np.count_nonzero(lengths > place)] + place
        sums[long : long + len(first)] += frequencies.take(places.take(first), axis=0) * values.take(first, axis=0)
    angles = np.empty_like(sums)
    angles[order] = sums
    return angles


class Remembering:
    """Gives the frequencies of features, and remembers many that it gave lately, since most features come again.

    It has room for ``most`` of them, and all threads may share it.
    """

    def __init__(self, spread: Spread, *, most: int = _REMEMBERED) -> None:
        self._spread = spread
        self._most = most
        self._kept = np.zeros(0, np.uint32), np.zeros((0, WAVES), np.float32)

    def __call__(self, hashes: Hashes) -> Floats32:
        """Give the frequencies of distinct features, ascending, shape [n, WAVES]."""
        features, kept = self._kept  # both at once: another thread may put others there
        if len(hashes) > self._most or not len(features):
            return self._remember(hashes, self._spread(hashes))
        at = np.searchsorted(features, hashes)
        is_new = features.take(at, mode="clip") != hashes
        given = kept.take(at, axis=0, mode="clip")
        if is_new.any():
            given[is_new] = self._spread(hashes[is_new])
            if np.count_nonzero(is_new) * _LITTLE >= len(features):
                self._remember(*self._merged(hashes, given, is_new))
        return given

    @property
    def count(self) -> int:
        """How many features are remembered."""
        return len(self._kept[0])

    def _merged(self, hashes: Hashes, given: Floats32, is_new: npt.NDArray[np.bool_]) -> tuple[Hashes, Floats32]:
        """Give what is kept and what is new, or what was asked for alone where that is too much."""
        features, kept = self._kept
        if len(features) + np.count_nonzero(is_new) > self._most:
            return hashes, given
        both = np.concatenate([features, hashes[is_new]])
        order = np.argsort(both)
        return both[order], np.concatenate([kept, given[is_new]])[order]

    def _remember(self, features: Hashes, frequencies: Floats32) -> Floats32:
        if len(features) <= self._most:
            self._kept = features, frequencies
        return frequencies


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
