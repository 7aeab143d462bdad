"""A model that is being begun anew, as it is kept between two runs of the trainer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AnewProgress:
    """How far a model that is begun anew has come.

    ``resets`` is the number of the settings' resets that it follows. Of ``chunks`` of the joined log, as many as were known when they were
    last counted, ``done`` are learned or, ``left_out`` of them, could not be read; ``learned`` counts events.
    """

    resets: int
    begun_at: datetime
    chunks: int
    done: int
    learned: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A learner between two chunks of the log, with all that is needed to go on exactly.

    ``purpose`` is a text that tells what it is learned for: under which settings, from which log, in place of which model; one with
    another purpose is of no use. ``first`` is the first chunk that could be read ("": none yet), ``reached`` the last that was done with
    ("": none yet), and ``ahead`` are those that come next, in order, as far as they were looked for. ``state`` is the learner's, and
    ``tries`` counts the processes that took it up and came no further.
    """

    progress: AnewProgress
    purpose: str
    first: str
    reached: str
    ahead: Sequence[str]
    state: bytes
    tries: int = 0
