"""A model together with how it explores: what turns a situation into probabilities."""

from collections.abc import Sequence
from functools import cache
from math import sqrt
from typing import Any, Final, NamedTuple

import numpy as np

from shared.learning import exploration as explore
from shared.learning import exploration_of_many as explore_many
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


class Policy(NamedTuple):
    """Chooses by a model, and now and then otherwise, as the policy's arguments say.

    If they name no algorithm it explores in proportion to how likely an action is the best one, ``exploration_percentage`` (0..1)
    at most; with ε-greedy that percentage is ε.
    """

    model: Model
    exploration_percentage: float
    arguments: PolicyArguments = PolicyArguments()

    def probabilities(self, encoded: EncodedSituation, allowed: Sequence[bool]) -> tuple[float, ...]:
        """Give each action's chance, in request order; a cold model gives all that are allowed the same."""
        if self.model.is_cold:
            return tuple(explore.uniform(allowed).tolist())
        return self.chances(self.model.scores(encoded), allowed)

    def probabilities_of_many(self, encoded: Sequence[EncodedSituation], allowed: Sequence[Sequence[bool]]) -> list[tuple[float, ...]]:
        """Do as `probabilities` for many situations, faster."""
        if self.model.is_cold:
            return [tuple(explore.uniform(each).tolist()) for each in allowed]
        given: list[tuple[float, ...]] = [()] * len(encoded)
        for places, scores in self.model.scores_of_many(encoded):
            may = np.array([allowed[place] for place in places.tolist()], dtype=np.bool_)
            for place, chances in zip(places.tolist(), self.chances_of_many(scores, may).tolist(), strict=True):
                given[place] = tuple(chances)
        return given

    def chances(self, scores: Scores, allowed: Sequence[bool]) -> tuple[float, ...]:
        """Do so by scores that the model, which is not cold, gave already."""
        if isinstance(self.arguments.exploration, Adaptive):
            return self._adaptive(scores, allowed)
        return tuple(self._floored(scores, allowed, explore).tolist())

    def chances_of_many(self, scores: Scores, allowed: explore_many.Flags) -> Floats:
        """Do as `chances` for n situations of K actions: scores [n, K], draws [n, K, M], ``allowed`` [n, K]; gives [n, K]."""
        if isinstance(self.arguments.exploration, Adaptive):
            hopes, gamma = optimistic(scores, deviation=self.model.deviation), GAMMA * sqrt(self.model.remembered)
            floor = max(FLOOR, self.arguments.floor)
            return explore_many.adaptive(hopes, allowed, gamma=gamma, exploration=self.exploration_percentage, floor=floor)
        return self._floored(scores, allowed, explore_many)

    def _adaptive(self, scores: Scores, allowed: Sequence[bool]) -> tuple[float, ...]:
        hopes = optimistic(scores, deviation=self.model.deviation).tolist()
        gamma = GAMMA * sqrt(self.model.remembered)
        floor = max(FLOOR, self.arguments.floor)
        return explore.adaptive(hopes, allowed, gamma=gamma, exploration=self.exploration_percentage, floor=floor)

    def _floored(self, scores: Scores, allowed: Any, ways: Any) -> Floats:
        chances: Floats = self._named(scores, allowed, ways)
        if self.arguments.floor:
            chances = ways.with_floor(chances, allowed, floor=self.arguments.floor, exploration=1.0)
        return chances

    def _named(self, scores: Scores, allowed: Any, ways: Any) -> Any:
        """Explore as the arguments name it; ``ways`` is `exploration`, or for many situations `exploration_of_many`."""
        mean, draws = scores.mean.astype(np.float64), scores.draws.astype(np.float64)
        match self.arguments.exploration:
            case SquareCB(scale, exponent):
                return ways.squarecb(mean, allowed, gamma=scale * self.model.remembered**exponent)
            case Softmax(scale):
                return ways.softmax(mean, allowed, scale=scale)
            case First(events):
                return ways.first(mean, allowed, learned=self.model.learned, events=events)
            case RegCB(is_optimistic, mellowness):
                deviations = self.model.deviation * sqrt(mellowness) * spread(scores)
                return ways.regcb(mean, deviations, allowed, optimistic=is_optimistic)
            case Bag(size) if draws.shape[-1]:
                return ways.bag(mean, draws[..., :size], allowed)
            case Cover(size, psi) if draws.shape[-1] and size > 1:
                return ways.cover(mean, draws[..., : size - 1], allowed, psi=psi)
            case EpsilonGreedy():
                return ways.epsilon_greedy(mean, allowed, epsilon=self.exploration_percentage)
            case _:  # a vote of draws where there is nothing left to draw from
                return ways.epsilon_greedy(mean, allowed, epsilon=0.0)


def spread(scores: Scores) -> Floats:
    """Give the standard deviation of each action's draws, in units of the rewards' own; 0 where there are none."""
    count = scores.draws.shape[-1]
    if not count:
        return np.zeros(scores.mean.shape)
    squares = scores.draws.astype(np.float64)
    np.square(squares, squares)
    deviations: Floats = squares.dot(_evenly(count)) if squares.ndim == 2 else squares @ _evenly(count)  # of one situation, or of many
    return np.sqrt(deviations, deviations)


def optimistic(scores: Scores, *, deviation: float) -> Floats:
    """Add to each estimate what it may be too low by: an action of which little is known is worth a try."""
    if not scores.draws.shape[-1]:
        return scores.mean.astype(np.float64)
    hopes = spread(scores)
    hopes *= _OPTIMISM * deviation
    np.minimum(hopes, _LARGEST_BONUS, out=hopes)
    hopes += scores.mean
    return hopes


@cache
def _evenly(count: int) -> Floats:
    """Give so many equal weights that sum to 1."""
    return np.full(count, 1.0 / count)
