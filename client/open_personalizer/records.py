"""What waits to be sent: decisions and observations, as lines of JSON."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


@dataclass(slots=True)
class Record:
    """A line without its end, which is the time ``at`` (seconds since 1970, by this machine's clock); see `shared` of `sender`.

    A decision has the ``ticket`` that it was decided by, None if by none. ``outcome`` is told what became of it, if anyone waits.
    """

    is_decision: bool
    at: float
    line: bytes
    ticket: str | None = None
    outcome: "Future[None] | None" = None

    @property
    def size(self) -> int:
        """Bytes that it takes, nearly."""
        return len(self.line) + 64


class Batch(NamedTuple):
    """Records to send together; ``mark`` is the queue's own."""

    records: Sequence[Record]
    mark: Any = None


class Queue(Protocol):
    """Keeps records in order until they are sent. Many threads put, one takes."""

    def put(self, record: Record, timeout: float | None) -> None:
        """Return once it is kept as promised; waits for room so many seconds, and raises `QueueFullError`."""
        ...

    def withdraw(self, record: Record) -> bool:
        """Take a record back that nobody has taken yet; tells whether that was possible."""
        ...

    def take(self, *, records: int, size: int, timeout: float) -> Batch | None:
        """Give the next records, at most so many with so many bytes (one at least); None if there are none in time."""
        ...

    def wake(self) -> None:
        """Let whoever takes wait no longer."""
        ...

    def done(self, batch: Batch) -> None:
        """Forget a batch that needs not be sent any more; it is the one that was taken last."""
        ...

    def waiting(self) -> tuple[int, int]:
        """Give how many records wait, those under way included, and how many bytes they take."""
        ...

    def close(self, *, is_sending: bool) -> int:
        """Let all go, though a batch may still be under way; gives how many records are lost by that."""
        ...
