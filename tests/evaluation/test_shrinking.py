"""The choice among candidates, and what shrinking does to weights."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.shrinking import FAMILIES, LIMITS, Candidates
from tests.evaluation.building import logs, played, world

weights = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=20).map(np.array)


@pytest.mark.parametrize("name", FAMILIES)
@given(weights)
def test_no_weight_grows_and_none_changes_without_a_limit(name, given_weights):
    shrink = FAMILIES[name].shrink
    np.testing.assert_array_equal(shrink(given_weights, inf), given_weights)
    for limit in LIMITS[:-1]:
        assert (shrink(given_weights, limit) <= given_weights * (1.0 + 1e-12)).all()


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=40, deadline=None)
@given(logs)
def test_the_last_candidate_is_the_estimator_as_it_was(name, choices):
    moments = Moments.of(choices.rounds)
    plain = moments.wr if name == "clipped_ips" else moments.d
    last = Candidates.of(choices.rounds, FAMILIES[name]).estimates[-1]
    assert float(last) == pytest.approx(float(plain / moments.rounds), abs=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=40, deadline=None)
@given(logs)
def test_the_value_is_that_of_the_chosen_candidate(name, choices):
    candidates = Candidates.of(choices.rounds, FAMILIES[name])
    assert float(candidates.value) == float(candidates.estimates[int(candidates.chosen)])


def test_all_noise_and_no_bias_chooses_the_most_shrunk():
    """Predictions are right on average, and rare weights only add noise."""
    rng = np.random.default_rng(4)
    weights = np.where(rng.random(2000) < 0.001, 1000.0, 0.0)
    rounds = Rounds.of(logged=0.001, target=weights / 1000.0, rewards=(rng.random(2000) < 0.5) * 1.0, predicted=0.5, expected=0.5)
    assert int(Candidates.of(rounds, FAMILIES["clipped_dr"]).chosen) == 0


def test_much_bias_and_no_noise_chooses_no_limit_that_matters():
    rounds = Rounds.of(logged=0.1, target=np.tile([1.0, *[0.0] * 9], 1000), rewards=np.tile([1.0, *[0.0] * 9], 1000))
    candidates = Candidates.of(rounds, FAMILIES["clipped_ips"])
    assert LIMITS[int(candidates.chosen)] >= 10.0
    assert float(candidates.value) == pytest.approx(1.0)


def test_clipping_by_choice_is_no_further_off_than_ips_on_rare_large_weights():
    chosen = world(actions=10, exploration=0.05, low=0.3, high=0.6)
    rounds = played(chosen, logs=300, rounds=400, seed=3)
    moments, candidates = Moments.of(rounds), Candidates.of(rounds, FAMILIES["clipped_ips"])
    plain, shrunk = (np.sqrt(np.mean((each - chosen.truth) ** 2)) for each in (moments.wr / moments.rounds, candidates.value))
    assert shrunk < plain
