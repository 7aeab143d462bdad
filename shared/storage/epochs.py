"""What a process knows of the log's deletions, and for how long it may go by it.

A writer that has not heard of a deletion goes on in the old generation's tables. What it seals there is found, and moved before such a
table is dropped; but a row that comes between the two would be lost. So a row is acknowledged only when it is sure to stay:

- **The last answer is no older than ``asks_after`` when the row is there.** That answer was given before the deletion's commit, or it
  would have told of it, and the commit comes `shared.domain.ledger.COMMIT_WITHIN` after the cut at the latest. Tables are dropped
  ``settled_for`` after the cut, which is longer than the two together: the row was there before. Both are times that pass in one
  process; the clocks of two matter for the last step alone, which allows for them.
- **Or the pointer is asked then, and still tells of the same generation.** So the row was there before the commit, and what moves rows
  after that finds it. If the pointer tells of another one, the row is written to that one's table as well, under the same key.
- **Or, when the pointer does not answer, no newer generation has a table.** Before rows are moved the table is made that they are moved
  to: the row was there before that, and is found. If there is one, the append is refused: to which generation the row belongs cannot be
  told. So neither an outage of the files nor a pointer of a later release stops Rank.
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
    """Give how long after a deletion nobody acknowledges by what was heard before it, where clocks differ by no more than this.

    An append's time is added for answers that are under way.
    """
    return asks_after + append_deadline + COMMIT_WITHIN + clocks
