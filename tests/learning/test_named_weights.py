"""Weights get the names of the features that events have; with them a score can be computed anew."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shared.domain.events import Action, Situation
from shared.learning import named_weights
from shared.learning.arguments import parse_arguments
from shared.learning.encoding import Encoder, to_batch
from shared.learning.explanation import explain
from shared.learning.interactions import EVERYTHING, Interactions
from shared.learning.learner import Learner
from shared.learning.model import Mixture, Model, Parts
from shared.learning.named_weights import NamedWeights

Event = tuple[Any, int, float]
RNG = np.random.default_rng(5)
LETTERS = parse_arguments("--cb_explore_adf -q un --ignore_linear n").interactions


def drawn() -> Event:
    kind, topic = RNG.choice(["young", "old"]), int(RNG.integers(3))
    context: Any = (
        {"user": {"kind": str(kind), "age": float(RNG.uniform(0, 0.9)), "tags": [0.5, 0.25]}, "words": ["a", str(RNG.integers(4))]},
    )
    actions = tuple(Action(f"s{each}", ({"news": {"topic": "abc"[each], "length": 0.1 * each}},)) for each in range(3))
    return Situation(context, actions), topic, float((kind == "young") == (topic == 1))


def learned(events: list[Event], interactions: Interactions = EVERYTHING) -> Model:
    learner, encoder = Learner.cold(interactions), Encoder(interactions)
    for part in (events[:200], events[200:]):
        rows = [encoder.encode(asked).logged(chosen) for asked, chosen, _ in part]
        learner.learn(to_batch(rows, rewards=[reward for *_, reward in part], probabilities=[1 / 3] * len(part)))
    mixture = Mixture(0.3, 0.1, 0.2, 0.1, 0.2, 0.1)
    of_members = Model.of(Parts(learner.shared, learner.local, learner.joint), learner.measures, mixture, learned=400, deviation=0.4)
    return replace(of_members, interactions=interactions)


EVENTS = [drawn() for _ in range(400)]


@pytest.fixture(scope="module", params=[EVERYTHING, LETTERS], ids=["everything", "letters"])
def model(request) -> Model:
    return learned(EVENTS, request.param)


def named(model: Model, events=EVENTS) -> NamedWeights:
    weights = NamedWeights(model)
    for asked, chosen, _ in events:
        weights.take(asked, chosen)
    return weights


def without_joint_worths(model: Model) -> Model:
    """The same model, whose joint part adds nothing."""
    return replace(model, joint_weights=np.zeros_like(model.joint_weights))


def test_the_named_weights_give_the_score_of_every_action(model):
    """Its shared part exactly, as the law of `PairWeight` says."""
    weights = {(each.context, each.action): each for each in named(model).pairs()}
    assert len(weights) == len(named(model).pairs())  # no name stands for two features here
    own = {each.action for each in named(model).own_parts()}
    for asked, chosen, _ in EVENTS[:20]:
        (context,), action = asked.context, asked.actions[chosen]
        (features,) = action.features
        user, words, news = context["user"], context["words"], features["news"]
        of = {"": 1.0, f"user.kind={user['kind']}": 1.0, "user.age": user["age"], "user.tags[0]": 0.5, "user.tags[1]": 0.25}
        of |= {f"words={word}": 1.0 for word in words}
        with_ = {f"id={action.id}": 1.0, f"news.topic={news['topic']}": 1.0, "news.length": news["length"]}
        share = 1.0 - model.joint_share - (model.share if action.id in own else 0.0)
        parts = [(one, other) for one in of for other in with_ if (one, other) in weights]
        found = share * sum(weights[pair].weight * of[pair[0]] * with_[pair[1]] / weights[pair].scale for pair in parts)
        told = sum(each.worth for each in explain(without_joint_worths(model), asked, chosen).contributions if each.action)
        assert found == pytest.approx(told, abs=1e-6)


def test_every_weight_of_the_model_has_a_name_where_all_its_events_are_there(model):
    weights = named(model)
    assert weights.unnamed() == 0 if model.interactions == EVERYTHING else weights.unnamed() >= 0
    assert {each.cell for each in weights.pairs()} <= set(model.cells.tolist())
    assert NamedWeights(model).unnamed() == len(model.cells)
    assert 0 < named(model, EVENTS[:2]).unnamed() < len(model.cells)


def test_pairs_are_counted_and_come_from_the_largest_to_the_smallest(model):
    pairs = named(model).pairs()
    sizes = [abs(each.weight) for each in pairs]
    assert sizes == sorted(sizes, reverse=True)
    young = next(each for each in pairs if (each.context, each.action) == ("user.kind=young", "news.topic=b"))
    assert young.events == sum(asked.context[0]["user"]["kind"] == "young" and chosen == 1 for asked, chosen, _ in EVENTS)
    assert young.weight > 0


def test_what_the_own_part_of_an_action_adds_is_averaged_over_the_events_that_have_a_feature(model):
    sums: dict[str, float] = {}
    counts: Counter[str] = Counter()
    for asked, _, _ in EVENTS:
        for each in explain(without_joint_worths(model), asked, 1).contributions:
            if each.context and not each.action:
                sums[each.context] = sums.get(each.context, 0.0) + each.worth
                counts[each.context] += 1
    part = next(each for each in named(model).own_parts() if each.action == "s1")
    told = {each.context: (each.worth, each.events) for each in part.worths}
    assert told.keys() == sums.keys()
    for name, total in sums.items():
        assert told[name][0] == pytest.approx(total / counts[name], abs=1e-9)
        assert told[name][1] == counts[name]
    alone = next(
        each.worth for each in explain(without_joint_worths(model), EVENTS[0][0], 1).contributions if not each.context and not each.action
    )
    assert part.alone == pytest.approx(alone)


def test_what_the_joint_part_adds_is_averaged_over_the_events_that_were_shown(model):
    worths = named(model).joint_worths()
    bare = replace(model, share=0.0, arms=model.arms[:0], arm_weights=model.arm_weights[-1:], weights=np.zeros_like(model.weights))
    scores = [explain(bare, asked, chosen).score for asked, chosen, _ in EVENTS]
    assert sum(each.worth * each.events for each in worths) == pytest.approx(sum(scores), abs=1e-2)
    assert {each.events for each in worths if not each.context and not each.action} == {len(EVENTS)}
    assert any(each.context == "user.kind=young" for each in worths)
    assert any(each.action == "news.topic=b" for each in worths)
    assert not [each for each in worths if each.action.startswith("id=")]  # it says nothing beside other features


def test_a_cold_model_has_no_weights():
    weights = named(Model.cold())
    assert (weights.pairs(), weights.own_parts(), weights.joint_worths(), weights.unnamed()) == ([], [], [], 0)


def test_names_are_bounded_in_number_and_length(model, monkeypatch):
    monkeypatch.setattr(named_weights, "MOST_FEATURES", 30)
    monkeypatch.setattr(named_weights, "MOST_PAIRS", 7)
    monkeypatch.setattr(named_weights, "MOST_WORTHS", 3)
    weights, taken = NamedWeights(model), 0
    while not weights.is_full:
        asked, chosen, _ = drawn()
        weights.take(Situation(({"user": {"name": f"{taken}" * 1_000}}, *asked.context), asked.actions), chosen)
        taken += 1
    assert 1 < taken <= 30
    assert len(weights.pairs()) == 7
    assert {each.events for each in weights.pairs()} <= {taken, taken - 1, *range(1, taken)}
    assert {len(each.worths) for each in weights.own_parts()} == {3}
    monkeypatch.setattr(named_weights, "MOST_WORTHS", 300)
    assert max(len(worth.context) for each in weights.own_parts() for worth in each.worths) <= 256
