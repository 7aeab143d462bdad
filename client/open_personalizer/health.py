"""How a client does, as it counts for itself."""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """What the service refused to store, and why."""

    code: str
    message: str
    line: str


@dataclass(frozen=True, slots=True)
class Health:
    """How a client does at this moment; counts are of this process.

    ``model_error`` and ``sending_error`` say what failed last, None while all is well. ``stored`` and ``repeated`` are decisions that the
    service has, ``observed`` rewards and activations that it has. ``waiting`` are kept and not sent yet. ``refused`` will not be stored:
    the last of them are ``refused_lines``. ``not_logged`` were answered without being kept, because there was no room. ``lost`` were kept,
    and given up when the client was closed, or could not be read from the disk again.
    """

    model_version: str
    seconds_since_model_was_checked: float | None
    model_error: str | None
    sending_error: str | None
    waiting: int
    waiting_bytes: int
    stored: int
    repeated: int
    observed: int
    refused: int
    refused_lines: tuple[RefusedLine, ...]
    not_logged: int
    lost: int
    clock_offset_seconds: float


class Tally:
    """Counts for `Health`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.stored = self.repeated = self.observed = self.refused = self.not_logged = self.lost = 0
        self.refused_lines: deque[RefusedLine] = deque(maxlen=KEPT)
        self.sending_error: str | None = None
        self.clock_offset = 0.0

    def count(self, *, stored: int = 0, repeated: int = 0, observed: int = 0, not_logged: int = 0, lost: int = 0) -> None:
        """Add to the counts."""
        with self._lock:
            self.stored += stored
            self.repeated += repeated
            self.observed += observed
            self.not_logged += not_logged
            self.lost += lost

    def refuse(self, line: RefusedLine) -> None:
        """Keep what was refused in mind."""
        with self._lock:
            self.refused += 1
            self.refused_lines.append(line)
