"""Ridge regression on waves as sums of what was seen, with draws from its posterior: what an action's own part and the joint part keep."""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from shared.learning.encoding import Floats, Floats32
from shared.learning.segments import Positions
from shared.learning.shared_ridge import DRAWS, FORGETTING

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


@dataclass(eq=False, slots=True)
class Rows:
    """Events that are not in any sum yet: ``waves`` [r, S], ``targets`` [r, 1 + DRAWS], and ``numbers`` [r], which count all events.

    ``targets`` are the rewards and the noise; an event that stands for g has √g of its waves and of its reward.
    """

    waves: Floats32
    targets: Floats
    numbers: Positions

    def __len__(self) -> int:
        return len(self.numbers)

    @staticmethod
    def none(size: int) -> "Rows":
        """Give no events, of so many waves."""
        return Rows(np.zeros((0, size), np.float32), np.zeros((0, 1 + DRAWS)), np.zeros(0, np.int64))

    def joined(self, later: "Rows") -> "Rows":
        """Give these and then the later ones."""
        if not len(self):
            return later
        return Rows(
            np.concatenate([self.waves, later.waves]),
            np.concatenate([self.targets, later.targets]),
            np.concatenate([self.numbers, later.numbers]),
        )

    def roots_left(self, last: int) -> Floats:
        """Give the root of what forgetting has left of each, [r], when event number ``last`` is the newest."""
        roots: Floats = np.sqrt(FORGETTING ** (last - self.numbers))
        return roots

    def fitted(self, prior: Floats, roots: Floats) -> Floats:
        """Give the weights [k, S, 1 + DRAWS] that fit these events alone, k times, each weighted by its ``roots`` [k, r] squared.

        It is what `Sums.solved` comes to, by way of r equations instead of S: w = p + Ψᵀ(ΨΨᵀ + λI)⁻¹(y − Ψp) for the prior's mean p.
        """
        similar = roots[:, :, None] * (self.waves @ self.waves.T) * roots[:, None, :]
        similar[:, np.arange(len(self)), np.arange(len(self))] += PRECISION
        missing = np.empty((len(roots), len(self), self.targets.shape[1]))
        missing[:, :, 0] = roots * self.targets[:, 0]
        missing[:, :, 1:] = self.targets[:, 1:] - roots[:, :, None] * (self.waves @ prior)
        fitted: Floats = self.waves.T.astype(np.float64) @ (roots[:, :, None] * np.linalg.solve(similar, missing))
        fitted[:, :, 1:] += prior
        return fitted
