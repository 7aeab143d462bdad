"""What a score is made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.events import Action, Situation
from shared.learning.encoding import Encoder, to_batch
from shared.learning.explanation import LONGEST_NAME, OTHERS, explain, explain_all
from shared.learning.learner import Learner
from shared.learning.model import Model
from tests.learning.test_model import JOINT

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


# --- all actions at once ---------------------------------------------------------------------------------------------


@given(colour=st.sampled_from([*COLOURS, "never met"]), size=st.floats(-1e6, 1e6), most=st.integers(1, 20))
def test_of_each_action_the_contributions_sum_to_its_score_however_few_are_told(model, colour, size, most):
    asked = colourful(colour, size)
    scores = model.scores(Encoder().encode(asked)).mean.tolist()
    explained = explain_all(model, asked, most=most)
    assert [each.action_id for each in explained] == ["a0", "a1", "a2"]
    assert [each.score for each in explained] == pytest.approx(scores, abs=1e-6)
    for each in explained:
        assert sum(part.worth for part in each.contributions) == pytest.approx(each.score, abs=1e-4)
        assert len(each.contributions) <= most + 1
        assert all(type(part.worth) is float for part in each.contributions)


def test_all_together_say_what_each_says_alone_with_the_values_put_together(model):
    """A sum over the values of a feature and the places of an array; an action without any feature is its id."""
    asked = colourful("green", 4.0)
    for number, explained in enumerate(explain_all(model, asked, most=1000)):
        sums: dict[str, float] = {}
        for part in explain(model, asked, number).contributions:
            names = [name.partition("=")[0].partition("[")[0] for name in (part.context, part.action)]
            whole = "^".join(name for name in names if name) or "id"
            sums[whole] = sums.get(whole, 0.0) + part.worth
        assert {part.name: part.worth for part in explained.contributions} == pytest.approx(sums, abs=1e-6)


def test_names_are_those_of_features_whatever_their_value(model):
    names = {part.name for part in explain_all(model, colourful("green", 4.0), most=100)[0].contributions}
    of_context = {"user.colour", "user.size", "list.numbers"}
    of_action = {"id", "kind.kind"}
    assert names <= of_context | of_action | {f"{of}^{with_}" for of in of_context for with_ in of_action}


def test_what_is_not_told_one_by_one_is_told_in_one_and_comes_last(model):
    (every, *_) = explain_all(model, colourful("green", 4.0), most=100)
    (few, *_) = explain_all(model, colourful("green", 4.0), most=2)
    told, (rest,) = few.contributions[:2], few.contributions[2:]
    assert [abs(part.worth) for part in told] == [abs(part.worth) for part in every.contributions[:2]]  # which of equal ones is open
    assert rest.name == OTHERS
    assert rest.worth == pytest.approx(sum(part.worth for part in every.contributions if part not in told))


def test_a_name_is_cut_when_it_is_long(model):
    long = "x" * 100_000
    asked = Situation(({"user": {"colour": "green", long: 1.0}},), colourful("green", 1.0).actions)
    for explained in explain_all(model, asked, most=1000):
        assert max(len(part.name) for part in explained.contributions) <= 2 * LONGEST_NAME + 1


def test_of_a_cold_model_no_action_has_reasons():
    assert [each.contributions for each in explain_all(Model.cold(), colourful("red", 1.0), most=10)] == [(), (), ()]


def priced(age: float, price: float) -> Situation:
    return Situation(({"user": {"n0": age}},), (Action("described", ({"v": {"kind": "k1", "price": price}},)), Action("bare", ())))


@given(age=st.floats(-1e6, 1e6), price=st.floats(-1e6, 1e6))
def test_a_model_with_every_part_is_explained_to_the_whole_of_its_score(age, price):
    assert JOINT.joint_share > 0.5
    asked = priced(age, price)
    for explanation in (*(explain(JOINT, asked, action) for action in range(2)), *explain_all(JOINT, asked, most=3)):
        assert sum(each.worth for each in explanation.contributions) == pytest.approx(explanation.score, abs=1e-3)
    scores = JOINT.scores(Encoder().encode(asked)).mean
    assert [each.score for each in explain_all(JOINT, asked, most=50)] == pytest.approx(scores.tolist(), abs=1e-3)


def test_what_the_joint_part_adds_is_divided_among_both_sides_the_id_where_it_is_alone():
    described, bare = (
        {(each.context, each.action) for each in explain(JOINT, priced(2.0, 1.0), action).contributions} for action in range(2)
    )
    assert {("user.n0", ""), ("", "v.kind=k1"), ("", "v.price")} <= described
    assert ("", "id=described") not in described
    assert {("user.n0", ""), ("", "id=bare")} <= bare
