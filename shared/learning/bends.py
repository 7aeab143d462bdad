"""The parts of a score that bend, as one product: what was learned of an action and how it waves, times what a context makes of both.

An action's own part is its weights times the context's waves. The joint part is the action's partners times the weights as the context
turns them (`shared.learning.joint_ridge`), and a constant. Side by side, that is one row of each action, and one column of the context
for each channel: scoring takes a single product.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from shared.learning import joint_ridge
from shared.learning.encoding import Floats32
from shared.learning.fourier import AMPLITUDE, WAVES
from shared.learning.local_ridge import SIZE

_AMPLITUDES: Final = np.array([1.0] + [AMPLITUDE] * WAVES, dtype=np.float32)
_PARTNERS: Final = 2 * WAVES

Places = npt.NDArray[np.int64]
"""Where rows stand."""


class Bends:
    """The rows of actions, which have places; for one thread at a time.

    ``arm_weights`` [a, channels, SIZE] and ``joint_weights`` [channels, joint_ridge.SIZE] are as in `shared.learning.model.Model`. A
    context is given by its angles: those of the actions' own waves if there are any, and then those of the joint ones, ``waves`` in all.
    """

    def __init__(self, arm_weights: Floats32, joint_weights: Floats32, *, has_own: bool, has_joint: bool) -> None:
        self.has_own, self.has_joint = has_own, has_joint
        self.waves = WAVES * (has_own + has_joint)
        own, joint = arm_weights.shape[1] * has_own, len(joint_weights) * has_joint
        constant = _PARTNERS * has_joint
        size = constant + 1 + own * SIZE
        self.size: int = size + size % 2  # partners are written as complex numbers, in pairs
        """How many numbers a row takes."""
        self._arms = (arm_weights[:, :own] * _AMPLITUDES).reshape(len(arm_weights), own * SIZE)
        self._turns = joint_ridge.as_turns(joint_weights[:joint])
        self._constant = constant
        self._rows = np.zeros((0, self.size), dtype=np.float32)
        self._columns = np.zeros((max(own, joint), self.size), dtype=np.float32)
        self._beside = self._columns.T
        self._columns[:joint, constant] = joint_weights[:joint, 0]
        begins = [constant + 1 + channel * SIZE for channel in range(own)]
        self._own = [slice(begin + 1, begin + SIZE) for begin in begins]
        for channel, begin in enumerate(begins):
            self._columns[channel, begin] = 1.0
        self._waves = [self._columns[channel, entries] for channel, entries in enumerate(self._own)]
        self._turned = self._columns[:joint, :constant].view(np.complex64)
        self._turn = np.empty(WAVES, dtype=np.complex64)
        self._cosines, self._sines = self._turn.real, self._turn.imag

    def make_room(self, places: int) -> None:
        """Have so many places."""
        rows = np.zeros((places, self.size), dtype=np.float32)
        rows[: len(self._rows)] = self._rows
        self._rows = rows

    def give(self, first: int, arms: Places, angles: Floats32 | None) -> None:
        """Fill the places from ``first`` on: by the numbers of the actions' own weights and, where there is a joint part, their angles."""
        rows = self._rows[first : first + len(arms)]
        rows[:, self._constant] = 1.0
        rows[:, self._constant + 1 : self._constant + 1 + self._arms.shape[1]] = self._arms.take(arms, axis=0)
        if angles is not None:
            rows[:, : self._constant] = joint_ridge.as_partners(angles)

    def scores(self, angles: Floats32, actions: Places) -> Floats32:
        """Give what the parts add to the scores of actions in a context: [K, channels]."""
        if self._waves:
            np.cos(angles[:WAVES], self._waves[0])
            for waves in self._waves[1:]:
                waves[:] = self._waves[0]
        if self.has_joint:
            turn = angles[-WAVES:]
            np.cos(turn, self._cosines)
            np.sin(turn, self._sines)
            np.multiply(self._turns, self._turn, self._turned)
        scores: Floats32 = self._rows.take(actions, 0).dot(self._beside)
        return scores

    def scores_of_many(self, angles: Floats32, actions: Places) -> Floats32:
        """Do so for n contexts, [n, waves], and K actions in each, [n, K]: [n, K, channels]."""
        columns = np.repeat(self._columns[None], len(angles), axis=0)
        if self._own:
            waves = np.cos(angles[:, :WAVES])
            for channel, entries in enumerate(self._own):
                columns[:, channel, entries] = waves
        if self.has_joint:
            columns[:, : len(self._turns), : self._constant] = joint_ridge.turned(self._turns, angles[:, -WAVES:])
        scores: Floats32 = self._rows.take(actions, axis=0) @ columns.swapaxes(1, 2)
        return scores
