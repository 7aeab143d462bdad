from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.learning.exploration import at_most, squarecb, with_floor
from shared.learning.model import Model
from shared.learning.policy import FLOOR, GAMMA, Policy, optimistic
from shared.learning.scorer import Scores
from tests.learning.building import encoded, random_model
from tests.learning.test_model import CLOSED, JOINT, LOCAL, OPEN

MODELS = [random_model(1), OPEN, CLOSED, LOCAL, JOINT]
"""With draws of each part."""

EXPLORATION = st.sampled_from([0.0, 0.2, 1.0]) | st.floats(0, 1)
SITUATIONS = {count: encoded({"u": {"a": 1, "left": "x"}}, [{"b": i} for i in range(count)]) for count in range(1, 51)}


@given(st.lists(st.booleans(), min_size=1, max_size=50), EXPLORATION, st.sampled_from(MODELS))
@settings(deadline=None)
def test_a_policy_explores_within_its_bound_and_above_its_floor(allowed, exploration, model):
    assume(any(allowed))
    probabilities = Policy(model, exploration).probabilities(SITUATIONS[len(allowed)], allowed)
    assert abs(sum(probabilities) - 1) <= 1e-9
    assert sum(probabilities) - max(probabilities) <= exploration + 1e-9
    lowest = min(FLOOR, exploration) / sum(allowed)
    for probability, may in zip(probabilities, allowed, strict=True):
        assert probability >= lowest - 1e-12 if may else probability == 0.0


@given(st.integers(1, 50), EXPLORATION, st.sampled_from(MODELS))
@settings(deadline=None)
def test_a_policy_is_squarecb_on_hopeful_estimates(count, exploration, model):
    hopes = optimistic(model.scores(SITUATIONS[count]), deviation=model.deviation)
    allowed = [True] * count
    spread = squarecb(hopes, allowed, gamma=GAMMA * model.remembered**0.5)
    expected = with_floor(at_most(spread, exploration=exploration), allowed, floor=FLOOR, exploration=exploration)
    given_ = Policy(model, exploration).probabilities(SITUATIONS[count], allowed)
    assert given_ == pytest.approx(tuple(expected.tolist()), abs=1e-9)


def test_a_cold_policy_gives_all_that_are_allowed_the_same():
    asked = encoded({}, [{}, {}, {}])
    for exploration in (0.0, 0.2, 1.0):
        assert Policy(Model.cold(), exploration).probabilities(asked, [True, False, True]) == (0.5, 0.0, 0.5)


@pytest.mark.parametrize("model", [Model.cold(), *MODELS], ids=["cold", "random", "open", "closed", "local", "joint"])
def test_the_only_allowed_action_is_certain(model):
    assert Policy(model, 0.2).probabilities(encoded({}, [{}, {}, {}]), [False, True, False]) == (0.0, 1.0, 0.0)


def test_without_exploration_a_policy_is_greedy():
    for model in MODELS:
        assert sorted(Policy(model, 0.0).probabilities(SITUATIONS[9], [True] * 9)) == [0.0] * 8 + [1.0]


def test_a_policy_explores_less_as_more_is_remembered():
    young, old = (Policy(replace(CLOSED, remembered=events), 1.0).probabilities(SITUATIONS[5], [True] * 5) for events in (1.0, 1e6))
    assert max(old) > max(young)
    assert old.index(max(old)) == optimistic(CLOSED.scores(SITUATIONS[5]), deviation=CLOSED.deviation).argmax()


# --- hope ---


def test_what_is_certain_is_not_hoped_for():
    mean = np.array([0.25, 0.5], np.float32)
    for draws in (np.zeros((2, 0), np.float32), np.zeros((2, 4), np.float32)):
        assert optimistic(Scores(mean, draws), deviation=0.4).tolist() == [0.25, 0.5]


def test_the_less_is_known_the_more_is_hoped_for_up_to_a_bound():
    draws = np.array([[0.0] * 4, [0.1, -0.1, 0.1, -0.1], [0.3, -0.3, 0.3, -0.3], [400.0] * 4], np.float32)
    hopes = optimistic(Scores(np.zeros(4, np.float32), draws), deviation=0.5)
    assert hopes[0] == 0.0
    assert hopes[2] == pytest.approx(3 * hopes[1])
    assert hopes[1] < hopes[2] < hopes[3] <= 0.5


def test_an_untried_action_is_tried_before_a_known_bad_one():
    scores = Scores(np.array([0.6, 0.2, 0.2], np.float32), np.array([[0.01] * 4, [0.01] * 4, [2.0] * 4], np.float32))
    hopes = optimistic(scores, deviation=0.4)
    assert hopes[2] > hopes[0] > hopes[1]
