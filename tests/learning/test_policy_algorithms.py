"""Each algorithm that a policy can name, on a model that has learned something."""

import numpy as np
import pytest

from shared.domain.events import Action, Situation
from shared.learning.arguments import parse_arguments
from shared.learning.encoding import Encoder, to_batch
from shared.learning.learner import Learner
from shared.learning.model import Model
from shared.learning.policy import Policy

ALGORITHMS = (
    "--epsilon 0.1",
    "--squarecb",
    "--squarecb --gamma_scale 1000",
    "--softmax --lambda 10",
    "--bag 4",
    "--cover 3",
    "--first 100",
    "--regcb",
    "--regcbopt",
    "",
)
BEST = 2


def four_actions() -> Situation:
    return Situation(({"user": {"kind": "reader"}},), tuple(Action(f"a{number}", ({"n": {"n": str(number)}},)) for number in range(4)))


@pytest.fixture(scope="module")
def model() -> Model:
    rng, encoded, learner = np.random.default_rng(3), Encoder().encode(four_actions()), Learner.cold()
    chosen = rng.integers(4, size=300).tolist()
    rewards = [float(rng.random() < (0.8 if action == BEST else 0.2)) for action in chosen]
    learner.learn(to_batch([encoded.logged(action) for action in chosen], rewards=rewards, probabilities=[0.25] * 300))
    return learner.model()


def probabilities(model: Model, arguments: str, allowed: tuple[bool, ...] = (True,) * 4, *, percentage: float = 0.2) -> tuple[float, ...]:
    policy = Policy(model, exploration_percentage=percentage, arguments=parse_arguments(f"--cb_explore_adf {arguments}"))
    return policy.probabilities(Encoder().encode(four_actions()), allowed)


@pytest.mark.parametrize("arguments", ALGORITHMS)
def test_the_best_action_is_the_likeliest(model, arguments):
    given = probabilities(model, arguments)
    assert given.index(max(given)) == BEST
    assert sum(given) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("arguments", ALGORITHMS)
def test_what_is_excluded_gets_nothing(model, arguments):
    given = probabilities(model, arguments, (True, True, False, True))
    assert given[BEST] == 0.0
    assert sum(given) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("arguments", ALGORITHMS)
def test_a_cold_model_gives_all_the_same_chance(arguments):
    assert probabilities(Model.cold(), arguments) == pytest.approx((0.25,) * 4)


def test_epsilon_is_the_loops_percentage(model):
    given = probabilities(model, "--epsilon 0.9", percentage=0.4)
    assert given == pytest.approx((0.1, 0.1, 0.7, 0.1))


def test_first_is_uniform_until_so_many_are_learned(model):
    assert probabilities(model, "--first 301") == pytest.approx((0.25,) * 4)
    assert probabilities(model, "--first 300")[BEST] == 1.0


def test_epsilon_beside_another_algorithm_is_a_floor(model):
    assert min(probabilities(model, "--regcbopt --epsilon 0.2")) == pytest.approx(0.05)


def test_the_default_spends_no_more_than_the_percentage(model):
    assert 1.0 - probabilities(model, "", percentage=0.03)[BEST] <= 0.03 + 1e-9
    assert probabilities(model, "", percentage=0.0)[BEST] == 1.0
