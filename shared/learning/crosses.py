"""Each context feature with each feature of the chosen action: what the shared part of the model is linear in."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.learning.encoding import Batch, Floats, Floats32, Hashes
from shared.learning.interactions import CONSTANT_GROUP, EVERYTHING, GROUP_BITS, Interactions
from shared.learning.measures import Measures
from shared.learning.segments import Positions, ranges, starts_of

Mask = npt.NDArray[np.bool_]

CELLS_BITS: Final = 18
CELLS: Final = 1 << CELLS_BITS
"""How many weights there are; crosses that meet in one share it."""


def cells(context: Hashes, action: Hashes) -> Hashes:
    """Give the weight of each cross: multiply-shift hashing, for which the encoder made every hash odd. The arrays broadcast."""
    product = context * action
    product >>= np.uint32(32 - CELLS_BITS)
    return product


def groups_of(hashes: Hashes) -> Hashes:
    """Give the group of namespaces that each hash is marked with."""
    return hashes >> np.uint32(GROUP_BITS) & np.uint32(CONSTANT_GROUP)


@lru_cache(maxsize=16)
def mask_of(interactions: Interactions) -> Mask | None:
    """Give which group of the context is crossed with which of the action, [groups, groups]; None where all are."""
    return None if interactions.mask is None else np.array(interactions.mask)


@dataclass(frozen=True, eq=False, slots=True)
class Crosses:
    """The crosses of n events, those of event i from ``starts[i]`` up to ``starts[i + 1]``: a sparse matrix [n, CELLS]."""

    cells: Positions
    values: Floats
    starts: Positions

    def __len__(self) -> int:
        return len(self.starts) - 1

    def sums(self, table: Floats | Floats32) -> Floats:
        """Multiply by a table [k, m], where the cells are places in m: gives [k, n]."""
        return np.stack([np.add.reduceat(_times(column.take(self.cells), self.values), self.starts[:-1]) for column in table])

    def spread(self, of_events: Floats, size: int) -> Floats:
        """Multiply the transpose by [k, n]: gives [k, size]."""
        sizes = np.diff(self.starts)
        return np.stack([np.bincount(self.cells, _times(np.repeat(column, sizes), self.values), size) for column in of_events])

    def joined(self, later: "Crosses") -> "Crosses":
        """Give the crosses of these events and then those of the later ones."""
        return Crosses(
            np.concatenate([self.cells, later.cells]),
            np.concatenate([self.values, later.values]),
            np.concatenate([self.starts, later.starts[1:] + self.starts[-1]]),
        )

    def cut(self, first: int, last: int) -> "Crosses":
        """Give those of the events from ``first`` up to ``last``."""
        starts = self.starts[first : last + 1]
        return Crosses(self.cells[starts[0] : starts[-1]], self.values[starts[0] : starts[-1]], starts - starts[0])


def _times(fresh: Floats | Floats32, values: Floats) -> Floats:
    """Multiply an array that nobody else has, in its own memory where it is of that type."""
    return np.multiply(fresh, values, out=fresh if fresh.dtype == values.dtype else None)


def counted(batch: Batch) -> Positions:
    """Give how many crosses each event has."""
    return np.diff(batch.context_starts) * np.diff(batch.action_starts)


def crossed(batch: Batch, measures: Measures, interactions: Interactions = EVERYTHING) -> Crosses:
    """Cross the features of each event, numbers put to scale; what a policy does not cross is worth 0."""
    contexts, actions = np.diff(batch.context_starts), np.diff(batch.action_starts)
    repeats = np.repeat(actions, contexts)  # each context entry meets each action entry
    partners = ranges(np.repeat(batch.action_starts[:-1], contexts), repeats)
    of_context = measures.scaled(batch.context_hashes, batch.context_values)
    of_action = measures.scaled(batch.action_hashes, batch.action_values)
    of_contexts, of_actions = np.repeat(batch.context_hashes, repeats), batch.action_hashes[partners]
    values = np.repeat(of_context, repeats) * of_action[partners]
    if (mask := mask_of(interactions)) is not None:
        values *= mask[groups_of(of_contexts), groups_of(of_actions)]
    return Crosses(cells(of_contexts, of_actions).astype(np.int64), values, starts_of(contexts * actions))
