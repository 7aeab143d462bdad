"""What the tests of this room say in one word: situations, any JSON, random logs, and small worlds to learn in."""

from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import pairwise
from typing import Any, TypedDict

import numpy as np
from hypothesis import strategies as st

from shared.domain.events import Action, Features, Situation
from shared.learning.artifact import BEFORE_REWARDED
from shared.learning.encoding import Batch, EncodedSituation, Encoder, Row, to_batch
from shared.learning.exploration import draw
from shared.learning.learner import Learner
from shared.learning.model import Model
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


def entries(row: Row) -> list[tuple[int, float]]:
    return sorted(zip(row.hashes, row.values, strict=True))


def batch_of(logged: Sequence[bytes], rewards: Sequence[float], *, probability: float = 0.5) -> Batch:
    return to_batch(logged, rewards=rewards, probabilities=[probability] * len(logged))


def learned_from(logged: Sequence[bytes], rewards: Sequence[float]) -> Learner:
    learner = Learner.cold()
    learner.learn(batch_of(logged, rewards))
    return learner


# --- random logs: few crosses, so that draws stay open, or so many that they close ---


class Outcomes(TypedDict):
    rewards: list[float]
    probabilities: list[float]


def random_batch(seed: int, events: int) -> Batch:
    return to_batch(random_logs(seed, events), **random_outcomes(seed, events))


def random_logs(seed: int, events: int) -> list[bytes]:
    rng, encoder = np.random.default_rng(seed), Encoder()
    numbers = rng.normal(size=(events, 6)).round(3).tolist()
    contexts = [{f"n{i}": number for i, number in enumerate(row[: 1 + index % 6])} for index, row in enumerate(numbers)]
    return [encoder.encode(situation({"user": context}, [{}] * 3)).logged(index % 3) for index, context in enumerate(contexts)]


def random_outcomes(seed: int, events: int) -> Outcomes:
    rng = np.random.default_rng(seed + 1)
    return {"rewards": rng.random(events).tolist(), "probabilities": rng.uniform(0.01, 1, events).tolist()}


def many_crosses(seed: int, events: int) -> Batch:
    """About nine new crosses an event, numbers among them: draws close within some hundred and twenty."""
    rng, encoder = np.random.default_rng(seed), Encoder()
    actions: list[Features] = [{"v": {"kind": f"k{number % 2}", "price": 10.0 * number}} for number in range(3)]
    logged = []
    for names, age in zip(rng.integers(10_000, size=(events, 3)).tolist(), rng.normal(40, 20, events).tolist(), strict=True):
        asked = encoder.encode(situation({"u": {"names": [f"u{name}" for name in names], "age": age}}, actions))
        logged.append(asked.logged(names[0] % 3))
    return to_batch(logged, **random_outcomes(seed, events))


def random_model(seed: int) -> Model:
    learner = Learner.cold()
    learner.learn(random_batch(seed, 60))
    return learner.model()


# --- worlds ---


def learned_in(world: Callable[[Any, int], float], contexts: Sequence[Features], *, actions: int, events: int, seed: int) -> Learner:
    """Show actions at random in these contexts, drawn at random; ``world`` tells the expected reward, which is drawn as a click."""
    rng, learner = np.random.default_rng(seed), Learner.cold()
    return goes_on_in(learner, world, contexts, actions=actions, events=events, rng=rng)


def goes_on_in(
    learner: Learner,
    world: Callable[[Any, int], float],
    contexts: Sequence[Features],
    *,
    actions: int,
    events: int,
    rng: np.random.Generator,
) -> Learner:
    asked = [encoded({"u": context}, [{}] * actions) for context in contexts]
    which, shown = rng.integers(len(contexts), size=events), rng.integers(actions, size=events)
    rewards = [float(rng.random() < world(contexts[at], action)) for at, action in zip(which, shown.tolist(), strict=True)]
    for first, last in pairwise([*range(0, events, 100), events]):
        logged = [asked[at].logged(action) for at, action in zip(which[first:last], shown[first:last], strict=True)]
        learner.learn(batch_of(logged, rewards[first:last]))
    return learner


GROUPS = ("reader", "player", "buyer", "guest")


def last_third_of_a_life(*, noise: Features, seed: int = 7, events: int = 1500, published_every: int = 100) -> float:
    """Live through a world where each group of users likes one of four actions; give the mean reward of the last third.

    The liked action pays .8 and the others .2, drawn as clicks: chance earns .35, knowing everything .8. ``noise`` are
    numbers for the context: each is the size of a feature that says nothing.
    """
    rng, encoder, learner = np.random.default_rng(seed), Encoder(), Learner.cold()
    policy, rewards = Policy(Model.cold(), exploration_percentage=0.2), np.zeros(events)
    for first, last in pairwise([*range(0, events, published_every), events]):
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


def arrays_of(data):
    with np.load(BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def with_arrays(good, save=np.savez, **replaced):
    written = BytesIO()
    arrays = arrays_of(good) | replaced
    save(written, allow_pickle=True, **{name: array for name, array in arrays.items() if array is not None})
    return written.getvalue()


def as_without_rewarded(state):
    """Write a state as releases did that did not count the events which taught by their rewards."""
    header = np.concatenate([[BEFORE_REWARDED], arrays_of(state)["header"][1:]])
    return with_arrays(state, header=header, rewarded=None)
