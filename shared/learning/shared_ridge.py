"""The part of the model that all actions share: ridge regression on hashed crosses, exact over the latest events.

It holds two answers. *Steady* weights all events alike; what is too old for the window stays as a diagonal Gaussian around the
weights of that time. *Recent* forgets with a half-life of some hundred events, for worlds that change. Both are solved by
conjugate gradients that start from the last answer, which costs a few passes over the window however many weights there are.

While there are few weights, draws from the posterior of the steady answer come along: each solves the same equations for noise in
place of the rewards (perturb and optimise: Papandreou & Yuille 2010, "Gaussian sampling by local perturbations").
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.learning.crosses import CELLS, Crosses
from shared.learning.encoding import Floats, Floats32
from shared.learning.fourier import gaussians
from shared.learning.segments import Positions, present

DRAWS: Final = 4
OPEN_CELLS: Final = 1024
"""Up to so many weights there are draws; beyond, nearly every event meets a weight that nobody knows, and all seem worth trying."""

STEADY: Final = 0
RECENT: Final = 1

FORGETTING: Final = 0.998
"""Of what is recent, per event: as if some 500 were remembered."""

_ITERATIONS: Final = 5
_ITERATIONS_OF_LONG: Final = 3
_FEWEST_ITERATIONS: Final = 2
"""Steps of conjugate gradients: for a short window, for a long one, and for a long one of which hardly anything is new. Few new events
move the last answer little."""

_HARDLY_ANYTHING: Final = 0.01
_LONG: Final = 2048
LATEST: Final = 2048
"""Of events before the latest so many, forgetting has left less than a sixtieth: they do not count for what is recent."""

_LEAST_PRECISION: Final = 0.1
_PRECISION: Final = 0.1  # per mean squared length of an event's crosses
_SUREST: Final = 1e30  # a float32 holds it
_TINY: Final = 1e-30


@dataclass(eq=False, slots=True)
class SharedRidge:
    """``weights`` [CELLS, 2 + DRAWS] are the steady and the recent ones, then the draws' deviations from the steady ones.

    ``anchors`` [CELLS, 1 + DRAWS] are the steady weights and deviations, and ``settled`` [CELLS] the precision, that remain of
    events behind the window; ``met`` [CELLS] tells which crosses ever occurred. ``squares`` sums the squared lengths of the
    ``learned`` events.
    """

    weights: Floats32 = field(default_factory=lambda: _columns(2 + DRAWS))
    anchors: Floats32 = field(default_factory=lambda: _columns(1 + DRAWS))
    settled: Floats32 = field(default_factory=lambda: np.zeros(CELLS, dtype=np.float32))
    met: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(CELLS, dtype=np.bool_))
    squares: float = 0.0
    learned: int = 0

    @property
    def is_open(self) -> bool:
        """Whether there are few enough weights for draws."""
        return int(np.count_nonzero(self.met)) <= OPEN_CELLS

    @property
    def precision(self) -> float:
        """The ridge: how sure the learner is from the start that weights are 0."""
        return max(_LEAST_PRECISION, _PRECISION * self.squares / max(self.learned, 1))

    def columns(self, cells: Positions, *, draws: bool) -> list[Floats32]:
        """Give the steady and the recent weights of these cells, and perhaps the draws' deviations, [n] each."""
        return [column.take(cells) for column in self.weights.T[: 2 + DRAWS if draws else 2]]

    def predict(self, crosses: Crosses) -> Floats:
        """Give the steady and the recent prediction of each event, shape [n, 2]."""
        return crosses.sums(self.weights.T[:2]).T

    def meet(self, crosses: Crosses) -> None:
        """Take note of new events; where they bring too many crosses, the draws end."""
        was_open = self.is_open
        self.met[crosses.cells[crosses.values != 0.0]] = True
        self.squares += float(crosses.values @ crosses.values)
        self.learned += len(crosses)
        if was_open and not self.is_open:
            self.weights[:, 2:] = 0.0
            self.anchors[:, 1:] = 0.0

    def begin_anew(self) -> None:
        """Forget what is behind the window: the steady weights go on from the recent ones."""
        self.settled[:] = 0.0
        self.anchors[:] = 0.0
        self.weights[:, STEADY] = self.weights[:, RECENT]
        if self.is_open:
            met = np.flatnonzero(self.met)
            self.weights[met, 2:] = prior_draws(met, self.precision)

    def settle(self, leaving: Crosses, counts: Floats | None = None) -> None:
        """Keep of these events, which leave the window, what the weights have learned from them; ``counts`` [n] is as in `solve`."""
        touched, crosses = _compact(leaving)
        squares = crosses.values**2
        if counts is not None:
            squares *= np.repeat(counts, np.diff(crosses.starts))
        self.settled[touched] = np.minimum(self.settled[touched] + np.bincount(crosses.cells, squares), _SUREST)
        self.anchors[touched, 0] = self.weights[touched, STEADY]
        if self.is_open:
            self.anchors[touched, 1:] = self.weights[touched, 2:]

    def solve(
        self, window: Crosses, rewards: Floats, noise: Floats | None, counts: Floats | None = None, *, new: int | None = None
    ) -> None:
        """Fit the window: ``rewards`` [n], and the draws' standard normal ``noise`` [n, DRAWS], which is needed only where there are draws.

        Each event counts once, or as many times as ``counts`` [n] say. The last ``new`` events came since it was solved before; all of
        them, unless that is told.
        """
        cells, crosses = _compact(window)
        iterations = _iterations(len(crosses), len(crosses) if new is None else new)
        counts = np.ones(len(crosses)) if counts is None else counts
        targets = rewards[None] if noise is None or not self.is_open else np.vstack([rewards, noise.T / np.sqrt(counts)])
        self._solve_steady(cells, crosses, targets, counts, iterations)
        old = max(len(crosses) - LATEST, 0)
        self._solve_recent(cells, crosses.cut(old, len(crosses)), rewards[old:], counts[old:], iterations)

    def _solve_steady(self, cells: Positions, crosses: Crosses, targets: Floats, counts: Floats, iterations: int) -> None:
        """Fit the steady answer and the draws, for ``targets`` [1 or 1 + DRAWS, n]: the rewards, and the mean of so many events' noise."""
        columns = [STEADY, *range(2, 1 + len(targets))]
        settled, ridge = self.settled[cells].astype(np.float64), self.precision
        means = self.anchors.T[: len(columns)].take(cells, axis=1).astype(np.float64)
        if len(columns) > 1:
            means[1:] += prior_draws(cells, ridge).T * ((settled == 0.0) & self.met[cells])  # a state has no others
        start = np.stack([self.weights[:, column].take(cells) for column in columns]).astype(np.float64)
        solved = _Problem(crosses, targets, counts, ridge + settled, means).solved(start, iterations)
        for column, weights in zip(columns, solved, strict=True):
            self.weights[cells, column] = weights

    def _solve_recent(self, cells: Positions, crosses: Crosses, rewards: Floats, counts: Floats, iterations: int) -> None:
        importances = counts * FORGETTING ** np.arange(len(crosses) - 1, -1, -1.0)
        problem = _Problem(crosses, rewards[None], importances, np.full(len(cells), self.precision), np.zeros((1, len(cells))))
        self.weights[cells, RECENT] = problem.solved(self.weights[cells, RECENT].astype(np.float64)[None], iterations)[0]


def _columns(count: int) -> Floats32:
    """Give zeros for each cell, shape [CELLS, count]; a column lies in one piece of memory, since each is looked up by itself."""
    return np.zeros((CELLS, count), dtype=np.float32, order="F")


def prior_draws(cells: Positions, precision: float) -> Floats:
    """Give the draws' deviations for weights of which nothing is known, shape [n, DRAWS]."""
    draws: Floats = gaussians(cells.astype(np.uint32), DRAWS) / np.float64(precision**0.5)
    return draws


def _iterations(events: int, new: int) -> int:
    """Give how many steps a window of so many events takes.

    >>> _iterations(2047, 20), _iterations(4096, 2048), _iterations(4096, 100), _iterations(4096, 20)
    (5, 3, 3, 2)
    """
    if events < _LONG:
        return _ITERATIONS
    return _ITERATIONS_OF_LONG if new >= _HARDLY_ANYTHING * events else _FEWEST_ITERATIONS


def _compact(window: Crosses) -> tuple[Positions, Crosses]:
    """Give the cells that are there, and the crosses with places among those instead."""
    cells, places = present(window.cells, CELLS)
    return cells, Crosses(places, window.values, window.starts)


@dataclass(frozen=True, eq=False, slots=True)
class _Problem:
    """Minimise ``Σ importance·(target − Z·w)² + precision·(w − mean)²`` for each of k rows of ``targets`` [k, n] and ``means`` [k, m].

    ``crosses`` are Z [n, m]; ``importances`` [n] and ``precisions`` [m] are the same for all rows.
    """

    crosses: Crosses
    targets: Floats
    importances: Floats
    precisions: Floats
    means: Floats

    def solved(self, start: Floats, iterations: int) -> Floats:
        """Give the weights [k, m], nearly.

        Conjugate gradients with a diagonal preconditioner (Shewchuk 1994, algorithm B3), all rows at once.
        """
        crosses, importances, precisions, size = self.crosses, self.importances, self.precisions, start.shape[1]
        squares = Crosses(crosses.cells, crosses.values**2, crosses.starts)
        diagonal = precisions + squares.spread(importances[None], size)[0]
        weights = start.copy()
        residuals = crosses.spread(importances * (self.targets - crosses.sums(weights)), size) + precisions * (self.means - weights)
        conditioned = residuals / diagonal
        directions = conditioned.copy()
        lengths = np.einsum("km,km->k", residuals, conditioned)
        buffer = np.empty_like(weights)
        for step in range(1, iterations + 1):
            curved = crosses.spread(importances * crosses.sums(directions), size)
            curved += np.multiply(precisions, directions, out=buffer)
            steps = lengths / np.maximum(np.einsum("km,km->k", directions, curved), _TINY)
            weights += np.multiply(steps[:, None], directions, out=buffer)
            if step == iterations:
                break  # no further direction is wanted
            residuals -= np.multiply(steps[:, None], curved, out=buffer)
            np.divide(residuals, diagonal, out=conditioned)
            before, lengths = lengths, np.einsum("km,km->k", residuals, conditioned)
            directions *= (lengths / np.maximum(before, _TINY))[:, None]
            directions += conditioned
        return weights
