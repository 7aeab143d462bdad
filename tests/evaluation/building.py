"""Logs to estimate on: the two of known values, random ones, and simulated ones whose truth is known."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.sums import Floats

_PLACES = np.arange(1000)
A1000 = Rounds.of(logged=0.5, target=np.where(_PLACES % 2 == 0, 0.2, 0.8), rewards=(_PLACES % 2 == 0).astype(float))
"""Even rounds pay 1 and are chosen with .2 by the policy, odd ones pay 0 and are chosen with .8."""

OBP_6 = Rounds.of(
    logged=[0.5, 0.3, 0.2, 0.8, 0.1, 0.25],
    target=[0.2, 0.8, 0.4, 0.6, 0.7, 0.5],
    rewards=[1, 0, 1, 0, 1, 0.5],
    predicted=[0.5, 0.1, 0.7, 0.4, 0.5, 0.6],
    expected=[
        0.2 * 0.5 + 0.3 * 0.2 + 0.5 * 0.4,
        0.1 * 0.3 + 0.8 * 0.1 + 0.1 * 0.6,
        0.3 * 0.2 + 0.3 * 0.2 + 0.4 * 0.7,
        0.6 * 0.4 + 0.2 * 0.3 + 0.2 * 0.3,
        0.1 * 0.6 + 0.7 * 0.5 + 0.2 * 0.1,
        0.25 * 0.2 + 0.25 * 0.2 + 0.5 * 0.6,
    ],
)
"""Six rounds of three actions, with predictions."""


@dataclass(frozen=True, eq=False)
class Choices:
    """A random log with everything about every action."""

    logged: Floats
    target: Floats
    predictions: Floats
    chosen: np.ndarray
    rewards: Floats

    @property
    def rounds(self) -> Rounds:
        return Rounds.of_choices(
            chosen=self.chosen, logged=self.logged, target=self.target, rewards=self.rewards, predictions=self.predictions
        )

    @property
    def mu(self) -> Floats:
        return np.asarray(self.logged[np.arange(len(self.chosen)), self.chosen])

    @property
    def pi(self) -> Floats:
        return np.asarray(self.target[np.arange(len(self.chosen)), self.chosen])


def random_choices(seed: int, *, n: int = 200, actions: int = 5) -> Choices:
    rng = np.random.default_rng(seed)
    mu = rng.dirichlet(np.ones(actions), n) * 0.9 + 0.1 / actions
    pi, q = rng.dirichlet(np.ones(actions) * 0.5, n), rng.random((n, actions))
    chosen = (mu.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return Choices(mu, pi, q, chosen, rng.random(n))


seeds = st.integers(0, 2**32 - 1)
logs = st.builds(lambda seed, n, actions: random_choices(seed, n=n, actions=actions), seeds, st.integers(1, 60), st.integers(2, 6))


@dataclass(frozen=True, eq=False)
class World:
    """Eight kinds of visitors; ``pays`` [8, K] is the chance of a reward, ``weak`` and ``strong`` [8] are favourite actions."""

    pays: Floats
    weak: np.ndarray
    strong: np.ndarray
    exploration: float

    @property
    def truth(self) -> float:
        """The value of always choosing the strong favourite."""
        return float(self.pays[np.arange(8), self.strong].mean())

    @property
    def largest_weight(self) -> float:
        return float(self.pays.shape[1] / self.exploration)


def world(*, actions: int = 4, exploration: float = 0.4, low: float = 0.05, high: float = 0.6, seed: int = 3) -> World:
    """Rewards between low and high; the weak policy knows the best action of every second visitor."""
    rng = np.random.default_rng(seed)
    pays = rng.uniform(low, high, (8, actions))
    strong = pays.argmax(axis=1)
    weak = np.where(np.arange(8) % 2 == 0, strong, (strong + 1) % actions)
    return World(pays, weak, strong, exploration)


def clear_world(*, pleased: int = 8) -> World:
    """Whoever knows the visitor knows the reward, nearly: .95 for the right action, .05 for any other, and for those never pleased."""
    strong, visitors = np.arange(8) % 4, np.arange(8)
    pays = np.where((np.arange(4) == strong[:, None]) & (visitors < pleased)[:, None], 0.95, 0.05)
    return World(pays, np.where(visitors % 2 == 0, strong, (strong + 1) % 4), strong, 0.4)


def played(world: World, *, logs: int, rounds: int, seed: int, misled: bool = False) -> Rounds:
    """Play the weak policy with exploration, in many logs at once, and see them as the strong one: [logs, rounds].

    Predictions are what the same log's earlier rounds paid on average, renewed every 50; of the other action if misled.
    """
    rng, actions = np.random.default_rng(seed), world.pays.shape[1]
    visitors = rng.integers(8, size=(logs, rounds))
    favourite = world.weak[visitors]
    explored = rng.random((logs, rounds)) < world.exploration
    chosen = np.where(explored, rng.integers(actions, size=(logs, rounds)), favourite)
    rewards = (rng.random((logs, rounds)) < world.pays[visitors, chosen]).astype(float)
    logged = world.exploration / actions + (1.0 - world.exploration) * (chosen == favourite)
    strong = world.strong[visitors]
    predicted, expected = _predictions(visitors, chosen, rewards, strong, actions, misled)
    return Rounds.of(logged=logged, target=(chosen == strong) * 1.0, rewards=rewards, predicted=predicted, expected=expected)


def _predictions(visitors, chosen, rewards, strong, actions, misled):
    logs, rounds = visitors.shape
    counts, sums = np.full((logs, 8, actions), 1.0), np.full((logs, 8, actions), 0.3)
    predicted, expected = np.zeros((2, logs, rounds))
    rows = np.arange(logs)[:, None]
    for first in range(0, rounds, 50):
        block = slice(first, first + 50)
        means = 1.0 - sums / counts if misled else sums / counts
        predicted[:, block] = means[rows, visitors[:, block], chosen[:, block]]
        expected[:, block] = means[rows, visitors[:, block], strong[:, block]]
        where = (np.broadcast_to(rows, chosen[:, block].shape), visitors[:, block], chosen[:, block])
        np.add.at(counts, where, 1.0)
        np.add.at(sums, where, rewards[:, block])
    return predicted, expected


def at_looks(rounds: Rounds, looks: np.ndarray) -> Moments:
    """Sum up to each of these rounds, [logs, looks]."""
    starts = np.concatenate([[0], looks[:-1]])
    parts = Moments.of_parts(rounds.cut(slice(0, int(looks[-1]))), starts)
    return parts.each(lambda merge, values: merge.accumulate(values, axis=-1))
