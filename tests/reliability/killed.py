"""A process that is killed (−9) at one of its storage calls, on either engine."""

import asyncio
import multiprocessing
import os
import signal
from contextlib import suppress
from multiprocessing.connection import Connection

import pytest

from tests.reliability import child
from tests.reliability.mortal import Death
from tests.storage_proxy import Call, Fault, StorageProxy, no_faults

WHEN = pytest.mark.parametrize("done_first", [False, True], ids=["before", "after"])

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([child.__name__, "shared.storage.azure.storage"])
"""A process of its own for each run, without the second that importing takes: Azure's packages, imported late, take most of it."""


class Child:
    """A process of `tests.reliability.child` that is killed before or after its call of this number; 0: never.

    ``way`` is how it comes to its storage: through a proxy, which kills it, or a folder, where it does that itself, since nothing is
    between it and its storage.
    """

    def __init__(self, way: StorageProxy | str, number: int, *, done_first: bool) -> None:
        self._way, self._number, self._done_first = way, number, done_first
        self.pid = self.calls = 0
        if isinstance(way, StorageProxy):
            way.forget()
            way.plan = self._kill_before
            way.after = self._kill_after

    def _kill_before(self, call: Call) -> Fault | None:
        if call.number != self._number or self._done_first:
            return None
        os.kill(self.pid, signal.SIGKILL)
        return Fault()

    def _kill_after(self, call: Call) -> None:
        if call.number == self._number and self._done_first:
            os.kill(self.pid, signal.SIGKILL)

    async def run(self, command: str, *arguments: str) -> tuple[int, list[str]]:
        """Run it to its end; gives its exit code and what it told. ``calls`` is then how often it called storage, if it was not killed."""
        way = self._way
        place = way.connection_string if isinstance(way, StorageProxy) else way
        death = None if isinstance(way, StorageProxy) else Death(self._number, self._done_first)
        told, telling = _processes.Pipe(duplex=False)
        process = _processes.Process(target=child.run, args=(telling, place, death, command, *arguments))
        await asyncio.to_thread(process.start)
        assert process.pid
        self.pid = process.pid
        telling.close()
        async with asyncio.timeout(60):
            heard = await asyncio.to_thread(_all_of, told)
            await asyncio.to_thread(process.join)
        if isinstance(way, StorageProxy):
            way.plan, way.after = no_faults, lambda call: None
            self.calls = len(way.calls)
        else:
            self.calls = next((each for each in heard if isinstance(each, int)), 0)
        assert process.exitcode is not None
        return process.exitcode, [each for each in heard if isinstance(each, str)]


def _all_of(told: Connection) -> list[str | int]:
    heard: list[str | int] = []
    with told, suppress(EOFError):
        while True:
            heard.append(told.recv())
    return heard
