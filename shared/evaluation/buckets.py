"""Sums whose last axis is a row of buckets, put into other buckets."""

from typing import TypeVar

import numpy as np

from shared.evaluation.rounds import Integers
from shared.evaluation.sums import Floats, Sums

Kept = TypeVar("Kept", bound=Sums)


def spread(sums: Kept, at: Integers, size: int) -> Kept:
    """Put each bucket in its place of so many; the others hold 0."""

    def placed(_: np.ufunc, values: Floats) -> Floats:
        whole = np.zeros((*values.shape[:-1], size))
        whole[..., at] = values
        return whole

    return sums.each(placed)


def ranged(sums: Kept, firsts: Integers, ends: Integers) -> Kept:
    """Merge the buckets of each range ``[first, end)``; none is empty, and they may overlap."""
    if not len(firsts):
        return sums
    pairs = np.stack([firsts, ends], axis=-1).ravel()

    def merged(merge: np.ufunc, values: Floats) -> Floats:
        padded = np.concatenate([values, np.zeros((*values.shape[:-1], 1))], axis=-1)  # `reduceat` wants every end to exist
        return np.asarray(merge.reduceat(padded, pairs, axis=-1)[..., ::2])

    return sums.each(merged)


def expanded(sums: Kept) -> Kept:
    """Give in place of each bucket the sums from the first one up to it."""
    return sums.each(lambda merge, values: merge.accumulate(values, axis=-1))


def merged(sums: Kept) -> Kept:
    """Merge all buckets to one; of none it holds 0."""
    return sums.each(lambda merge, values: np.asarray(merge.reduce(values, axis=-1, initial=0.0, keepdims=True)))
