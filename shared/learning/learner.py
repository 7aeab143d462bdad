"""What updates the weights: normalised AdaGrad on squared loss, with importance-aware steps, a block of events at a time.

Four ideas make it need no tuning and never diverge:

* every cross is learned in units of the largest value it had, so that the scale of a feature does not matter (Ross,
  Mineiro & Langford 2013, "Normalized online learning");
* every weight has its own rate, the inverse root of its squared gradients so far (AdaGrad);
* an event of importance h moves as h infinitely small steps would, which never overshoot its reward (Karampatziakis &
  Langford 2011, "Online importance weight aware updates");
* the steps of a block are taken together, and shortened to the best point on their line where they add up to too much.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from shared.learning.encoding import Batch, Floats, Floats32
from shared.learning.model import CELLS, Model, read_only
from shared.learning.model import cells as cells_of
from shared.learning.segments import Positions, ranges, starts_of

BLOCK: Final = 16
"""Events learned at once. A batch that is cut at a multiple of it teaches exactly what the uncut one does."""

_STEPS: Final = 2  # a block; the second one corrects what the events of the block did to each other
_RATE: Final = 0.25
_LEAST_PROBABILITY: Final = 0.3  # bounds the importance: one rare draw must not outweigh a day
_LARGEST_REWARD: Final = 1e6
_CROSSES_AT_ONCE: Final = 1 << 17  # bounds the memory, unless a single block has more
_SMALLEST_SCALE: Final = np.float32(1e-18)  # the smallest cross that the encoder can give
_SMALLEST_SQUARE: Final = np.float32(1e-10)
_TINY: Final = 1e-30


@dataclass(eq=False, slots=True)
class Learner:
    """The only thing that changes: everybody else gets a copy of its weights.

    ``weights``, ``squares`` (summed squared gradients) and ``scales`` (largest value; 0 for a cross never met) are float32
    [CELLS], in units of the scale. ``squared_values`` and ``squared_errors`` are sums over the ``learned`` events.
    """

    weights: Floats32
    squares: Floats32
    scales: Floats32
    learned: int
    squared_values: float
    squared_errors: float

    @staticmethod
    def cold() -> "Learner":
        """Give a learner that knows nothing."""
        weights, squares, scales = (np.zeros(CELLS, dtype=np.float32) for _ in range(3))
        return Learner(weights, squares, scales, learned=0, squared_values=0.0, squared_errors=0.0)

    @property
    def progressive_loss(self) -> float:
        """Mean squared error of predicting each event before learning from it; 0 when cold."""
        return self.squared_errors / max(self.learned, 1)

    def model(self) -> Model:
        """Give a copy of what was learned, ready to score."""
        return Model(read_only(unscaled(self.weights, self.scales)), self.learned)

    def learn(self, batch: Batch) -> None:
        """Learn from the events in their order; rewards count up to ± a million."""
        for events in _crossed(batch):
            for first in range(0, len(events), BLOCK):
                self._learn_block(events.cut(first, min(first + BLOCK, len(events))))

    def _learn_block(self, events: "_CrossedEvents") -> None:
        cells, values = events.cells, self._scaled(events)
        weights = self.weights[cells]
        errors = events.rewards - events.sums(weights * values)
        squares = values * values
        self.learned += len(events)
        self.squared_values += float(squares.sum(dtype=np.float64))
        self.squared_errors += float(errors @ errors)

        rates = self._rates(events, squares, errors)
        reach = events.sums(rates * squares)  # how far each prediction moves per unit of step
        steps = -np.expm1(-events.importances * reach) / np.maximum(reach, _TINY)  # Karampatziakis & Langford, table 1
        directions = rates * values
        for _ in range(_STEPS):
            np.add.at(self.weights, cells, events.spread(steps * errors) * directions)
            moved = self.weights[cells] - weights
            shifts = events.sums(moved * values)
            shortened = _best_fraction(errors, shifts, events.importances)
            if shortened < 1.0:
                moved *= np.float32(shortened)
                shifts *= shortened
                self.weights[cells] = weights + moved  # the same cell gets the same weight, however often it is there
            weights += moved
            errors -= shifts

    def _scaled(self, events: "_CrossedEvents") -> Floats32:
        sizes = np.abs(events.values)
        scales = self.scales[events.cells]
        larger = sizes > scales
        if larger.any():
            np.maximum.at(self.scales, events.cells[larger], sizes[larger])
            scales = self.scales[events.cells]
        return unscaled(events.values, scales)

    def _rates(self, events: "_CrossedEvents", squares: Floats32, errors: Floats) -> Floats32:
        np.add.at(self.squares, events.cells, events.spread(events.importances * errors * errors) * squares)
        rate = np.float32(_RATE * sqrt(self.learned / max(self.squared_values, _TINY)))
        rates: Floats32 = rate / np.sqrt(self.squares[events.cells] + _SMALLEST_SQUARE)
        return rates


def unscaled(values: Floats32, scales: Floats32) -> Floats32:
    """Divide by the scales, where there are any."""
    divisors: Floats32 = np.maximum(scales, _SMALLEST_SCALE)
    return values / divisors


def _best_fraction(errors: Floats, shifts: Floats, importances: Floats) -> float:
    """Give the fraction of the shifts, at most 1, that leaves the least weighted squared error."""
    gain = float((importances * errors) @ shifts)
    return min(max(gain / max(float(importances @ (shifts * shifts)), _TINY), 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class _CrossedEvents:
    """Events with all crosses of their features: event i has those from ``starts[i]`` up to ``starts[i + 1]``."""

    cells: Positions
    values: Floats32
    starts: Positions
    rewards: Floats
    importances: Floats

    def __len__(self) -> int:
        return len(self.rewards)

    def cut(self, first: int, last: int) -> "_CrossedEvents":
        begin, end = self.starts[first], self.starts[last]
        starts = self.starts[first : last + 1] - begin
        return _CrossedEvents(self.cells[begin:end], self.values[begin:end], starts, self.rewards[first:last], self.importances[first:last])

    def sums(self, of_crosses: Floats32) -> Floats:
        """Sum over the crosses of each event, which has at least one."""
        return np.add.reduceat(of_crosses, self.starts[:-1]).astype(np.float64)

    def spread(self, of_events: Floats) -> Floats32:
        """Repeat each event's number for all its crosses."""
        return np.repeat(of_events.astype(np.float32), self.starts[1:] - self.starts[:-1])


def _crossed(batch: Batch) -> Iterator[_CrossedEvents]:
    contexts, actions = np.diff(batch.context_starts), np.diff(batch.action_starts)
    rewards = np.clip(batch.rewards, -_LARGEST_REWARD, _LARGEST_REWARD)
    importances = 1.0 / np.clip(batch.probabilities, _LEAST_PROBABILITY, 1.0)
    for first, last in _pieces(contexts * actions):
        entries = slice(batch.context_starts[first], batch.context_starts[last])
        repeats = np.repeat(actions[first:last], contexts[first:last])  # each context entry meets each action entry
        partners = ranges(np.repeat(batch.action_starts[first:last], contexts[first:last]), repeats)
        yield _CrossedEvents(
            cells_of(np.repeat(batch.context_hashes[entries], repeats), batch.action_hashes[partners]).astype(np.int64),
            np.repeat(batch.context_values[entries], repeats) * batch.action_values[partners],
            starts_of(contexts[first:last] * actions[first:last]),
            rewards[first:last],
            importances[first:last],
        )


def _pieces(sizes: Positions) -> Iterator[tuple[int, int]]:
    """Cut events of so many crosses each into pieces of whole blocks that fit into memory."""
    ends = starts_of(sizes)
    first = 0
    while first < len(sizes):
        fitting = int(np.searchsorted(ends, ends[first] + _CROSSES_AT_ONCE, side="right")) - 1 - first
        last = min(first + max(fitting // BLOCK, 1) * BLOCK, len(sizes))
        yield first, last
        first = last
