import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.learning import fourier
from shared.learning.fourier import WAVES, Remembering, frequencies, gaussians, phases, waves
from shared.learning.segments import starts_of

REPOSITORY = Path(__file__).parents[2]
KEYS = np.random.default_rng(1).integers(0, 1 << 32, 4000, dtype=np.uint32) | np.uint32(1)


@pytest.mark.parametrize("keys", [KEYS, np.arange(4000, dtype=np.uint32)], ids=["hashes", "in a row"])
def test_gaussians_have_the_moments_of_a_normal_distribution(keys):
    numbers = gaussians(keys, WAVES).astype(np.float64)
    assert abs(numbers.mean()) < 0.006  # 4 standard errors of half a million numbers
    assert abs(numbers.var() - 1.0) < 0.008
    assert abs((numbers**4).mean() - 3.0) < 0.06
    assert np.abs(numbers).max() < 4.0  # the quantiles end there


def test_the_gaussians_of_different_keys_and_places_are_independent():
    numbers = gaussians(KEYS[:500], WAVES).astype(np.float64)
    for table in (numbers, numbers.T):
        correlations = np.asarray(np.corrcoef(table)) - np.eye(len(table))
        assert abs(correlations.mean()) < 0.01
        assert np.abs(correlations).max() < 6 / np.sqrt(table.shape[1])


def test_a_key_has_its_gaussians_in_whatever_company():
    together = gaussians(KEYS, 8)
    np.testing.assert_array_equal(gaussians(KEYS[7:8], 8)[0], together[7])
    np.testing.assert_array_equal(gaussians(KEYS, 3), together[:, :3])


def test_every_process_draws_the_same():
    program = "import numpy as np; from shared.learning.fourier import *; "
    program += "print(gaussians(np.array([1, 5], np.uint32), 3).tolist(), phases()[:2].tolist())"
    ran = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == f"{gaussians(np.array([1, 5], np.uint32), 3).tolist()} {phases()[:2].tolist()}"


def test_waves_start_anywhere_on_the_circle():
    assert phases().min() >= 0.0
    assert phases().max() <= 2 * np.pi
    assert abs(np.exp(1j * phases().astype(np.float64)).mean()) < 4 / np.sqrt(WAVES)


def test_inner_products_of_waves_come_near_a_gaussian_kernel_of_the_distance():
    """One feature more or less at a time, in contexts of eight: distances from 0 to 4."""
    rng = np.random.default_rng(3)
    names = rng.integers(0, 1 << 32, (40, 8), dtype=np.uint32) | np.uint32(1)
    near = np.where(np.arange(8) < np.arange(40)[:, None] % 9, names, np.roll(names, 1, axis=0))  # so many are shared
    one, other = (waves(frequencies(each.ravel()).reshape(40, 8, WAVES).sum(axis=1), np.full(40, 8)) for each in (names, near))
    products = np.einsum("nw,nw->n", one[:, 1:], other[:, 1:])
    scale = np.einsum("nw,nw->n", one[:, 1:], one[:, 1:]).mean()
    squared_distances = 2.0 * (8 - np.arange(40) % 9)
    spread = frequencies(KEYS).var() / 8  # of an angle, per squared distance
    expected = np.exp(-0.5 * spread * squared_distances)
    errors = products / scale - expected
    assert abs(errors.mean()) < 0.05
    assert np.abs(errors).max() < 5 / np.sqrt(WAVES)


def test_waves_begin_with_a_constant_and_are_finite_without_features():
    alone = waves(np.zeros((1, WAVES), np.float32), np.zeros(1, np.int64))
    assert alone.shape == (1, 1 + WAVES)
    assert alone[0, 0] == 1.0
    assert np.isfinite(alone).all()


@pytest.mark.parametrize("cells", [0, 1 << 22])
def test_what_has_no_value_turns_no_wave(monkeypatch, cells):
    """Of few distinct features, which take one product, and of many."""
    monkeypatch.setattr(fourier, "_DENSE_CELLS", cells)
    hashes, starts = np.arange(1, 61, dtype=np.uint32), np.arange(0, 61, 3)
    values = np.random.default_rng(9).normal(size=60).astype(np.float32)
    values[starts[:-1]] = 0.0
    expected = np.add.reduceat(fourier.frequencies(hashes) * values[:, None], starts[:-1])
    given = fourier.summed([fourier.frequencies], hashes, values, starts)[0]
    np.testing.assert_allclose(given, expected, atol=1e-4)
    nothing = fourier.summed([fourier.frequencies], hashes, 0.0 * values, starts)[0]
    assert not nothing.any()


@given(st.lists(st.sampled_from([1, 2, 9, 32, 33, 300]), min_size=1, max_size=40), st.integers(0, 1 << 32))
def test_a_row_has_the_same_angles_to_the_bit_whatever_is_beside_it(sizes, seed):
    """Also with features that rows share, and with values of 0."""
    chance, starts = np.random.default_rng(seed), starts_of(np.array(sizes))
    hashes = np.concatenate([chance.choice(1 << 9, size, replace=False) for size in sizes]).astype(np.uint32)
    values = chance.choice([0.0, 1.0, -0.7, 1e-3, 250.0], size=len(hashes)).astype(np.float32)
    given = fourier.summed_alone(frequencies, hashes, values, starts)
    for row, (first, last) in enumerate(pairwise(starts.tolist())):
        alone = fourier.summed_alone(frequencies, hashes[first:last], values[first:last], np.array([0, last - first]))
        assert alone.tobytes() == given[row].tobytes()
    np.testing.assert_allclose(given, fourier.summed([frequencies], hashes, values, starts)[0], rtol=1e-4, atol=0.05)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), max_size=8))
def test_frequencies_that_are_remembered_are_those_that_are_computed(asked):
    """With room for thirty: more than that is asked for at once, a few new ones, and others than before."""
    remembering = Remembering(frequencies, most=30)
    for first, count in asked:
        hashes = np.arange(first, first + count, dtype=np.uint32)
        assert remembering(hashes).tobytes() == frequencies(hashes).tobytes()
        assert remembering.count <= 30
