"""What a process knows of the log's deletions, and for how long it may go by it.

A writer that has not heard of a deletion goes on in the old generation's tables. What it seals there is found, and moved before such a
table is dropped; but a row that comes between the two would be lost. So nobody writes by what was heard long ago:

- A row is written within ``append_deadline`` of a moment at which the last answer was no older than ``asks_after``. Both are times that
  passed in one process; clocks that differ do not matter.
- That answer was given before the deletion's commit, or it would have told of it. So a row of a writer that has not heard comes
  ``asks_after + append_deadline`` after the commit at the latest, and the commit at most
  `shared.domain.ledger.COMMIT_WITHIN` after the cut.
- A table of an older generation is dropped ``settled_for`` after the cut, which is longer than the three together.

When storage cannot tell, the append is refused: it would have to be acknowledged, and might be dropped. A pointer that was read but
is of a later release tells nothing; then what is known goes on, lest Rank stop after a downgrade.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.clock import Clock
from shared.domain.ledger import COMMIT_WITHIN


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment by the clock, which goes on while a machine sleeps, and in seconds that pass, which nobody sets back."""

    at: datetime
    seconds: float


class Hearing:
    """When a process last heard how things stand; any thread may say so."""

    def __init__(self, clock: Clock, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._heard: Moment | None = None

    def now(self) -> Moment:
        """Give what is to be noted, once an answer has come, of when it was asked for."""
        return Moment(self._clock.now(), self._monotonic())

    def note(self, asked: Moment) -> None:
        """Take note that what was asked for at that moment was answered."""
        if self._heard is None or asked.seconds > self._heard.seconds:
            self._heard = asked

    def is_older_than(self, age: timedelta) -> bool:
        """Whether nothing was heard for longer than this, by either of the two measures; a clock that was set back tells nothing."""
        if self._heard is None:
            return True
        now = self.now()
        passed = now.at - self._heard.at
        return not timedelta(0) <= passed <= age or now.seconds - self._heard.seconds > age.total_seconds()


def settled_for(*, asks_after: timedelta, append_deadline: timedelta, clocks: timedelta) -> timedelta:
    """Give how long after a deletion nobody writes to the old tables any more, where clocks differ by no more than this."""
    return asks_after + append_deadline + COMMIT_WITHIN + clocks
