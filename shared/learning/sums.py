"""Ridge regression on waves as sums of what was seen, with draws from its posterior: what an action's own part and the joint part keep."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from shared.learning.encoding import Floats, Floats32
from shared.learning.segments import Positions
from shared.learning.shared_ridge import DRAWS, FORGETTING

PRECISION: Final = 1.0

_ALIKE: Final = 16
"""Groups of up to so many events are solved together, and those of up to twice as many, and so on."""


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
    """Events that are not in any sum: ``waves`` [r, S], ``targets`` [r, 1 + DRAWS], and ``numbers`` [r], which count all events.

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

    @staticmethod
    def joined(parts: "Sequence[Rows]") -> "Rows":
        """Give the events of all parts, at least one, one part after another."""
        if len(parts) == 1:
            return parts[0]
        return Rows(
            np.concatenate([part.waves for part in parts]),
            np.concatenate([part.targets for part in parts]),
            np.concatenate([part.numbers for part in parts]),
        )

    def take(self, places: Positions) -> "Rows":
        """Give the events at these places."""
        return Rows(self.waves[places], self.targets[places], self.numbers[places])

    def roots_left(self, last: int) -> Floats:
        """Give the root of what forgetting has left of each, [r], when event number ``last`` is the newest."""
        roots: Floats = np.sqrt(FORGETTING ** (last - self.numbers))
        return roots

    def fitted(self, groups: Sequence[Positions], roots: Floats, prior: Floats) -> Floats:
        """Give the weights [k, groups, S, 1 + DRAWS] that fit each group of events alone, k times, weighted by ``roots`` [k, r] squared.

        It is what `Sums.solved` comes to. A group of r events, fewer than S, takes r equations instead of S, and groups of about the same
        size are solved together.
        """
        size = self.waves.shape[1]
        fitted = np.empty((len(roots), len(groups), size, self.targets.shape[1]))
        sizes = np.array([len(group) for group in groups], dtype=np.int64)
        classes = -(-sizes // _ALIKE)
        for alike in np.unique(classes[sizes < size]).tolist():
            which = np.flatnonzero(classes == alike)
            fitted[:, which] = self._fitted_alike([groups[number] for number in which.tolist()], alike * _ALIKE, roots, prior)
        for number in np.flatnonzero(sizes >= size).tolist():
            group = self.take(groups[number])
            for time, root in enumerate(roots[:, groups[number]]):
                fitted[time, number] = group.summed(root).solved(prior)
        return fitted

    def summed(self, roots: Floats) -> Sums:
        """Give the sums of these events, each weighted by its ``roots`` [r] squared."""
        sums = Sums.none(self.waves.shape[1])
        sums.add(self.waves * roots.astype(np.float32)[:, None], roots * self.targets[:, 0], self.targets[:, 1:])
        return sums

    def _fitted_alike(self, groups: Sequence[Positions], most: int, roots: Floats, prior: Floats) -> Floats:
        """Fit groups of up to ``most`` events: w = p + Ψᵀ(ΨΨᵀ + λI)⁻¹(y − Ψp) for the prior's mean p; rows of zeros add nothing."""
        events = np.concatenate(groups)
        at = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        place = np.concatenate([np.arange(len(group)) for group in groups])
        waves = np.zeros((len(groups), most, self.waves.shape[1]), dtype=np.float32)
        targets, root = np.zeros((len(groups), most, self.targets.shape[1])), np.zeros((len(roots), len(groups), most, 1))
        waves[at, place], targets[at, place], root[:, at, place, 0] = self.waves[events], self.targets[events], roots[:, events]
        similar = root * (waves @ waves.swapaxes(1, 2)) * root.swapaxes(2, 3)
        similar.reshape(len(roots), len(groups), -1)[:, :, :: most + 1] += PRECISION
        missing = np.empty((len(roots), *targets.shape))
        missing[..., :1] = root * targets[..., :1]
        missing[..., 1:] = targets[..., 1:] - root * (waves @ prior)
        fitted: Floats = waves.swapaxes(1, 2).astype(np.float64) @ (root * np.linalg.solve(similar, missing))
        fitted[..., 1:] += prior
        return fitted
