"""What the trainer's timer remembers of a loop from run to run."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.clock import EPOCH

LIFE: Final = timedelta(minutes=5)
"""How long a request to train stands. A message that comes later is dropped; the timer asks anew if there is still something to do."""

RENEWED: Final = timedelta(minutes=1)
"""How long before its end the next request may be made, so that a loop with much to do is not left alone in between."""

MOST_QUIET: Final = timedelta(minutes=5)
"""For how long a note may keep the timer from looking at a loop: nobody tells it when the log is deleted, or another model imported."""


@dataclass(frozen=True, slots=True)
class Note:
    """What the timer saw of a loop, and whether it has asked others to train it.

    Until ``quiet_until`` nothing is to be done under the settings that ``settings`` is a digest of. ``mark`` tells the last commit from
    all others, ``asked_until`` when its last request ends.
    """

    settings: str = ""
    quiet_until: datetime = EPOCH
    mark: str = ""
    asked_until: datetime = EPOCH

    def is_quiet(self, settings: str, *, now: datetime) -> bool:
        """Whether the loop need not be looked at; a time too far ahead was written by a clock that was wrong."""
        return self.settings == settings and now < self.quiet_until <= now + MOST_QUIET

    def has_asked(self, *, now: datetime) -> bool:
        """Whether a request stands, and for so long that no other is needed."""
        return now + RENEWED < self.asked_until <= now + LIFE
