from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.learning.encoding import LARGEST, NUMERIC
from shared.learning.measures import EDGES, MOST, REACH, SAMPLE, UNKNOWN, Measures, Samples

NUMBER, OTHER, WORD = 4 | NUMERIC | 1, 8 | NUMERIC | 1, 5
"""Two features that are numbers, and one that is none."""

values = st.floats(-1e9, 1e9, width=32).filter(lambda value: abs(value) >= 1e-9)
samples = st.lists(values, min_size=1, max_size=40)


def observed(*features):
    """Measure features, each a hash and its values in order."""
    kept = Samples()
    for feature, sample in features:
        for value in sample:
            kept.observe(np.array([feature], np.uint32), np.array([value], np.float32))
    return kept


def measured(sample):
    return observed((NUMBER, sample)).measures().of(NUMBER)


@given(samples, samples, st.lists(st.tuples(st.sampled_from([NUMBER, OTHER, WORD, 12 | NUMERIC | 1]), values), max_size=20))
def test_one_value_at_a_time_is_measured_as_an_array_of_them_is(sample, other, asked):
    measures = observed((NUMBER, sample), (OTHER, other)).measures()
    hashes, given_values = np.array([name for name, _ in asked], np.uint32), [value for _, value in asked]
    for kind, times in product(("scaled", "ranked"), (1, 40)):  # few numbers, and many
        alone = [getattr(measures.of(name), kind)(value) if name & NUMERIC else UNKNOWN.scaled(value) for name, value in asked]
        together = getattr(measures, kind)(np.tile(hashes, times), given_values * times)
        np.testing.assert_allclose(together, alone * times, rtol=1e-12, atol=1e-12)


@example(sample=[-6, -6, 778, 778, 778, 860, 860, 860], value=778, factor=3.0)
@example(sample=[486, 486, 486, 486, 486, 537, 537, 537], value=486, factor=3.0)
@given(st.lists(st.integers(-1000, 1000).filter(bool), min_size=1, max_size=70), st.integers(-1500, 1500), st.floats(1, 1e5))
def test_the_unit_of_a_feature_does_not_matter(sample, value, factor):
    """Of one that is more than 1 in either unit."""
    measure, other = measured(sample), measured([factor * each for each in sample])
    assert other.scaled(factor * value) == pytest.approx(measure.scaled(value), abs=1e-5)
    assert other.ranked(factor * value) == pytest.approx(measure.ranked(value), abs=1e-3)  # near an edge, rounding is magnified


@given(st.lists(st.integers(-1000, 1000), min_size=8, max_size=70, unique=True), st.integers(-1500, 1500), st.floats(1e-6, 1e5))
def test_between_quantiles_no_unit_matters(sample, value, factor):
    sample = [each or 1234 for each in sample]  # 0 is no feature
    measure, other = measured(sample), measured([factor * each for each in sample])
    assert other.ranked(factor * value) == pytest.approx(measure.ranked(value), abs=1e-3)


def test_numbers_within_one_are_left_as_they_are():
    """The weights of words, say, of which each is a feature: what they are to each other is kept."""
    rare, common = measured([0.1] * 300), measured([0.9] * 300)
    assert (rare.scaled(0.1), common.scaled(0.9)) == (0.1, 0.9)


def test_numbers_that_are_all_tiny_are_put_to_scale_once_enough_of_them_were_seen():
    sample = [1e-6 * number for number in range(1, SAMPLE + 1)]
    assert measured(sample[:-1]).scaled(1e-6) == pytest.approx(1e-6)
    assert measured(sample).scaled(1e-6 * SAMPLE) == pytest.approx(1.0)


@given(samples, values)
def test_a_value_reaches_so_far_and_no_farther(sample, value):
    measure = measured(sample)
    assert abs(measure.scaled(value)) <= REACH
    assert abs(measure.ranked(value)) <= 1.0
    assert np.sign(measure.scaled(value)) == np.sign(value)


@given(samples, values, values)
def test_more_is_never_ranked_lower(sample, one, other):
    measure, (less, more) = measured(sample), sorted([one, other])
    assert measure.ranked(less) <= measure.ranked(more)


def test_quantiles_spread_values_evenly_however_they_are_distributed():
    sample = np.exp(np.random.default_rng(1).normal(0, 3, SAMPLE))  # the largest is some thousand times the middle one
    measure = measured(sample)
    ranked = np.sort([measure.ranked(value) for value in sample])
    between_two = 2.0 / (EDGES - 1)
    assert np.abs(ranked - np.linspace(-1, 1, SAMPLE)).max() < between_two
    assert np.histogram(ranked, EDGES - 1, (-1, 1))[0] == pytest.approx(SAMPLE / (EDGES - 1), abs=2)


def test_a_measure_is_taken_anew_when_twice_as_many_values_are_there():
    rng, kept, changed_at = np.random.default_rng(2), Samples(), []
    for count in range(1, 2 * SAMPLE + 1):
        value = np.array([rng.normal() + 0.01 * count], np.float32)
        before = kept.measures().of(NUMBER)
        if kept.observe(np.array([NUMBER], np.uint32), value):
            changed_at.append(count)
        else:
            assert kept.measures().of(NUMBER) == before
    assert changed_at == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert len(kept.values[NUMBER]) == SAMPLE


@given(st.lists(st.tuples(st.sampled_from([NUMBER, OTHER]), values), min_size=1, max_size=70), st.lists(st.booleans(), min_size=70))
def test_measures_do_not_depend_on_when_they_were_taken_before(sample, asked):
    often, once = Samples(), Samples()
    for (name, value), is_asked in zip(sample, asked, strict=False):
        for kept in (often, once):
            kept.observe(np.array([name], np.uint32), np.array([value], np.float32))
        if is_asked:
            often.measures()
    for given_now, given_once in zip(*[(each.hashes, each.sizes, each.edges) for each in (often.measures(), once.measures())], strict=True):
        assert given_now.tobytes() == given_once.tobytes()


def test_a_few_values_or_a_few_different_ones_have_no_quantiles():
    assert measured(range(1, 8)).edges == ()
    assert len(measured(range(1, 9)).edges) == EDGES
    assert measured([1.0, 2.0] * 100).edges == ()
    assert measured([1.0, 2.0] * 100).ranked(1.0) == 0.5


@given(st.lists(st.lists(st.tuples(st.sampled_from([NUMBER, OTHER, WORD]), values), max_size=12), max_size=6))
def test_how_events_are_put_together_changes_nothing(batches):
    together, one_by_one = Samples(), Samples()
    for batch in batches:
        hashes, numbers = np.array([name for name, _ in batch], np.uint32), np.array([value for _, value in batch], np.float32)
        together.observe(hashes, numbers)
        for at in range(len(batch)):
            one_by_one.observe(hashes[at : at + 1], numbers[at : at + 1])
    assert together.values == one_by_one.values
    assert WORD not in together.values


def test_only_so_many_features_are_measured():
    kept = Samples()
    for first in range(0, 2 * MOST, 100):
        hashes = np.arange(first, first + 100, dtype=np.uint32) << np.uint32(2) | np.uint32(NUMERIC | 1)
        kept.observe(np.repeat(hashes, 3), np.full(300, 5.0, np.float32))
    assert len(kept.values) == len(kept.measures().hashes) == MOST
    assert kept.measures().of(NUMBER).size == 5.0
    assert kept.measures().of((2 * MOST - 1) << 2 | NUMERIC | 1) is UNKNOWN


def test_what_was_never_measured_counts_as_far_as_one_and_its_sign():
    assert (UNKNOWN.ranked(-LARGEST), UNKNOWN.ranked(0.5), UNKNOWN.scaled(LARGEST)) == (-1.0, 0.5, REACH)
    assert Measures.none().scaled(np.array([NUMBER, WORD], np.uint32), [1e9, 7.0]).tolist() == [REACH, REACH]
