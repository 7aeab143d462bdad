"""A process that is killed (−9) at one of its storage calls."""

import asyncio
import multiprocessing
import os
import signal
from contextlib import suppress
from multiprocessing.connection import Connection

import pytest

from tests.reliability import child
from tests.storage_proxy import Call, Fault, StorageProxy, no_faults

WHEN = pytest.mark.parametrize("done_first", [False, True], ids=["before", "after"])

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([child.__name__])
"""A process of its own for each run, without the second that importing takes."""


class Child:
    """A process of `tests.reliability.child` that the proxy kills before or after its call of this number; 0: never."""

    def __init__(self, proxy: StorageProxy, number: int, *, done_first: bool) -> None:
        self._proxy, self._number, self._done_first = proxy, number, done_first
        proxy.forget()
        proxy.plan = self._kill_before
        proxy.after = self._kill_after
        self.pid = 0

    def _kill_before(self, call: Call) -> Fault | None:
        if call.number != self._number or self._done_first:
            return None
        os.kill(self.pid, signal.SIGKILL)
        return Fault()

    def _kill_after(self, call: Call) -> None:
        if call.number == self._number and self._done_first:
            os.kill(self.pid, signal.SIGKILL)

    async def run(self, command: str, *arguments: str) -> tuple[int, list[str]]:
        """Run it to its end; gives its exit code and what it told."""
        told, telling = _processes.Pipe(duplex=False)
        process = _processes.Process(target=child.run, args=(telling, command, *arguments))
        await asyncio.to_thread(process.start)
        assert process.pid
        self.pid = process.pid
        telling.close()
        async with asyncio.timeout(60):
            heard = await asyncio.to_thread(_all_of, told)
            await asyncio.to_thread(process.join)
        self._proxy.plan, self._proxy.after = no_faults, lambda call: None
        assert process.exitcode is not None
        return process.exitcode, heard


def _all_of(told: Connection) -> list[str]:
    heard: list[str] = []
    with told, suppress(EOFError):
        while True:
            heard.append(told.recv())
    return heard
