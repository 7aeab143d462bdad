"""The part of the model that is an action's own: ridge regression on the waves of the context, for each action by its id.

It sees what no sum over single features can (two features that only together mean something, a number that is best in the middle),
for actions that stay around. *Steady* weights fit all events of an action, by their sums; *recent* ones fit the latest, weighted by what
forgetting has left of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np

from shared.learning.encoding import NO_ID, Batch, Floats, Floats32, Hashes
from shared.learning.fourier import WAVES, gaussians
from shared.learning.segments import Positions, starts_of
from shared.learning.shared_ridge import DRAWS, LATEST
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
    """One action: the sums of all its events, while it has few these events instead, and the weights that fit its recent ones.

    ``recent`` has shape [SIZE, 1 + DRAWS]. ``rows`` are in no sum yet; once there are sums, there are none. ``seen`` is the number of the
    event at which it was last shown.
    """

    steady: Sums = field(default_factory=lambda: Sums.none(SIZE))
    recent: Floats = field(default_factory=lambda: np.zeros((SIZE, 1 + DRAWS)))
    rows: Rows = field(default_factory=lambda: Rows.none(SIZE))
    is_summed: bool = False
    seen: int = 0

    def take(self, rows: Rows) -> Rows:
        """Take in events of the action; gives those that were added to the sums."""
        self.rows, self.seen = Rows.joined([self.rows, rows]) if len(self.rows) else rows, int(rows.numbers[-1])
        if not self.is_summed and len(self.rows) < ROWS:
            return Rows.none(SIZE)
        added, self.rows, self.is_summed = self.rows, Rows.none(SIZE), True
        self.steady.add(added.waves, added.targets[:, 0], added.targets[:, 1:])
        return added


@dataclass(eq=False, slots=True)
class LocalRidge:
    """The arms by the hash of their action's id, in the order in which they were met.

    ``latest`` are the events among the latest `LATEST` that are in the sums of an arm, in their order, and ``latest_of`` tells for each of
    which: what is recent is fitted to them.
    """

    arms: dict[int, Arm] = field(default_factory=dict)
    latest: Rows = field(default_factory=lambda: Rows.none(SIZE))
    latest_of: Hashes = field(default_factory=lambda: np.zeros(0, dtype=np.uint32))

    def predict(self, contexts: Floats32, actions: Hashes, otherwise: Floats) -> Floats:
        """Give the steady and the recent prediction [n, 2] for waves [n, SIZE]; ``otherwise`` [n, 2] for what is no arm."""
        predictions = otherwise.copy()
        for action, events in _grouped(actions):
            if (arm := self.arms.get(action)) is not None:
                both = np.column_stack([arm.steady.weights[:, 0], arm.recent[:, 0]])
                predictions[events] = contexts[events] @ both
        return predictions

    def learn(self, contexts: Floats32, actions: Hashes, targets: Floats, *, last: int) -> None:
        """Add events: waves [n, SIZE] and ``targets`` [n, 1 + DRAWS], of which the last is event number ``last``; then solve."""
        numbers, shown = np.arange(last - len(actions) + 1, last + 1), {}
        for action, events in _grouped(actions):
            if (arm := self._arm(action, int(numbers[events[-1]]))) is not None:
                shown[action] = arm.take(Rows(contexts[events], targets[events], numbers[events]))
        self._remember(shown, last=last)
        self._solve([action for action in shown if self.arms[action].is_summed], last=last)
        self._solve_few([arm for action in shown if not (arm := self.arms[action]).is_summed], last=last)

    def begin_anew(self, *, last: int) -> None:
        """Forget what is not recent; event number ``last`` is the newest. Weights are solved when an action is shown again."""
        self._remember({action: arm.rows for action, arm in self.arms.items()}, last=last)
        roots = self.latest.roots_left(last)
        for action, arm in self.arms.items():
            own = np.flatnonzero(self.latest_of == action)
            arm.steady = self.latest.take(own).summed(roots[own])
            arm.steady.weights = arm.recent
            arm.rows, arm.is_summed = Rows.none(SIZE), True

    def remember(self, contexts: Floats32, actions: Hashes, targets: Floats, *, last: int) -> None:
        """Take events that are in the sums already as the latest ones; arguments are those of `learn`."""
        rows = Rows(contexts, targets, np.arange(last - len(actions) + 1, last + 1))
        self._remember({action: rows.take(events) for action, events in _grouped(actions) if action in self.arms}, last=last)

    def _remember(self, new: Mapping[int, Rows], *, last: int) -> None:
        """Keep the events of each arm with those that are kept, as far as they are among the latest."""
        rows = Rows.joined([self.latest, *new.values()])
        of = np.concatenate([self.latest_of, *[np.full(len(each), action, np.uint32) for action, each in new.items()]])
        kept = np.flatnonzero(rows.numbers > last - LATEST)
        kept = kept[np.argsort(rows.numbers[kept])]
        self.latest, self.latest_of = rows.take(kept), of[kept]

    def _solve(self, actions: Sequence[int], *, last: int) -> None:
        """Fit the sums of these actions, and the latest of their events."""
        owns = [np.flatnonzero(self.latest_of == action) for action in actions]
        recent = self.latest.fitted(owns, self.latest.roots_left(last)[None], prior_draws())[0]
        for action, of_recent in zip(actions, recent, strict=True):
            arm = self.arms[action]
            arm.steady.solve(prior_draws())
            arm.recent = of_recent

    def _solve_few(self, arms: Sequence[Arm], *, last: int) -> None:
        """Fit all events of actions that have few."""
        if not arms:
            return
        rows, starts = Rows.joined([arm.rows for arm in arms]), starts_of(np.array([len(arm.rows) for arm in arms]))
        roots = rows.roots_left(last)
        owns = [np.arange(first, end) for first, end in pairwise(starts.tolist())]
        steady, recent = rows.fitted(owns, np.stack([np.ones(len(roots)), roots]), prior_draws())
        for arm, of_all, of_recent in zip(arms, steady, recent, strict=True):
            arm.steady.weights, arm.recent = of_all, of_recent

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
    numbers, starts = distinct.tolist(), starts_of(np.bincount(places, minlength=len(distinct))).tolist()
    for number in np.argsort(firsts).tolist():
        yield numbers[number], by_action[starts[number] : starts[number + 1]]
