"""Threads that wait for storage ask it in an event loop of its own: it ends, and begins again, without leaving anything behind."""

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from shared.domain.errors import StorageUnavailableError
from shared.storage.waiting import Waiter
from tests.patience import BUSY, PATIENCE

SOON = timedelta(seconds=5)


class Client:
    """Counts those that are open."""

    opened = 0

    def __init__(self) -> None:
        Client.opened += 1

    async def close(self) -> None:
        Client.opened -= 1


async def answered(_: Client) -> str:
    return "an answer"


async def hanging(_: Client) -> str:
    await asyncio.sleep(60)
    return "too late"


def waiting_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "storage-wait"}


async def test_it_begins_again_after_its_end_and_leaves_no_thread_and_no_client():
    waiter, before = Waiter(Client), waiting_threads()
    for _ in range(3):
        assert await asyncio.to_thread(waiter.ask, answered, deadline=SOON) == "an answer"
        assert (Client.opened, len(waiting_threads() - before)) == (1, 1)
        await waiter.close()
        assert (Client.opened, waiting_threads() - before) == (0, set())


async def test_its_end_leaves_nobody_waiting_and_says_nothing(caplog):
    """Else the shutdown of a process would wait for storage that hangs, and end with a trace of a task that nobody looked after."""
    waiter, before = Waiter(Client), waiting_threads()
    asked = asyncio.create_task(asyncio.to_thread(waiter.ask, hanging, deadline=timedelta(seconds=PATIENCE)))
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await waiter.close()
    with pytest.raises(StorageUnavailableError):
        await asked
    assert time.monotonic() - began < BUSY
    assert (Client.opened, waiting_threads() - before, caplog.records) == (0, set(), [])
