"""Storage for threads that wait: asked by an event loop in a thread of its own, so that no answer is waited for without end.

A blocking client gives up when nothing has come for some seconds; it waits for ever for one that sends a byte a second. In an event loop
every use of storage has a time at which it ends.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import CancelledError
from datetime import timedelta
from typing import Any, Final, Generic, Protocol, TypeVar

from shared.domain.errors import StorageUnavailableError
from shared.domain.patience import seconds_left

logger = logging.getLogger(__name__)

_MARGIN: Final = 2.0
"""Seconds beyond what was asked for until a loop that has not ended it itself is given up."""


class Client(Protocol):
    """What is asked: a client that belongs to one event loop."""

    async def close(self) -> None:
        """Close its connections."""
        ...


Asked = TypeVar("Asked", bound=Client)
Answer = TypeVar("Answer")


class Waiter(Generic[Asked]):
    """An event loop and a client in it, both made on first need and again if they are gone, as after a fork. Any thread may ask."""

    def __init__(self, make: Callable[[], Asked]) -> None:
        self._make = make
        self._lock = (os.getpid(), threading.Lock())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: Asked | None = None

    def ask(self, use: Callable[[Asked], Awaitable[Answer]], *, deadline: timedelta) -> Answer:
        """Give what ``use`` of the client came to, within the deadline or what is left to the caller; raises what it raised.

        ``use`` ends in time by itself (`shared.storage.failures`); what does not is given up a little later.
        """
        asked = asyncio.run_coroutine_threadsafe(self._used(use), self._running())
        try:
            return asked.result(max(seconds_left(deadline), 0.0) + _MARGIN)
        except (TimeoutError, CancelledError) as cause:
            asked.cancel()
            raise StorageUnavailableError("storage did not answer in time") from cause

    async def close(self) -> None:
        """End the thread and close the client; another question starts them again."""
        loop, thread, client = self._loop, self._thread, self._client
        self._loop = self._thread = self._client = None
        if loop is None or thread is None or not thread.is_alive() or self._lock[0] != os.getpid():
            return
        if client is not None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(client.close(), loop))
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join, _MARGIN)

    async def _used(self, use: Callable[[Asked], Awaitable[Answer]]) -> Answer:
        if self._client is None:
            self._client = self._make()
        return await use(self._client)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._lock[0] != os.getpid():  # a child of the process that it ran in: the thread is not there, the lock may be held
            self._lock = (os.getpid(), threading.Lock())
            self._loop = self._thread = self._client = None
        with self._lock[1]:
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                self._loop, self._client = asyncio.new_event_loop(), None
                self._thread = threading.Thread(target=_run, args=(self._loop,), name="storage-wait", daemon=True)
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(_cancelled(asyncio.all_tasks(loop)))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def _cancelled(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """End what is still being asked: whoever waits for an answer hears at once that none comes."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
