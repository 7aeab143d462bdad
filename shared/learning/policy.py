"""A model together with how it explores: what turns a situation into probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from shared.learning.encoding import EncodedSituation
from shared.learning.exploration import at_most, squarecb, uniform, with_floor
from shared.learning.model import Model

FLOOR: Final = 0.02
"""Shared among the actions as the least they get: it costs little reward and keeps the log fit for offline evaluation."""

_GAMMA: Final = 100.0
"""SquareCB's γ after one event; it grows with the root of their number, as its regret bound asks. Set by trial."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Explores in proportion to how likely an action is the best one, ``exploration_percentage`` (0..1) at most."""

    model: Model
    exploration_percentage: float

    def probabilities(self, encoded: EncodedSituation, allowed: Sequence[bool]) -> tuple[float, ...]:
        """Give each action's chance, in request order; a cold model gives all that are allowed the same."""
        flags = np.array(allowed, dtype=np.bool_)
        if self.model.is_cold:
            return tuple(uniform(flags).tolist())
        gamma = _GAMMA * sqrt(self.model.learned)
        wide = squarecb(self.model.scores(encoded), flags, gamma=gamma)
        capped = at_most(wide, exploration=self.exploration_percentage)
        return tuple(with_floor(capped, flags, floor=FLOOR, exploration=self.exploration_percentage).tolist())
