"""Rounds scored some at a time: of a round nothing stays but its probabilities and predictions, until some thousands are summed up."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from shared.domain.events import JoinedEvent
from shared.evaluation.sums import Floats
from shared.learning.bends import Places
from shared.learning.encoding import EncodedSituation
from shared.learning.model import Model
from shared.learning.policy import Policy
from shared.learning.scorer import Scores

AT_ONCE: Final = 2048
"""Rounds that are summed up at once, ..."""

MOST_CELLS: Final = 8 * 1024 * 1024
"""... or fewer, of many actions and policies: numbers of 8 bytes, of which each action of a round takes one for each layer."""

_FIRST_ROWS: Final = 64
_MINUTE: Final = 60


class Block:
    """Rounds scored by one model, for policies that learn from the same features; ``layers`` are all that the sums lay out.

    ``logged`` and ``predictions`` have shape [n, K], ``chances`` [policies, n, K], where K is the most actions of a round.
    """

    def __init__(self, model: Model, policies: Sequence[Policy], *, layers: int) -> None:
        self._model = model
        self._policies = policies
        self._layers = layers
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all rounds."""
        self.slots: list[str] = []
        self.chosen: list[int] = []
        self.rewards: list[float] = []
        self.counts: list[float] = []
        self.minutes: list[int] = []
        self.baselines: list[int] = []
        self.sizes: list[int] = []
        self._cells = np.zeros((2 + len(self._policies), 0, 0))
        self._waiting: list[EncodedSituation] = []

    def __len__(self) -> int:
        return len(self.chosen)

    def has_room_for(self, actions: int) -> bool:
        """Whether a round of so many actions may be added before all are summed up."""
        return len(self) < min(AT_ONCE, MOST_CELLS // (self._layers * max(actions, self._cells.shape[2], 1))) or not len(self)

    def add(self, event: JoinedEvent, encoded: EncodedSituation, *, baseline: int) -> None:
        """Take in a round, which waits to be scored; ``baseline`` is the index of the application's own choice."""
        decision, row = event.decision, len(self)
        size = len(decision.probabilities)
        self._make_room(row + 1, size)
        self._cells[0, row, :size] = decision.probabilities
        self.slots.append(decision.slot)
        self.chosen.append(decision.chosen)
        self.rewards.append(event.reward)
        self.counts.append(event.weight)
        self.minutes.append(int(decision.decided_at.timestamp()) // _MINUTE)
        self.baselines.append(baseline)
        self.sizes.append(size)
        self._waiting.append(encoded)

    def score(self) -> None:
        """Score the rounds that wait: nothing else of a round takes as much memory as what it was encoded to."""
        if not self._waiting:
            return
        first = len(self) - len(self._waiting)
        if not self._model.is_cold:
            for places, scores in self._model.scores_of_many(self._waiting):
                self._fill(first + places, scores)
        self._waiting = []

    def _fill(self, rows: Places, scores: Scores) -> None:
        size = scores.mean.shape[1]
        allowed = self._cells[0, rows, :size] > 0.0
        self._cells[1, rows, :size] = scores.mean
        for number, policy in enumerate(self._policies, start=2):
            self._cells[number, rows, :size] = policy.chances_of_many(scores, allowed)

    def _make_room(self, rows: int, width: int) -> None:
        layers, known_rows, known_width = self._cells.shape
        if rows <= known_rows and width <= known_width:
            return
        wider = np.zeros((layers, max(_FIRST_ROWS, 2 * known_rows) if rows > known_rows else known_rows, max(width, known_width)))
        wider[:, :known_rows, :known_width] = self._cells
        self._cells = wider

    @property
    def logged(self) -> Floats:
        """What the choices were drawn from."""
        return self._layer(0)

    @property
    def predictions(self) -> Floats:
        """What the model expected of each action, 0 where it knew nothing."""
        return self._layer(1)

    def chances(self, policy: int) -> Floats:
        """Give what a policy would have drawn from: even chances where the model knows nothing."""
        return even(self.logged) if self._model.is_cold else self._layer(2 + policy)

    def _layer(self, number: int) -> Floats:
        layer: Floats = self._cells[number, : len(self)]
        return layer


def even(logged: Floats) -> Floats:
    """Give all that could be chosen the same chance."""
    possible: Any = logged > 0.0
    evenly: Floats = possible / possible.sum(axis=1, keepdims=True)
    return evenly
