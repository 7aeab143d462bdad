"""A network before storage in memory that refuses, delays or tears calls: what `tests.storage_proxy` is before the emulator.

Tests that say what becomes of the service when a call fails have the same plans here and there, and here they take
less time. What the SDK makes of an answer on the wire is for the emulator.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from shared.domain.errors import ConflictError, StorageUnavailableError
from shared.storage.clocks import StorageTime
from shared.storage.failures import in_time
from tests import storage_proxy
from tests.simulation.engine import MemoryStorage, Stored
from tests.simulation.network import Call, date_of
from tests.storage_proxy import Fault, Plan, no_faults

Answer = TypeVar("Answer")

_METHODS: Final = {"put": "PUT", "write": "PUT", "acquire": "PUT", "renew": "PUT", "release": "PUT", "delete": "DELETE", "drop": "DELETE"}
_POSTED: Final = {"create", "send"}
_TABLES: Final = {"create", "drop", "tables"}
_REPEATED: Final = {0, 408, 429, 500, 502, 503, 504}
"""Statuses after which a client tries again; 0 is a connection that broke."""
_TRIES: Final = 4
_PAUSE: Final = 0.01
_NOT_MET: Final = 412


class MemoryProxy:
    """The network of those that `open` gives; ``plan`` may be changed at any time."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self.plan: Plan = no_faults
        self.date: Callable[[], datetime] = stored.now
        self.calls: list[storage_proxy.Call] = []

    def open(self, *, time: StorageTime | None = None) -> MemoryStorage:
        """Open the storage by way of this network; ``time`` is what the opening knows of storage's clock, which shows ``date``."""
        return MemoryStorage(self._stored, network=self, time=time)

    def forget(self) -> None:
        """Start counting anew."""
        self.calls.clear()

    async def bring(self, call: Call, apply: Callable[[], Answer], time: StorageTime) -> Answer:
        """Bring a call as `tests.simulation.network.Network` has it, and again after a fault that passes."""
        async with in_time(f"{call.verb} {call.place} {call.name}"):
            for _ in range(_TRIES):
                await asyncio.sleep(0)
                sent = time.leaving()
                self.calls.append(storage_proxy.Call(len(self.calls) + 1, _method(call), _path(call)))
                fault = self.plan(self.calls[-1])
                if fault is None:
                    return self._answered(apply, time, sent)
                if fault.passes:
                    await asyncio.to_thread(fault.meanwhile)
                    await asyncio.sleep(fault.delay)
                    return self._answered(apply, time, sent)
                if await self._failed(fault, apply):
                    raise _refusal(fault.status, call)
                await asyncio.sleep(_PAUSE)
            raise StorageUnavailableError(f"storage does not answer: {call.verb} {call.place}")

    def _answered(self, apply: Callable[[], Answer], time: StorageTime, sent: tuple[float, float]) -> Answer:
        try:
            return apply()
        finally:
            time.note(date_of(self.date()), sent=sent)

    async def _failed(self, fault: Fault, apply: Callable[[], object]) -> bool:
        """Fail a call, which storage may have done; tells whether that is final."""
        if fault.done_first:
            with contextlib.suppress(Exception):  # an answer that nobody gets
                apply()
        await asyncio.to_thread(fault.meanwhile)
        await asyncio.sleep(fault.delay)
        return fault.status not in _REPEATED


def _refusal(status: int, call: Call) -> Exception:
    if status == _NOT_MET and call.verb == "write":
        return ConflictError(f"{call.name} was written by another")
    return StorageUnavailableError(f"storage refused with status {status}: {call.verb} {call.place}")


def _method(call: Call) -> str:
    return "POST" if call.verb in _POSTED else _METHODS.get(call.verb, "GET")


def _path(call: Call) -> str:
    if call.verb in _TABLES:
        return f"/memory/Tables('{call.place}')" if call.verb == "drop" else "/memory/Tables"
    if call.verb in {"put", "rows"}:
        return f"/memory/{call.place}(PartitionKey='',RowKey='{call.name}')" if call.verb == "put" else f"/memory/{call.place}()"
    if call.verb in {"list", "folders"}:
        return f"/memory/{call.place}"
    return f"/memory/{call.place}/{call.name}"
