"""Arrays of arrays, laid one after another: segment i goes from ``starts[i]`` up to ``starts[i + 1]``."""

from typing import Final

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]

_BUCKET_BITS: Final = 20
_MANY: Final = 2048
"""Of fewer numbers, sorting finds the distinct ones as fast, ..."""

_FEW: Final = 256
"""... and of fewer still, a dictionary."""


def starts_of(sizes: Positions) -> Positions:
    """Give where each segment starts, and at last where all end.

    >>> starts_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    starts = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def ranges(firsts: Positions, sizes: Positions) -> Positions:
    """Join ``range(first, first + size)`` of each pair.

    >>> ranges(np.array([10, 20]), np.array([2, 3])).tolist()
    [10, 11, 20, 21, 22]
    """
    starts = starts_of(sizes)
    return np.repeat(firsts - starts[:-1], sizes) + np.arange(starts[-1])


def distinct(numbers: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.uint32], Positions]:
    """Give the distinct ones of numbers, ascending, and which of these each is: faster than sorting all where few are distinct.

    Each bucket of a hash table keeps the place of the number that came last. Where two numbers meet in a bucket, they are sorted after all.

    >>> [found.tolist() for found in distinct(np.array([7, 2, 7], dtype=np.uint32))]
    [[2, 7], [1, 0, 1]]
    """
    if len(numbers) >= _MANY:
        buckets = numbers * np.uint32(0x9E3779B1) >> np.uint32(32 - _BUCKET_BITS)
        table = np.empty(1 << _BUCKET_BITS, dtype=np.int32)  # read only where it was written
        table[buckets] = np.arange(len(numbers), dtype=np.int32)
        lasts = table.take(buckets)
        if (numbers.take(lasts) == numbers).all():
            places, which = present(lasts.astype(np.int64), len(numbers))
            order = np.argsort(numbers[places])
            rank = np.empty(len(order), dtype=np.int64)
            rank[order] = np.arange(len(order))
            return numbers[places[order]], rank.take(which)
    if len(numbers) <= _FEW:
        listed = numbers.tolist()
        place_of = {number: place for place, number in enumerate(sorted(set(listed)))}
        return np.array(list(place_of), dtype=np.uint32), np.array([place_of[number] for number in listed], dtype=np.int64)
    found, which = np.unique(numbers, return_inverse=True)
    return found, which


def present(places: Positions, size: int) -> tuple[Positions, Positions]:
    """Give the distinct ones of places below ``size``, in order, and which of these each place is: faster than sorting.

    >>> [found.tolist() for found in present(np.array([7, 2, 7]), 9)]
    [[2, 7], [1, 0, 1]]
    """
    is_present = np.zeros(size, dtype=np.bool_)
    is_present[places] = True
    found = np.flatnonzero(is_present)
    numbers = np.empty(size, dtype=np.int64)  # read only where it was written
    numbers[found] = np.arange(len(found))
    return found, numbers.take(places)
