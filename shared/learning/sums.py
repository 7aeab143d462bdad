"""Ridge regression on waves as sums of what was seen, with draws from its posterior: what an action's own part and the joint part keep."""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from shared.learning.encoding import Floats, Floats32
from shared.learning.shared_ridge import DRAWS

PRECISION: Final = 1.0


@dataclass(eq=False, slots=True)
class Sums:
    """Of S waves ψ: ``gram`` [S, S] = Σ g·ψψᵀ, ``moments`` [S, 1 + DRAWS] = Σ ψ·(g·reward, √g·noise).

    ``weights`` [S, 1 + DRAWS] solve them, as they were when they were solved last; g is what forgetting has left of an event.
    """

    gram: Floats
    moments: Floats
    weights: Floats

    @staticmethod
    def none(size: int) -> "Sums":
        """Give the sums of no events, of so many waves."""
        return Sums(np.zeros((size, size)), np.zeros((size, 1 + DRAWS)), np.zeros((size, 1 + DRAWS)))

    def copy(self) -> "Sums":
        """Give the same sums, to be added to apart from these."""
        return Sums(self.gram.copy(), self.moments.copy(), self.weights.copy())

    def fade(self, left: float) -> None:
        """Forget all but this part."""
        self.gram *= left
        self.moments[:, 0] *= left
        self.moments[:, 1:] *= sqrt(left)

    def add(self, waves: Floats32, rewards: Floats, noise: Floats) -> None:
        """Add √g of the waves [n, S], √g of the ``rewards`` [n], and the ``noise`` [n, DRAWS] as it is."""
        self.gram += waves.T @ waves
        self.moments += waves.T @ np.column_stack([rewards, noise]).astype(np.float32)  # as exact as the waves are

    def solved(self, prior: Floats) -> Floats:
        """Give the weights that fit what was added; ``prior`` [S, DRAWS] are the draws where nothing was."""
        regularised = self.gram.copy()
        regularised.flat[:: len(regularised) + 1] += PRECISION
        moments = self.moments.copy()
        moments[:, 1:] += PRECISION * prior
        weights: Floats = np.linalg.solve(regularised, moments).astype(np.float64, copy=False)
        return weights

    def solve(self, prior: Floats) -> None:
        """Fit what was added."""
        self.weights = self.solved(prior)
