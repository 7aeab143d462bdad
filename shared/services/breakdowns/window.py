"""What one window of the trainer adds to the breakdowns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import orjson

from shared.domain.events import JoinedEvent
from shared.evaluation.sums import Floats
from shared.services.breakdowns.keys import KeyReader
from shared.services.breakdowns.table import Compared, Earned, Table, nothing
from shared.services.figures.logged import Logged
from shared.services.figures.timeline import POLICIES
from shared.services.figures.trial import LARGEST_REWARD
from shared.services.figures.window import baseline_bounds, rounds_of

MOST_ACTIONS: Final = 2_000
MOST_VALUES: Final = 200
MOST_PAIRS: Final = 2_000
"""Keys that have sums of their own: actions, values of the feature, and pairs of both."""

_BASELINE: Final = POLICIES.index("baseline1")


@dataclass(frozen=True, eq=False, slots=True)
class Breakdown:
    """Sums by action, by value of the ``feature`` ("": none is chosen, and these tables are empty) and by both (`pair_key`)."""

    feature: str
    actions: Table[Earned]
    values: Table[Compared]
    pairs: Table[Earned]

    @staticmethod
    def none(feature: str) -> "Breakdown":
        """Give the one without events."""
        return Breakdown(feature, nothing(Earned), nothing(Compared), nothing(Earned))

    def plus(self, window: "Breakdown") -> "Breakdown":
        """Add a window; where that is of another feature, all sums by values begin with it."""
        before = self if self.feature == window.feature else Breakdown(window.feature, self.actions, nothing(Compared), nothing(Earned))
        return Breakdown(
            window.feature,
            before.actions.plus(window.actions, most=MOST_ACTIONS),
            before.values.plus(window.values, most=MOST_VALUES),
            before.pairs.plus(window.pairs, most=MOST_PAIRS),
        )

    def folded(self, until: datetime) -> "Breakdown":
        """Let go of what is too old by this time. Pairs are kept by days only: there are many."""
        return Breakdown(self.feature, self.actions.folded(until), self.values.folded(until), self.pairs.folded(until, hours_kept=0))


def pair_key(action: str, value: str) -> str:
    """Give the key of an action and a value together.

    >>> pair_key("a", "=phone")
    '["a","=phone"]'
    """
    return orjson.dumps([action, value]).decode()


def split_pair(key: str) -> tuple[str, str]:
    """Inverse of `pair_key`."""
    action, value = orjson.loads(key)
    return action, value


def broken_down(events: Sequence[JoinedEvent], columns: Logged, feature: str) -> Breakdown:
    """Break down those of a window's events that are learned; ``columns`` are these as columns.

    An event that stands for several counts as so many.
    """
    reader = KeyReader(feature)
    learned = [event for event in events if event.skip is None]
    keys = [reader.read(event.decision) for event in learned]
    counts = np.array([event.weight for event in learned], dtype=np.float64)
    minutes = (columns.seconds // 60.0).astype(np.int64)
    rewards = np.clip(columns.rewards, -LARGEST_REWARD, LARGEST_REWARD)
    earned = Earned(counts, counts * rewards, counts * rewards**2)
    actions = Table.of([None if each is None else each[0] for each in keys], minutes, rewards, earned)
    if not feature:
        return Breakdown(feature, actions, nothing(Compared), nothing(Earned))
    values = Table.of([None if each is None else each[1] for each in keys], minutes, rewards, _compared(earned, columns, rewards, counts))
    pairs = Table.of([None if each is None else pair_key(*each) for each in keys], minutes, rewards, earned)
    return Breakdown(feature, actions, values, pairs)


def _compared(earned: Earned, columns: Logged, rewards: Floats, counts: Floats) -> Compared:
    rounds, held = rounds_of(columns)[_BASELINE]
    w = np.zeros(len(columns))
    w[held] = rounds.weights
    w *= counts
    wr, known = w * rewards, counts * held
    return Compared(earned.events, earned.rewards, earned.squares, known, w, w * w, wr, w * wr, wr * wr, baseline_bounds(columns) * counts)
