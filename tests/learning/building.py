"""What the tests of this room say in one word: situations, any JSON, and a small world to learn in."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

import numpy as np
from hypothesis import strategies as st

from shared.domain.events import Action, Features, Situation
from shared.learning.encoding import Batch, EncodedSituation, Encoder, to_batch
from shared.learning.exploration import draw
from shared.learning.learner import Learner
from shared.learning.model import CELLS, Model
from shared.learning.policy import Policy

any_text = st.text(st.characters(codec=None), max_size=20)
any_number = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([10**400, -(10**400), 1e308, -1e308, 5e-324, 0, 1, 2000, -1e6])
)
any_json = st.recursive(
    st.none() | st.booleans() | any_number | any_text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(any_text, inner, max_size=5),
    max_leaves=30,
)
any_features = st.lists(st.dictionaries(any_text, any_json, max_size=5), max_size=3)


def situation(context: Features, actions: Sequence[Features] = ({},)) -> Situation:
    return Situation((context,), tuple(Action(f"a{index}", (features,)) for index, features in enumerate(actions)))


def encoded(context: Features, actions: Sequence[Features] = ({},)) -> EncodedSituation:
    return Encoder().encode(situation(context, actions))


def learned_from(logged: Sequence[bytes], rewards: Sequence[float], *, probability: float = 0.5) -> Learner:
    learner = Learner.cold()
    learner.learn(to_batch(logged, rewards=rewards, probabilities=[probability] * len(logged)))
    return learner


def random_model(seed: int) -> Model:
    weights = np.random.default_rng(seed).normal(size=CELLS).astype(np.float32)
    return Model(weights, learned=1000)


def random_batch(seed: int, events: int) -> Batch:
    return to_batch(random_logs(seed, events), **random_outcomes(seed, events))


def random_logs(seed: int, events: int) -> list[bytes]:
    rng, encoder = np.random.default_rng(seed), Encoder()
    numbers = rng.normal(size=(events, 6)).round(3).tolist()
    contexts = [{f"n{i}": number for i, number in enumerate(row[: 1 + index % 6])} for index, row in enumerate(numbers)]
    return [encoder.encode(situation({"user": context})).logged(0) for context in contexts]


class Outcomes(TypedDict):
    rewards: list[float]
    probabilities: list[float]


def random_outcomes(seed: int, events: int, *, first: int = 0, last: int | None = None) -> Outcomes:
    rng = np.random.default_rng(seed + 1)
    return {"rewards": rng.random(events).tolist()[first:last], "probabilities": rng.uniform(0.01, 1, events).tolist()[first:last]}


GROUPS = ("reader", "player", "buyer", "guest")


def last_third_of_a_life(*, noise: Features, seed: int = 7, events: int = 3000, published_every: int = 100) -> float:
    """Live through a world where each group of users likes one of four actions; give the mean reward of the last third.

    The liked action pays .8 and the others .2, drawn as clicks: chance earns .35, knowing everything .8. ``noise`` are
    numbers for the context: each is the size of a feature that says nothing.
    """
    rng, encoder, learner = np.random.default_rng(seed), Encoder(), Learner.cold()
    policy, rewards = Policy(Model.cold(), exploration_percentage=0.2), np.zeros(events)
    edges = [*range(0, events, published_every), events]
    for first, last in pairwise(edges):
        logged, probabilities = [], []
        for event in range(first, last):
            group = int(rng.integers(len(GROUPS)))
            sizes = {name: rng.uniform(0.5, 1.5) * float(size) for name, size in noise.items() if isinstance(size, float)}
            asked = encoder.encode(situation({"user": {"group": GROUPS[group]}, "noise": sizes}, [{"kind": kind} for kind in GROUPS]))
            chances = policy.probabilities(asked, [True] * len(GROUPS))
            chosen = draw(chances, loop="world", event_id=str(event))
            rewards[event] = float(rng.random() < (0.8 if chosen == group else 0.2))
            logged.append(asked.logged(chosen))
            probabilities.append(chances[chosen])
        learner.learn(to_batch(logged, rewards=rewards[first:last].tolist(), probabilities=probabilities))
        policy = Policy(learner.model(), exploration_percentage=0.2)
    return float(rewards[-events // 3 :].mean())
