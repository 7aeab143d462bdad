"""The part of the model that bends and generalises over actions: ridge regression on waves of context and chosen action together.

Its waves are the cosines and sines of sums of two angles, one of the context and one of the action (random Fourier features: Rahimi &
Recht 2007): two events are alike as their contexts are, times as their actions are. All actions share the regression, so what is
learned of an item tells of items like it, those never shown included. As in an action's own part, *steady* sums remember all events,
*recent* ones fade, and each has draws from its posterior.

The waves of a sum of angles are products of the two sides' own: a scorer keeps those of the actions, and turns the weights once a
request by the context's (`turned`).
"""

from dataclasses import dataclass, field
from functools import cache
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.learning.encoding import Floats, Floats32, Hashes
from shared.learning.fourier import WAVES, Spread, gaussians, summed, summed_alone
from shared.learning.measures import Measures
from shared.learning.segments import Positions
from shared.learning.shared_ridge import DRAWS, FORGETTING
from shared.learning.sums import PRECISION, Sums

Complex64 = npt.NDArray[np.complex64]

SIZE: Final = 1 + 2 * WAVES
"""A constant, the cosines, the sines."""

AMPLITUDE: Final = 3.0 / sqrt(WAVES)

_SPREAD: Final = 2.0
_LEAST_SPREAD: Final = 0.4
"""How wide frequencies are drawn. Nobody knows how alike two visitors, or two items, are that share some features: waves see it at many
widths, spread evenly on a logarithmic axis between these. Set by trial, as is `AMPLITUDE`: docs/decisions/learner.md."""

_SOLVED_AFTER: Final = 0.2
_SOLVED_WITHIN: Final = 100
"""The weights that predict are solved when this part of all events has come since, or this many events: solving takes as long as
learning some fifty events, however few come at a time. What predicts by older weights is thought worse of than it is."""

_SALT: Final = np.uint32(0x7FEB352C)  # other frequencies than those of an action's own waves


@dataclass(eq=False, slots=True)
class JointRidge:
    """The sums of all events and of the recent ones; ``waiting`` is how many came since their weights were solved."""

    steady: Sums = field(default_factory=lambda: Sums.none(SIZE))
    recent: Sums = field(default_factory=lambda: Sums.none(SIZE))
    waiting: int = 0

    def predict(self, waves: Floats32) -> Floats:
        """Give the steady and the recent prediction [n, 2] for waves [n, SIZE]."""
        both = np.column_stack([self.steady.weights[:, 0], self.recent.weights[:, 0]])
        predictions: Floats = waves @ both
        return predictions

    def learn(self, waves: Floats32, targets: Floats, *, learned: int) -> None:
        """Add events: waves [n, SIZE] and ``targets`` [n, 1 + DRAWS], the rewards and the noise; ``learned`` counts all that came."""
        count = len(waves)
        root = np.sqrt(FORGETTING ** np.arange(count - 1, -1, -1.0))
        self.steady.add(waves, targets[:, 0], targets[:, 1:])
        self.recent.fade(FORGETTING**count)
        self.recent.add(waves * root.astype(np.float32)[:, None], root * targets[:, 0], targets[:, 1:])
        self.waiting += count
        if self.waiting >= min(_SOLVED_AFTER * learned, _SOLVED_WITHIN):
            self.steady.solve(prior_draws())
            self.recent.solve(prior_draws())
            self.waiting = 0

    def begin_anew(self) -> None:
        """Forget what is not recent."""
        self.steady = self.recent.copy()

    def solved(self) -> tuple[Floats, Floats]:
        """Give the steady and the recent weights, [SIZE, 1 + DRAWS] each, that fit all that came; nothing changes by it."""
        if not self.waiting:
            return self.steady.weights, self.recent.weights
        return self.steady.solved(prior_draws()), self.recent.solved(prior_draws())


def action_angles(
    hashes: Hashes, values: npt.NDArray[np.float32], starts: Positions, measures: Measures, spread: Spread | None = None
) -> Floats32:
    """Give the angles of actions, shape [n, WAVES]; action i has the entries ``starts[i]`` up to ``starts[i + 1]``, its id first.

    The id is a feature only where an action has no other: beside others it would keep items apart that are alike. ``spread`` gives
    what `joint_frequencies` does; without it, an action has the same angles to the bit whatever others are beside it.
    """
    ranked = measures.ranked(hashes, values).astype(np.float32)
    others = np.diff(starts) - 1
    ranked[starts[:-1]] = others == 0
    if spread is None:
        return summed_alone(joint_frequencies, hashes, ranked, starts) / widths(others)
    return summed([spread], hashes, ranked, starts)[0] / widths(others)


def widths(features: npt.NDArray[np.int64]) -> Floats32:
    """Give what angles of so many features [n] are divided by, shape [n, 1]: alike means the same for three features and for fifty."""
    roots: Floats32 = np.sqrt(np.maximum(features, 1).astype(np.float32))[:, None]
    return roots


def joint_frequencies(hashes: Hashes) -> Floats32:
    """Give the frequencies of each feature of a context or an action, shape [n, WAVES]."""
    return gaussians(hashes ^ _SALT, WAVES) * _spreads()


@cache
def prior_draws() -> Floats:
    """Give the draws when nothing is known, shape [SIZE, DRAWS]."""
    draws: Floats = gaussians(np.arange(SIZE, dtype=np.uint32) + np.uint32(0x68E31DA4), DRAWS) / np.float64(PRECISION**0.5)
    return draws


def as_turns(weights: Floats32) -> Complex64:
    """Give ``weights`` [channels, SIZE] without their constants for `turned`, shape [channels, WAVES].

    w·cos θ + v·sin θ is the real part of (w − iv)·exp(iθ), and exp(i(c + a)) the product of the two sides' own.
    """
    turns = np.empty((len(weights), WAVES), dtype=np.complex64)
    turns.real, turns.imag = weights[:, 1 : 1 + WAVES], -weights[:, 1 + WAVES :]
    turns *= np.float32(AMPLITUDE)
    return turns


def as_partners(angles: Floats32) -> Floats32:
    """Give what `turned` is multiplied with for actions of these ``angles`` [K, WAVES], shape [K, 2 · WAVES]."""
    partners = np.empty((len(angles), WAVES, 2), dtype=np.float32)
    np.cos(angles, out=partners[:, :, 0])
    np.sin(angles, out=partners[:, :, 1])
    partners[:, :, 1] *= -1.0
    return partners.reshape(len(angles), 2 * WAVES)


def turned(turns: Complex64, angles: Floats32) -> Floats32:
    """Turn weights by n contexts' ``angles`` [n, WAVES]: shape [n, channels, 2 · WAVES]; actions' partners times these are their scores."""
    turn = np.empty((len(angles), 1, WAVES), dtype=np.complex64)
    np.cos(angles, out=turn.real[:, 0])
    np.sin(angles, out=turn.imag[:, 0])
    both: Floats32 = (turns * turn).view(np.float32)
    return both


@cache
def _spreads() -> Floats32:
    return np.geomspace(_LEAST_SPREAD, _SPREAD, WAVES).astype(np.float32)
