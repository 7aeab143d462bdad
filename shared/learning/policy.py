"""A model together with how it explores: what turns a situation into probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

import numpy as np

from shared.learning import exploration as explore
from shared.learning.arguments import (
    Adaptive,
    Bag,
    Cover,
    EpsilonGreedy,
    First,
    PolicyArguments,
    RegCB,
    Softmax,
    SquareCB,
)
from shared.learning.encoding import EncodedSituation, Floats
from shared.learning.model import Model
from shared.learning.scorer import Scores

FLOOR: Final = 0.01
"""Shared among the actions as the least they get: it costs little reward and keeps the log fit for offline evaluation."""

GAMMA: Final = 100.0
"""SquareCB's γ after one event; it grows with the root of those remembered, as its regret bound asks. Set by trial."""

_OPTIMISM: Final = 0.6
"""Standard deviations of an estimate that are added to it; set by trial."""

_LARGEST_BONUS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Policy:
    """Chooses by a model, and now and then otherwise, as the policy's arguments say.

    If they name no algorithm it explores in proportion to how likely an action is the best one, ``exploration_percentage`` (0..1)
    at most; with ε-greedy that percentage is ε.
    """

    model: Model
    exploration_percentage: float
    arguments: PolicyArguments = field(default_factory=PolicyArguments)

    def probabilities(self, encoded: EncodedSituation, allowed: Sequence[bool]) -> tuple[float, ...]:
        """Give each action's chance, in request order; a cold model gives all that are allowed the same."""
        if self.model.is_cold:
            return tuple(explore.uniform(allowed).tolist())
        return self.chances(self.model.scores(encoded), allowed)

    def chances(self, scores: Scores, allowed: Sequence[bool]) -> tuple[float, ...]:
        """Do so by scores that the model, which is not cold, gave already."""
        if isinstance(self.arguments.exploration, Adaptive):
            return self._adaptive(scores, allowed)
        chances = self._named(scores, allowed)
        if self.arguments.floor:
            chances = explore.with_floor(chances, allowed, floor=self.arguments.floor, exploration=1.0)
        return tuple(chances.tolist())

    def _adaptive(self, scores: Scores, allowed: Sequence[bool]) -> tuple[float, ...]:
        hopes = optimistic(scores, deviation=self.model.deviation).tolist()
        gamma = GAMMA * sqrt(self.model.remembered)
        floor = max(FLOOR, self.arguments.floor)
        return explore.adaptive(hopes, allowed, gamma=gamma, exploration=self.exploration_percentage, floor=floor)

    def _named(self, scores: Scores, allowed: Sequence[bool]) -> Floats:
        mean, draws = scores.mean.astype(np.float64), scores.draws.astype(np.float64)
        match self.arguments.exploration:
            case SquareCB(scale, exponent):
                return explore.squarecb(mean, allowed, gamma=scale * self.model.remembered**exponent)
            case Softmax(scale):
                return explore.softmax(mean, allowed, scale=scale)
            case First(events):
                return explore.first(mean, allowed, learned=self.model.learned, events=events)
            case RegCB(is_optimistic, mellowness):
                deviations = self.model.deviation * sqrt(mellowness) * spread(scores)
                return explore.regcb(mean, deviations, allowed, optimistic=is_optimistic)
            case Bag(size) if draws.shape[1]:
                return explore.bag(mean, draws[:, :size], allowed)
            case Cover(size, psi) if draws.shape[1] and size > 1:
                return explore.cover(mean, draws[:, : size - 1], allowed, psi=psi)
            case EpsilonGreedy():
                return explore.epsilon_greedy(mean, allowed, epsilon=self.exploration_percentage)
            case _:  # a vote of draws where there is nothing left to draw from
                return explore.epsilon_greedy(mean, allowed, epsilon=0.0)


def spread(scores: Scores) -> Floats:
    """Give the standard deviation of each action's draws, in units of the rewards' own; 0 where there are none."""
    count = scores.draws.shape[1]
    if not count:
        return np.zeros(len(scores.mean))
    squared = np.einsum("km,km->k", scores.draws, scores.draws, dtype=np.float64)
    deviations: Floats = np.sqrt(squared / count)
    return deviations


def optimistic(scores: Scores, *, deviation: float) -> Floats:
    """Add to each estimate what it may be too low by: an action of which little is known is worth a try."""
    mean = scores.mean.astype(np.float64)
    if not scores.draws.shape[1]:
        return mean
    hopes: Floats = mean + np.minimum(_OPTIMISM * deviation * spread(scores), _LARGEST_BONUS)
    return hopes
