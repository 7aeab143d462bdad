"""What Rank scores with: one weight for each hashed cross of a context feature with an action feature."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shared.learning.encoding import EncodedSituation, Floats, Floats32, Hashes

CELLS_BITS: Final = 18
CELLS: Final = 1 << CELLS_BITS
"""How many weights there are; crosses that meet in one share it."""


def cells(context: Hashes, action: Hashes) -> Hashes:
    """Give the weight of each cross: multiply-shift hashing, for which the encoder made every hash odd.

    The arrays broadcast. A padding hash, 0, meets cell 0; its value is 0 as well.
    """
    product = context * action
    product >>= np.uint32(32 - CELLS_BITS)
    return product


@dataclass(frozen=True, eq=False, slots=True)
class Model:
    """``weights`` (float32 [CELLS], read-only) after ``learned`` events."""

    weights: Floats32
    learned: int

    @staticmethod
    def cold() -> "Model":
        """Give a model that knows nothing."""
        return Model(read_only(np.zeros(CELLS, dtype=np.float32)), learned=0)

    @property
    def is_cold(self) -> bool:
        """Whether it has yet to learn from a first event."""
        return self.learned == 0

    def scores(self, encoded: EncodedSituation) -> Floats:
        """Estimate the reward of each action, shape [K]: ``context · W · action``, with W gathered for all at once."""
        hashes = encoded.action_hashes
        gathered = self.weights.take(cells(encoded.context_hashes[:, None], hashes.reshape(1, -1)))
        of_entries: Floats = encoded.context_values.astype(np.float64) @ gathered
        scores: Floats = np.einsum("ka,ka->k", of_entries.reshape(hashes.shape), encoded.action_values)
        return scores


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Freeze an array in place and give it back."""
    array.flags.writeable = False
    return array
