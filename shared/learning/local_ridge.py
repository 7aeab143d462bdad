"""The part of the model that is an action's own: ridge regression on the waves of the context, for each action by its id.

It sees what no sum over single features can (two features that only together mean something, a number that is best in the middle),
for actions that stay around. Its statistics are sums: *steady* ones remember all events, *recent* ones fade.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np

from shared.learning.encoding import NO_ID, Batch, Floats, Floats32, Hashes
from shared.learning.fourier import WAVES, frequencies, gaussians, summed, waves
from shared.learning.measures import Measures
from shared.learning.segments import Positions
from shared.learning.shared_ridge import DRAWS, FORGETTING
from shared.learning.sums import PRECISION, Rows, Sums

ARMS: Final = 64
"""Actions that have a part of their own; what further ones are worth, the shared part tells alone."""

SIZE: Final = 1 + WAVES

_STALE: Final = 4096
"""An action that was not shown for so many events gives up its place to a new one."""


ROWS: Final = 64
"""An action with fewer events keeps them as they are: so many equations are solved faster than `SIZE`. Then they are summed."""


@dataclass(eq=False, slots=True)
class Arm:
    """One action, with the sums of all its events and of the recent ones; while it has few, its events instead.

    ``rows`` are in no sum yet. ``summed`` is the number of the event up to which the recent sums have faded, 0 while there are none:
    they fade when the action is shown again. ``seen`` is the number of the event at which it was last shown.
    """

    steady: Sums = field(default_factory=lambda: Sums.none(SIZE))
    recent: Sums = field(default_factory=lambda: Sums.none(SIZE))
    rows: Rows = field(default_factory=lambda: Rows.none(SIZE))
    summed: int = 0
    seen: int = 0

    def learn(self, rows: Rows, *, last: int) -> None:
        """Take in events of the action, and solve; event number ``last`` is the newest of all actions'."""
        self.rows, self.seen = self.rows.joined(rows), int(rows.numbers[-1])
        roots = self.rows.roots_left(last)
        if not self.summed and len(self.rows) < ROWS:
            self.steady.weights, self.recent.weights = self.rows.fitted(prior_draws(), np.stack([np.ones(len(roots)), roots]))
            return
        self._sum(roots, last)
        self.steady.solve(prior_draws())
        self.recent.solve(prior_draws())

    def begin_anew(self, last: int) -> None:
        """Have what is steady know what is recent, of events up to number ``last``; its weights are solved when it is shown again."""
        self._sum(self.rows.roots_left(last), last)
        self.steady = self.recent.copy()

    def _sum(self, roots: Floats, last: int) -> None:
        rows = self.rows
        self.steady.add(rows.waves, rows.targets[:, 0], rows.targets[:, 1:])
        self.recent.fade(FORGETTING ** (last - self.summed))
        self.recent.add(rows.waves * roots.astype(np.float32)[:, None], roots * rows.targets[:, 0], rows.targets[:, 1:])
        self.rows, self.summed = Rows.none(SIZE), last


@dataclass(eq=False, slots=True)
class LocalRidge:
    """The arms by the hash of their action's id, in the order in which they were met."""

    arms: dict[int, Arm] = field(default_factory=dict)

    def predict(self, contexts: Floats32, actions: Hashes, otherwise: Floats) -> Floats:
        """Give the steady and the recent prediction [n, 2] for waves [n, SIZE]; ``otherwise`` [n, 2] for what is no arm."""
        predictions = otherwise.copy()
        for action, events in _grouped(actions):
            if (arm := self.arms.get(action)) is not None:
                both = np.column_stack([arm.steady.weights[:, 0], arm.recent.weights[:, 0]])
                predictions[events] = contexts[events] @ both
        return predictions

    def learn(self, contexts: Floats32, actions: Hashes, targets: Floats, *, last: int) -> None:
        """Add events: waves [n, SIZE] and ``targets`` [n, 1 + DRAWS], of which the last is event number ``last``; then solve."""
        first = last - len(actions) + 1
        for action, events in _grouped(actions):
            numbers = first + events
            if (shown := self._arm(action, int(numbers[-1]))) is not None:
                shown.learn(Rows(contexts[events], targets[events], numbers), last=last)

    def begin_anew(self, *, last: int) -> None:
        """Forget what is not recent; event number ``last`` is the newest."""
        for arm in self.arms.values():
            arm.begin_anew(last)

    def _arm(self, action: int, seen: int) -> Arm | None:
        if action in self.arms:
            return self.arms[action]
        if action == NO_ID:
            return None
        if len(self.arms) >= ARMS:
            longest_unseen = min([arm.seen for arm in self.arms.values()])
            if seen - longest_unseen <= _STALE:
                return None
            del self.arms[next(action for action, arm in self.arms.items() if arm.seen == longest_unseen)]
        return self.arms.setdefault(action, Arm())


def contexts_of(batch: Batch, measures: Measures) -> Floats32:
    """Give the waves of each event's context, shape [n, SIZE]."""
    ranked = measures.ranked(batch.context_hashes, batch.context_values).astype(np.float32)
    ranked[batch.context_starts[:-1]] = 0.0  # the constant is no feature to be similar in
    angles = summed(frequencies, batch.context_hashes, ranked, batch.context_starts)
    return waves(angles, np.diff(batch.context_starts) - 1)


def arms_of(batch: Batch) -> Hashes:
    """Give the hash of each event's action id."""
    return batch.action_hashes[batch.action_starts[:-1]]


@cache
def prior_draws() -> Floats:
    """Give the draws of an action of which nothing is known, shape [SIZE, DRAWS]."""
    draws: Floats = gaussians(np.arange(SIZE, dtype=np.uint32) + np.uint32(0x2545F491), DRAWS) / np.float64(PRECISION**0.5)
    return draws


def _grouped(actions: Hashes) -> Iterator[tuple[int, Positions]]:
    """Give each action, in the order of its first event, and its events."""
    distinct, firsts, places = np.unique(actions, return_index=True, return_inverse=True)
    by_action = np.argsort(places, kind="stable")
    groups = np.split(by_action, np.cumsum(np.bincount(places, minlength=len(distinct)))[:-1])
    for number in np.argsort(firsts).tolist():
        yield int(distinct[number]), groups[number]
