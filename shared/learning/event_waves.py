"""The waves of events that are learned: of their contexts, and of their contexts and chosen actions together.

What is asked of a batch for both is done once. Most features come again with the next block, so their frequencies are remembered.
"""

from typing import Final, NamedTuple

import numpy as np

from shared.learning import joint_ridge
from shared.learning.encoding import Batch, Floats32
from shared.learning.fourier import WAVES, Remembering, frequencies, summed, waves
from shared.learning.joint_ridge import AMPLITUDE, action_angles, joint_frequencies, widths
from shared.learning.measures import Measures

_OWN: Final = Remembering(frequencies)
_JOINT: Final = Remembering(joint_frequencies)


class EventWaves(NamedTuple):
    """Those of each event's context, ``own`` [n, local_ridge.SIZE], and ``joint`` [n, joint_ridge.SIZE]."""

    own: Floats32
    joint: Floats32

    @staticmethod
    def of(batch: Batch, measures: Measures) -> "EventWaves":
        """Give the waves of each event; numbers are measured by ``measures``."""
        ranked = measures.ranked(batch.context_hashes, batch.context_values).astype(np.float32)
        ranked[batch.context_starts[:-1]] = 0.0  # the constant is no feature to be similar in
        own, angles = summed([_OWN, _JOINT], batch.context_hashes, ranked, batch.context_starts)
        features = np.diff(batch.context_starts) - 1
        angles /= widths(features)
        angles += action_angles(batch.action_hashes, batch.action_values, batch.action_starts, measures, _JOINT)
        return EventWaves(waves(own, features), _cosines_and_sines(angles))


def _cosines_and_sines(angles: Floats32) -> Floats32:
    given = np.empty((len(angles), joint_ridge.SIZE), dtype=np.float32)
    given[:, 0] = 1.0
    np.cos(angles, out=given[:, 1 : 1 + WAVES])
    np.sin(angles, out=given[:, 1 + WAVES :])
    given[:, 1:] *= np.float32(AMPLITUDE)
    return given
