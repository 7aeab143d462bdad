"""The part of the model that is an action's own: ridge regression on the waves of the context, for each action by its id.

It sees what no sum over single features can (two features that only together mean something, a number that is best in the middle),
for actions that stay around. Its statistics are sums: *steady* ones remember all events, *recent* ones fade.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from shared.learning.encoding import NO_ID, Batch, Floats, Floats32, Hashes
from shared.learning.fourier import WAVES, frequencies, gaussians, summed, waves
from shared.learning.measures import Measures
from shared.learning.segments import Positions
from shared.learning.shared_ridge import DRAWS, FORGETTING
from shared.learning.sums import PRECISION, Sums

ARMS: Final = 64
"""Actions that have a part of their own; what further ones are worth, the shared part tells alone."""

SIZE: Final = 1 + WAVES

_STALE: Final = 4096
"""An action that was not shown for so many events gives up its place to a new one."""


@dataclass(eq=False, slots=True)
class Arm:
    """One action, with the sums of all its events and those of the recent ones.

    ``seen`` is the number of the event at which it was last shown.
    """

    steady: Sums = field(default_factory=lambda: Sums.none(SIZE))
    recent: Sums = field(default_factory=lambda: Sums.none(SIZE))
    seen: int = 0


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
        count, prior = len(actions), prior_draws()
        root = np.sqrt(FORGETTING ** np.arange(count - 1, -1, -1.0))
        faded, rewards = contexts * root.astype(np.float32)[:, None], root * targets[:, 0]
        for arm in self.arms.values():
            arm.recent.fade(FORGETTING**count)
        for action, events in _grouped(actions):
            seen = last - count + 1 + int(events[-1])
            if (shown := self._arm(action, seen)) is None:
                continue
            noise = targets[events, 1:]
            shown.steady.add(contexts[events], targets[events, 0], noise)
            shown.recent.add(faded[events], rewards[events], noise)
            shown.seen = seen
            shown.steady.solve(prior)
            shown.recent.solve(prior)

    def begin_anew(self) -> None:
        """Forget what is not recent."""
        for arm in self.arms.values():
            arm.steady = arm.recent.copy()

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
