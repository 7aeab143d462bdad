"""A queue in memory: what waits in it is lost when the process is killed."""

import threading
import time
from collections import deque

from open_personalizer.errors import ClosedError, NotStoredError, QueueFullError
from open_personalizer.records import Batch, Record


class MemoryQueue:
    """Keeps at most ``size`` bytes."""

    def __init__(self, *, size: int) -> None:
        self._size = size
        self._records: deque[Record] = deque()
        self._bytes = 0
        self._under_way: list[Record] = []
        self._is_closed = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._takers = self._putters = 0

    def put(self, record: Record, timeout: float | None) -> None:
        """Keep a record."""
        size = record.size
        with self._lock:
            if self._is_closed or not self._has_room(size):
                self._wait_for_room(size, timeout)
            self._records.append(record)
            self._bytes += size
            if self._takers:
                self._changed.notify_all()

    def withdraw(self, record: Record) -> bool:
        """Take a record back."""
        with self._changed:
            index = next((index for index, each in enumerate(self._records) if each is record), None)
            if index is None:
                return False
            del self._records[index]
            self._bytes -= record.size
            self._changed.notify_all()
            return True

    def take(self, *, records: int, size: int, timeout: float) -> Batch | None:
        """Give the next records."""
        with self._changed:
            if not self._records and not self._under_way:
                self._takers += 1
                self._changed.wait(timeout)
                self._takers -= 1
            if self._under_way:
                return Batch(self._under_way)
            total = 0
            while self._records and len(self._under_way) < records and (not total or total + self._records[0].size <= size):
                self._under_way.append(self._records.popleft())
                total += self._under_way[-1].size
            return Batch(self._under_way) if self._under_way else None

    def wake(self) -> None:
        """Let whoever takes wait no longer."""
        with self._changed:
            self._changed.notify_all()

    def done(self, batch: Batch) -> None:
        """Forget a batch."""
        with self._changed:
            self._bytes -= sum([each.size for each in batch.records])
            self._under_way = []
            if self._putters:
                self._changed.notify_all()

    def waiting(self) -> tuple[int, int]:
        """Give what waits."""
        with self._changed:
            return len(self._records) + len(self._under_way), self._bytes

    def close(self, *, is_sending: bool) -> int:
        """Let all go: it is lost."""
        with self._changed:
            lost = [*self._under_way, *self._records]
            self._records.clear()
            self._bytes, self._under_way, self._is_closed = 0, [], True
            self._changed.notify_all()
        for each in lost:
            if each.outcome is not None and not each.outcome.done():
                each.outcome.set_exception(NotStoredError("the client was closed before the service had stored this"))
        return len(lost)

    def _has_room(self, size: int) -> bool:
        return not self._bytes or self._bytes + size <= self._size

    def _wait_for_room(self, size: int, timeout: float | None) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        self._putters += 1
        try:
            while self._is_closed or not self._has_room(size):
                if self._is_closed:
                    raise ClosedError("this client is closed")
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise QueueFullError(f"{self._bytes} bytes wait to be sent, and there is no room for more")
                self._changed.wait(left)
        finally:
            self._putters -= 1
