import numpy as np
import pytest

from shared.learning.segments import distinct


@pytest.mark.parametrize(("events", "different"), [(0, 1), (1, 1), (100, 10), (2048, 1), (30_000, 300), (30_000, 20_000)])
def test_distinct_numbers_are_those_that_sorting_finds(events, different):
    """Twenty thousand meet in buckets; few do not."""
    rng = np.random.default_rng(events)
    numbers = rng.integers(0, 2**32, different, dtype=np.uint32)[rng.integers(0, different, events)]
    found, which = distinct(numbers)
    expected, places = np.unique(numbers, return_inverse=True)
    assert found.tolist() == expected.tolist()
    assert which.tolist() == places.tolist()
