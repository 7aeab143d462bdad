"""Instances whose clocks are wrong, on one storage whose clock is right, in a world where minutes pass at a word."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from shared.domain.errors import PersonalizerError
from shared.domain.events import JoinedEvent
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopSettings, RewardAggregation
from shared.joining.reading import read_line
from shared.services.log.logs import Logs
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage.azure.storage import AzureStorage
from shared.storage.clocks import EarlierClock, LogClock, StorageTime
from shared.storage.cold_log import FileColdLog
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.embedded.times import FolderTime, Machine
from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage
from shared.storage.settings import AccountSettings, FolderSettings
from tests.builders import T0, decision, observation
from tests.memory_proxy import MemoryProxy
from tests.processes import Configuration
from tests.storage_proxy import StorageProxy
from tests.stores import SHORT_PAUSES

LOOP = LoopSettings(
    reward_wait=timedelta(seconds=60), model_export_frequency=timedelta(seconds=1), reward_aggregation=RewardAggregation.SUM
)
GRACE, DEADLINE = timedelta(seconds=30), timedelta(seconds=10)
LIMITS = Limits(grace=GRACE, lookback=GRACE + DEADLINE)
LEARNED_AFTER = (LOOP.reward_wait + GRACE).total_seconds() + 5


class World:
    """The time as it is: real, and whatever a test lets pass."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._passed = 0.0

    def monotonic(self) -> float:
        return time.monotonic() - self._begun + self._passed

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.monotonic())

    def pass_(self, seconds: float) -> None:
        self._passed += seconds


class WrongClock:
    """A clock that is ahead by ``skew``; ``at_call`` is run when it is asked for the so-manieth time, as anywhere in the code."""

    def __init__(self, world: World, skew: float) -> None:
        self.world, self.skew = world, skew
        self.calls = 0
        self.at_call: tuple[int, Callable[[], None]] | None = None

    def now(self) -> datetime:
        self.calls += 1
        if self.at_call is not None and self.calls >= self.at_call[0]:
            run, self.at_call = self.at_call[1], None
            run()
        return self.world.now() + timedelta(seconds=self.skew)


class Instance:
    """One instance: it ranks, rewards, trains and deletes, and tells what it acknowledged."""

    def __init__(self, account: Storage, world: World, clock: WrongClock) -> None:
        self.account, self.world, self.clock = account, world, clock
        settings = LogSettings(loop=LOOP.name, shards=1, append_deadline=DEADLINE, grace=GRACE)
        self.log = RowEventLog(self.account, settings=settings, clock=self.clock, settled=LIMITS.lookback)
        self.log_clock = LogClock(self.clock, self.account.time)
        self.store = FileModelStore(self.account, loop=LOOP.name)
        self.joined = FileColdLog(self.account, loop=LOOP.name)
        self.trainer = Trainer(
            self.log, self.joined, self.store, Configuration(LOOP), clock=EarlierClock(self.clock, self.account.time), limits=LIMITS
        )
        self.logs = Logs(
            self.log, self.joined, self.store, clock=self.log_clock, lookback=LIMITS.lookback, settled_for=timedelta(minutes=30)
        )
        self.decided: list[str] = []
        self.rewarded: list[float] = []

    @staticmethod
    def behind(proxy: StorageProxy | MemoryProxy, world: World, *, skew: float) -> "Instance":
        """Give one of several machines, each with a clock of its own, on storage that has a clock as well."""
        clock = WrongClock(world, skew)
        time_ = StorageTime(clock, monotonic=world.monotonic)
        if isinstance(proxy, MemoryProxy):
            return Instance(proxy.open(time=time_), world, clock)
        account = AzureStorage(AccountSettings(connection_string=proxy.connection_string), retries=SHORT_PAUSES, time=time_)
        return Instance(account, world, clock)

    @staticmethod
    def on_a_store(folder: Path, world: World, clock: WrongClock) -> "Instance":
        """Give one process of the machine that a store is on: all of them have one clock."""
        machine = Machine(clock, world.monotonic, lambda: bytes(16))
        return Instance(EmbeddedStorage(FolderSettings(folder, make=True), time=FolderTime(folder, clock, machine=machine)), world, clock)

    async def rank(self, event_id: str) -> bool:
        try:
            await self.log.append_decision(decision(event_id, at=self.log_clock.now()))
        except PersonalizerError:
            return False
        self.decided.append(event_id)
        return True

    async def reward(self, event_id: str, value: float) -> bool:
        try:
            await self.log.append_observation(observation(event_id, value, at=self.log_clock.now()))
        except PersonalizerError:
            return False
        self.rewarded.append(value)
        return True

    async def learn_all(self) -> Pointer:
        """Train until nothing that anyone sealed is left, however far ahead."""
        for seconds in (LEARNED_AFTER, 12 * 60, LEARNED_AFTER, LEARNED_AFTER):
            self.world.pass_(seconds)
            await self.trainer.run()
        stored = await self.store.pointer()
        assert stored is not None
        return stored[0]

    async def learned(self) -> list[JoinedEvent]:
        text = b"".join([await self.joined.chunk(name) for name in await self.joined.chain()])
        return [read_line(line) for line in text.splitlines()]
