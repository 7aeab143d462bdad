"""How a step of the trainer shares the process: two things at a time, the garbage collector at rest, memory given back."""

import asyncio
import ctypes
import gc
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from shared.domain.errors import BusyError

_M_ARENA_MAX = -8
"""In glibc's ``malloc.h``."""

First = TypeVar("First")
Second = TypeVar("Second")


async def together(first: Coroutine[Any, Any, First], second: Coroutine[Any, Any, Second]) -> tuple[First, Second]:
    """Await both; when one fails, the other is cancelled and done with before the error leaves."""
    tasks = asyncio.create_task(first), asyncio.create_task(second)
    try:
        one, other = await asyncio.gather(*tasks)
        return one, other
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class FewAtATime:
    """Lets a few in at a time, as many as read much at once; others wait briefly, and are then told to come back."""

    def __init__(self, *, places: int, patience: timedelta = timedelta(seconds=2), most_waiting: int = 16) -> None:
        self._places = asyncio.Semaphore(places)
        self._patience = patience
        self._most_waiting = most_waiting
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place until the block is left, however that is; raises `BusyError` when none was free in time."""
        await self._taken()
        try:
            yield
        finally:
            self._places.release()

    async def _taken(self) -> None:
        if self._waiting >= self._most_waiting:
            raise self._full()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await self._places.acquire()
        except TimeoutError as cause:
            raise self._full() from cause
        finally:
            self._waiting -= 1

    def _full(self) -> BusyError:
        return BusyError("others are reading as much at this moment; repeat the call", retry_after=self._patience)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep the garbage collector from running.

    A window's events are hundreds of thousands of objects without a cycle among them, which go when nothing refers to them any
    more. Until then the collector would look through them again and again, for a fifth of the time that the window takes.
    """
    if not gc.isenabled():  # another one is at it and will end it
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def keep_memory_together() -> None:
    """Have all threads of this process take memory from one place: best called before there are any.

    The C library gives each thread a place of its own, and what one has freed is of no use to the others: three threads that handle a
    window one after another take up to half as much again. Where there is no such setting, nothing is done.
    """
    if (set_option := _of_c_library("mallopt")) is not None:
        set_option(_M_ARENA_MAX, 1)


def give_memory_back() -> None:
    """Have the C library return to the system what was freed: it keeps it, and one large window would add to the other.

    Where there is no such call, nothing is done.
    """
    if (trim := _of_c_library("malloc_trim")) is not None:
        trim(0)


def _of_c_library(name: str) -> Callable[..., int] | None:
    """Find a function of glibc's; None elsewhere."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
