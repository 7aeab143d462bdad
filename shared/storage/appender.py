"""Natural batching: appends that arrive while a row is being written leave together in the next one.

An idle process adds no delay and writes rows of one; a busy one writes few, large rows. A caller is answered when its time is over at
the latest, and is never told afterwards that something was stored.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.domain.errors import BacklogFullError, PersonalizerError, StorageUnavailableError
from shared.domain.patience import unlimited
from shared.storage.segments import TooLargeError, too_large

logger = logging.getLogger(__name__)

Event = TypeVar("Event")


@dataclass(frozen=True, slots=True)
class Limits:
    """What may leave together in one row, and what may wait, in events and in bytes before compression."""

    batch_events: int
    batch_bytes: int
    waiting_events: int
    waiting_bytes: int


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Event]):
    events: Sequence[Event]
    size: int
    due: float
    stored: "asyncio.Future[None]"


class Appender(Generic[Event]):
    """One queue and at most one write under way; ``write`` stores a batch of appends or raises for all of it.

    A batch for which it raises `TooLargeError` is written in two halves. ``monotonic`` tells the seconds in which ``due`` is given.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Sequence[Event]]], Awaitable[None]],
        *,
        size_of: Callable[[Event], int],
        limits: Limits,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._size_of = size_of
        self._limits = limits
        self._monotonic = monotonic
        self._queue: deque[_Waiting[Event]] = deque()
        self._events = 0
        self._bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None

    async def append(self, events: Sequence[Event], *, due: float = math.inf) -> None:
        """Return once these events, which stay together, are stored; raises what ``write`` raised, or `BacklogFullError` at once.

        When they are not by ``due``, raises `StorageUnavailableError`: they are not written any more, or may be stored all the same.
        """
        size = sum(map(self._size_of, events))
        if self._events + len(events) > self._limits.waiting_events or self._bytes + size > self._limits.waiting_bytes:
            raise BacklogFullError("too many calls are waiting for storage")
        waiting = _Waiting(events, size, due, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._events += len(events)
        self._bytes += size
        if self._writer is None:
            self._writer = asyncio.create_task(self._drain(), name="append", context=unlimited())
        await waiting.stored

    async def _drain(self) -> None:
        try:
            while self._queue:
                await self._leave(self._take())
        finally:
            self._writer = None
            self._give_up()

    def _take(self) -> list[_Waiting[Event]]:
        batch: list[_Waiting[Event]] = []
        events = size = 0
        while self._queue:
            waiting = self._queue[0]
            is_full = events + len(waiting.events) > self._limits.batch_events or size + waiting.size > self._limits.batch_bytes
            if batch and is_full:
                break
            events += len(waiting.events)
            size += waiting.size
            batch.append(self._queue.popleft())
        self._events -= events
        self._bytes -= size
        return batch

    async def _leave(self, batch: Sequence[_Waiting[Event]]) -> None:
        """Write what is not overdue; given up when all of it is."""
        batch = self._expire(batch)
        latest = max([waiting.due for waiting in batch], default=math.inf)
        try:
            async with asyncio.timeout(None if latest == math.inf else latest - self._monotonic()):
                await self._store(batch)
        except TimeoutError:
            logger.warning("an append took too long", extra={"appends": len(batch)})
            for waiting in batch:
                _settle(waiting.stored, _overdue())
        finally:
            if self._expiry is not None:
                self._expiry.cancel()
            for waiting in batch:
                _settle(waiting.stored, StorageUnavailableError("the append was interrupted"))

    def _expire(self, batch: Sequence[_Waiting[Event]]) -> Sequence[_Waiting[Event]]:
        """Answer those whose time is over, give the others, and come back when the next one's is."""
        now = self._monotonic()
        left = [waiting for waiting in batch if waiting.due > now]
        for waiting in batch:
            if waiting.due <= now:
                _settle(waiting.stored, _overdue())
        due = min([waiting.due for waiting in left], default=math.inf)
        self._expiry = None if due == math.inf else asyncio.get_running_loop().call_later(due - now, self._expire, left)
        return left

    async def _store(self, batch: Sequence[_Waiting[Event]]) -> None:
        """Write a batch and answer its callers; what no row can hold is halved, and an append that none can is refused to its caller."""
        if not batch:
            return
        error: PersonalizerError | None = None
        try:
            await self._write([waiting.events for waiting in batch])
        except TooLargeError:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._store(batch[:middle])
                await self._store(batch[middle:])
                return
            error = too_large(len(batch[0].events))
        except PersonalizerError as refused:
            error = refused
        now = self._monotonic()  # the process may have stood still, and no timer with it
        for waiting in batch:
            _settle(waiting.stored, error or (_overdue() if waiting.due < now else None))

    def _give_up(self) -> None:
        """Leave nobody waiting for a writer that is gone (it ends with an empty queue unless it was cancelled or broke)."""
        while self._queue:
            _settle(self._queue.popleft().stored, StorageUnavailableError("the append was interrupted"))
        self._events = self._bytes = 0


def _overdue() -> StorageUnavailableError:
    return StorageUnavailableError("storage did not take it in time")


def _settle(stored: "asyncio.Future[None]", error: PersonalizerError | None) -> None:
    if stored.done():  # the caller went away
        return
    if error is None:
        stored.set_result(None)
    else:
        stored.set_exception(error)
