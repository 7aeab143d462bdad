"""A process of the service in a simulation: the real services, put together as the app does, on storage in memory."""

import asyncio
import time as clock_of_process
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from shared.domain.patience import unlimited
from shared.domain.uploads import Claim
from shared.runtime.loop_services import LoopServices
from shared.runtime.settings import AppSettings
from shared.runtime.wiring import Deployment
from shared.services.serving.model_server import Polling, Refreshable
from shared.storage.clocks import StorageTime
from shared.storage.ports import Storage
from tests.simulation.engine import MemoryStorage, Stored
from tests.simulation.faults import SimulatedNetwork
from tests.simulation.network import Call
from tests.simulation.virtual import Life, VirtualLoop, current

Answer = TypeVar("Answer")


@dataclass
class Outside:
    """What is kept outside of the deployment: the files of an owner's container, and what clients have decided and not sent yet."""

    container: dict[str, bytes] = field(default_factory=dict)
    decided: dict[str, tuple[Claim, ...]] = field(default_factory=dict)


class Process:
    """One life of a process, and what runs in it."""

    def __init__(
        self, life: Life, settings: AppSettings, stored: Stored, network: SimulatedNetwork, *, backup: Stored, outside: Outside
    ) -> None:
        self.life = life
        self.outside = outside
        self.network = network
        self.storage = OpenedStorage(stored, network=network, time=StorageTime(life, monotonic=life.monotonic))
        self.backup = OpenedStorage(backup, network=network, time=StorageTime(life, monotonic=life.monotonic))
        self.settings = settings
        self.context = copy_context()
        self.context.run(current.set, life)
        self.deployment = self.context.run(self._made)

    def _made(self) -> Deployment:
        self.polling = SimulatedPolling(self.settings.model_poll_interval, self.life.loop)
        return Deployment(self.settings, storage=self.storage, clock=self.life, polling=self.polling)

    def begin(self, work: Coroutine[Any, Any, Answer]) -> "asyncio.Task[Answer]":
        """Begin something in this process; it goes no further when the process ends."""
        context = self.context.copy()
        task = context.run(self.life.loop.create_task, work, context=context)
        self.life.tasks.add(task)
        task.add_done_callback(self.life.tasks.discard, context=context)
        return task

    @property
    def served(self) -> list[LoopServices]:
        """The loops that it has served, and serves still."""
        return list(self.deployment._present.values())

    async def look(self) -> None:
        """Look at once whether what it serves is still what is published."""
        for services in self.served:
            await asyncio.to_thread(services.models.refresh)

    def end(self) -> None:
        """Be gone: nothing that it was about to do is done."""
        self.life.ended = self.life.loop.has_seen_an_end = True


class OpenedStorage(MemoryStorage):
    """Storage as a process of a simulation has it: threads that wait ask it at one moment."""

    def __init__(self, stored: Stored, *, network: SimulatedNetwork, time: StorageTime) -> None:
        super().__init__(stored, network=network, time=time)
        self._simulated = network

    @property
    def waiter(self) -> Any:
        return AtOnce(_StorageAtOnce(self.stored, network=self._simulated, time=self.time))


class _StorageAtOnce(OpenedStorage):
    async def call(self, call: Call, apply: Callable[[], Answer]) -> Answer:
        return self._simulated.bring_at_once(call, lambda: self._counted(call, apply), self.time)


class AtOnce:
    """Asks storage as `shared.storage.waiting.Waiter` does, without a thread."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def ask(self, use: Callable[[Storage], Awaitable[Answer]], *, deadline: timedelta) -> Answer:
        steps = use(self._storage).__await__()
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # what `use` gives
        raise AssertionError("a call of storage at one moment waited for something")

    async def close(self) -> None:
        return


class SimulatedPolling(Polling):
    """Polls in the event loop, by the same rules; the first look is there when the first call comes.

    Nothing is polled for once it is calm: all look once at the end.
    """

    _task: "asyncio.Task[None] | None" = None

    def __init__(self, interval: timedelta, loop: VirtualLoop) -> None:
        super().__init__(interval)
        self._loop = loop

    def _is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    def _begin(self, refreshable: Refreshable) -> None:
        super()._begin(refreshable)
        self._look(self._watched[refreshable])

    def _started(self) -> bool:
        if not self._threads:
            self._threads.append(None)  # type: ignore[arg-type]  # it stands for a thread
            self._task = asyncio.get_running_loop().create_task(self._go_on(), context=unlimited())
        return False

    async def _go_on(self) -> None:
        while not self._stopped:
            due = min([each.due for each in self._watched.values()], default=clock_of_process.monotonic() + self._interval)
            await asyncio.sleep(max(due - clock_of_process.monotonic(), 0.001))
            if self._loop.is_calm:
                return
            if any(each.due <= clock_of_process.monotonic() for each in self._watched.values()):
                await asyncio.to_thread(self._look_at_next)
