"""What a score is made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.events import Action, Situation
from shared.learning.encoding import Encoder, to_batch
from shared.learning.explanation import explain
from shared.learning.learner import Learner
from shared.learning.model import Model

COLOURS = ("red", "green", "blue")


def colourful(colour: str, size: float) -> Situation:
    actions = tuple(Action(f"a{number}", ({"kind": {"kind": kind}},)) for number, kind in enumerate(COLOURS))
    return Situation(({"user": {"colour": colour, "size": size}, "list": {"numbers": [size, 2.0]}},), actions)


@pytest.fixture(scope="module")
def model() -> Model:
    """Those who like a colour reward the action of that kind; the size says nothing."""
    rng, encoder, learner = np.random.default_rng(5), Encoder(), Learner.cold()
    logged, rewards = [], []
    for _ in range(400):
        colour, chosen = rng.integers(3, size=2).tolist()
        logged.append(encoder.encode(colourful(COLOURS[colour], float(rng.uniform(1, 9)))).logged(chosen))
        rewards.append(float(colour == chosen))
    learner.learn(to_batch(logged, rewards=rewards, probabilities=[1 / 3] * 400))
    return learner.model()


@given(colour=st.sampled_from([*COLOURS, "never met"]), size=st.floats(-1e6, 1e6), action=st.integers(0, 2))
def test_the_contributions_sum_to_the_score(model, colour, size, action):
    explanation = explain(model, colourful(colour, size), action)
    assert sum(each.worth for each in explanation.contributions) == pytest.approx(explanation.score, abs=1e-4)


def test_the_score_is_the_one_that_rank_uses(model):
    asked = colourful("red", 3.0)
    scores = model.scores(Encoder().encode(asked)).mean
    assert [explain(model, asked, action).score for action in range(3)] == pytest.approx(scores.tolist())


def test_what_matters_is_named_first(model):
    first = explain(model, colourful("green", 4.0), 1).contributions[0]
    assert first.context == "user.colour=green"
    assert first.worth > 0.2


def test_every_part_has_a_name_that_a_reader_knows(model):
    contributions = explain(model, colourful("green", 4.0), 1).contributions
    names = {each.context for each in contributions} | {each.action for each in contributions}
    assert names <= {"", "user.colour=green", "user.size", "list.numbers[0]", "list.numbers[1]", "id=a1", "kind.kind=green"}


def test_a_cold_model_has_no_reasons():
    explanation = explain(Model.cold(), colourful("red", 1.0), 0)
    assert (explanation.action_id, explanation.score, explanation.contributions) == ("a0", 0.0, ())
