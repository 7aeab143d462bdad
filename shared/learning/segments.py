"""Arrays of arrays, laid one after another: segment i goes from ``starts[i]`` up to ``starts[i + 1]``."""

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


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


def present(places: Positions, size: int) -> tuple[Positions, Positions]:
    """Give the distinct ones of places below ``size``, in order, and which of these each place is: faster than sorting.

    >>> [found.tolist() for found in present(np.array([7, 2, 7]), 9)]
    [[2, 7], [1, 0, 1]]
    """
    is_present = np.zeros(size, dtype=np.bool_)
    is_present[places] = True
    distinct = np.flatnonzero(is_present)
    numbers = np.zeros(size, dtype=np.int64)
    numbers[distinct] = np.arange(len(distinct))
    return distinct, numbers[places]
