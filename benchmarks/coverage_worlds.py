"""Logs whose truth is known: small worlds, a policy that explores, and predictions that are made as a loop makes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.evaluation.intervals import UNIT, Range
from shared.evaluation.rounds import Rounds

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

VISITORS: Final = 200
"""Kinds of visitors, all as likely."""

_GROUPS: Final = 20
"""Predictions know of a visitor only its group: ten kinds together."""

_BLOCK: Final = 250
_PRIOR: Final = 5.0


@dataclass(frozen=True, slots=True)
class World:
    """Means of rewards are drawn from ``least`` to ``most``, with a favourite action of each visitor above the others by ``gap``.

    Rewards are 0 or 1, or with ``grades`` so many steps between; times ``scale`` plus ``shift``. ``exploration`` is what the logging policy
    leaves to chance. Predictions are a group's running means, or always ``misled``, if that is not None.
    """

    name: str
    about: str
    actions: int = 5
    least: float = 0.05
    most: float = 0.35
    gap: float = 0.25
    exploration: float = 0.2
    grades: int = 1
    scale: float = 1.0
    shift: float = 0.0
    misled: float | None = None

    @property
    def rewards(self) -> Range:
        """The range of rewards."""
        return UNIT if (self.scale, self.shift) == (1.0, 0.0) else Range(self.shift, self.shift + self.scale)


WORLDS: Final = (
    World("shop", "rewards of 5 to 60 %"),
    World("clear", "the visitor decides: 5 or 95 %", least=0.05, most=0.0500001, gap=0.9),
    World("clicks", "1 to 3 % of choices are clicked", least=0.01, most=0.02, gap=0.01),
    World("rare", "20 actions, of which most are shown in 1 of 200 calls", actions=20, exploration=0.1),
    World("rare clicks", "both", actions=20, exploration=0.1, least=0.01, most=0.02, gap=0.01),
    World("stars", "rewards in quarters from 0 to 1", grades=4),
    World("penalties", "rewards from -1 to 1", scale=2.0, shift=-1.0),
    World("misled", "predictions of .9 for everything", misled=0.9),
)


@dataclass(frozen=True, eq=False, slots=True)
class Log:
    """n events: the chosen actions [n] with their rewards, and of all actions [n, K] the probabilities, predictions, and those of policies.

    ``truths`` are what the policies earn on average over all visitors, and ``largest`` the largest weight that an event could have.
    """

    chosen: Integers
    rewards: Floats
    logged: Floats
    predictions: Floats
    policies: Mapping[str, Floats]
    truths: Mapping[str, float]
    largest: Mapping[str, float]

    def rounds(self, policy: str, *, blind: bool = False) -> Rounds:
        """Give the log as one of its policies sees it, without predictions if it is ``blind``."""
        return Rounds.of_choices(
            chosen=self.chosen,
            logged=self.logged,
            target=self.policies[policy],
            rewards=self.rewards,
            predictions=None if blind else self.predictions,
        )


def draw(world: World, *, events: int, seed: int) -> Log:
    """Draw visitors, what they like, and a log."""
    rng = np.random.default_rng([seed, events, *world.name.encode()])
    means = _means(world, rng)
    rows = np.arange(VISITORS)
    favourite = means.argmax(axis=1)
    guessed = np.where(rng.random(VISITORS) < 0.5, favourite, rng.integers(world.actions, size=VISITORS))
    better = np.where(rng.random(VISITORS) < 0.8, favourite, guessed)
    each = np.eye(world.actions)
    even = np.full((VISITORS, world.actions), 1.0 / world.actions)
    shown = (1.0 - world.exploration) * each[guessed] + world.exploration * even
    policies = {"shown": shown, "baseline": each[np.zeros(VISITORS, dtype=np.int64)], "chance": even, "better": each[better]}

    visitor = rng.integers(VISITORS, size=events)
    chances = shown[visitor].cumsum(axis=1)
    chosen = (chances > rng.random((events, 1)) * chances[:, -1:]).argmax(axis=1)
    unit = (means[rows] - world.shift) / world.scale
    rewards = world.shift + world.scale * rng.binomial(world.grades, unit[visitor, chosen]) / world.grades
    return Log(
        chosen=chosen,
        rewards=rewards,
        logged=shown[visitor],
        predictions=_predicted(world, visitor % _GROUPS, chosen, rewards),
        policies={name: policy[visitor] for name, policy in policies.items()},
        truths={name: float((policy * means).sum(axis=1).mean()) for name, policy in policies.items()},
        largest={name: float((policy / shown).max()) for name, policy in policies.items()},
    )


def _means(world: World, rng: np.random.Generator) -> Floats:
    """Give what each action earns of each visitor on average, [visitors, K]; visitors of one group are alike."""
    by_group = rng.uniform(world.least, world.most, (_GROUPS, world.actions))
    by_group[np.arange(_GROUPS), rng.integers(world.actions, size=_GROUPS)] += world.gap
    means = np.clip(by_group[np.arange(VISITORS) % _GROUPS] * rng.uniform(0.9, 1.1, (VISITORS, 1)), 0.0, 1.0)
    return np.asarray(world.shift + world.scale * means)


def _predicted(world: World, groups: Integers, chosen: Integers, rewards: Floats) -> Floats:
    """Predict each event's actions [n, K] by the group's mean rewards so far: no reward of its own block or of later ones is used."""
    found = np.full((len(chosen), world.actions), world.shift if world.misled is None else world.misled)
    if world.misled is not None:
        return found
    sums, counts = np.zeros((_GROUPS, world.actions)), np.zeros((_GROUPS, world.actions))
    for start in range(0, len(chosen), _BLOCK):
        block = slice(start, start + _BLOCK)
        mean = sums.sum() / counts.sum() if start else world.shift
        found[block] = ((sums + _PRIOR * mean) / (counts + _PRIOR))[groups[block]]
        np.add.at(sums, (groups[block], chosen[block]), rewards[block])
        np.add.at(counts, (groups[block], chosen[block]), 1.0)
    return found
