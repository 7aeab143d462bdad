import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.learning.model import Model
from shared.learning.policy import FLOOR, Policy
from tests.learning.building import encoded, random_model

MODELS = [random_model(seed) for seed in range(3)]


@given(st.lists(st.booleans(), min_size=1, max_size=50), st.floats(0, 1), st.sampled_from(MODELS))
@settings(deadline=None)
def test_a_policy_explores_within_its_bound_and_above_its_floor(allowed, exploration, model):
    assume(any(allowed))
    probabilities = Policy(model, exploration).probabilities(encoded({"u": {"a": 1}}, [{"b": i} for i in range(len(allowed))]), allowed)
    assert abs(sum(probabilities) - 1) <= 1e-9
    assert sum(probabilities) - max(probabilities) <= exploration + 1e-9
    lowest = min(FLOOR, exploration) / sum(allowed)
    for probability, may in zip(probabilities, allowed, strict=True):
        assert probability >= lowest - 1e-12 if may else probability == 0.0


def test_a_cold_policy_gives_all_that_are_allowed_the_same():
    asked = encoded({}, [{}, {}, {}])
    assert Policy(Model.cold(), exploration_percentage=0.0).probabilities(asked, [True, False, True]) == (0.5, 0.0, 0.5)


@pytest.mark.parametrize("model", [Model.cold(), MODELS[0]], ids=["cold", "learned"])
def test_the_only_allowed_action_is_certain(model):
    assert Policy(model, 0.2).probabilities(encoded({}, [{}, {}, {}]), [False, True, False]) == (0.0, 1.0, 0.0)


def test_a_policy_explores_less_as_it_has_learned_more():
    asked = encoded({"u": {"a": 1}}, [{"b": i} for i in range(5)])
    young, old = (Policy(Model(MODELS[0].weights, learned), 1.0).probabilities(asked, [True] * 5) for learned in (1, 100_000))
    assert max(old) > max(young)
    assert old.index(max(old)) == MODELS[0].scores(asked).argmax()
