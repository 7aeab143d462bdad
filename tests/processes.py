"""One process's view of a loop: several of them on one account are several processes, by one clock."""

import asyncio
from datetime import datetime, timedelta

from shared.domain.ledger import Pointer
from shared.domain.loop import LoopSettings
from shared.services.log.logs import Logs
from shared.services.log.mirroring import Mirroring
from shared.services.log.receipts import Receipts
from shared.services.log.retention import Retention, Terms
from shared.services.loops.progress import Progress, ProgressReport
from shared.services.serving.model_server import ModelServer, Polling
from shared.services.serving.uploads import Uploads
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage import names
from shared.storage.cold_log import FileColdLog
from shared.storage.event_log import RowEventLog
from shared.storage.mirror import ContainerMirror
from shared.storage.model_store import FileModelStore
from shared.storage.polling import FileModelFeed
from shared.storage.ports import Storage
from tests.builders import T0, decision, observation
from tests.clocks import SetClock
from tests.reliability.world import GRACE, LOOKBACK, LOOP, SETTLED_FOR, event_log
from tests.stores import listed

WAIT = (LOOP.reward_wait + GRACE).total_seconds()


class Configuration:
    """Settings that a test changes."""

    def __init__(self, loop: LoopSettings) -> None:
        self.loop = loop

    def read(self) -> LoopSettings:
        return self.loop


class Process:
    """One process's view of the loop: a log, a trainer and the operations on it, all by one clock."""

    def __init__(self, account: Storage, clock: SetClock, *, loop: LoopSettings = LOOP) -> None:
        self.account, self.clock = account, clock
        self.log: RowEventLog = event_log(account, clock)
        self.store = FileModelStore(account, loop=LOOP.name)
        self.joined = FileColdLog(account, loop=LOOP.name)
        self.configuration = Configuration(loop)
        limits = Limits(grace=GRACE, lookback=LOOKBACK)
        self.trainer = Trainer(self.log, self.joined, self.store, self.configuration, clock=clock, limits=limits)
        self.logs = Logs(self.log, self.joined, self.store, clock=clock, lookback=LOOKBACK, settled_for=SETTLED_FOR)
        models = ModelServer(FileModelFeed(account, loop=LOOP.name), self.configuration, defaults=loop, polling=Polling(timedelta(hours=1)))
        self.models = models
        self.report = ProgressReport(self.log, self.store, models, clock=clock, grace=GRACE, lookback=LOOKBACK)
        terms = Terms(models_kept=5, settled_for=SETTLED_FOR)
        self.retention = Retention(self.log, self.joined, self.store, self.configuration, clock=clock, terms=terms)
        self.uploads = Uploads(self.log, models, clock=clock, grace=GRACE)
        self.receipts = Receipts(self.log, self.joined, self.store, self.configuration, clock=clock, limits=limits)
        mirror = ContainerMirror(account, loop=LOOP.name)
        self.mirroring = Mirroring(self.joined, self.store, mirror, self.configuration, clock=clock)

    async def rank(self, *event_ids: str) -> None:
        await asyncio.gather(*[self.log.append_decision(decision(each, at=self.clock.now())) for each in event_ids])

    async def reward(self, *event_ids: str) -> None:
        await asyncio.gather(*[self.log.append_observation(observation(each, at=self.clock.now())) for each in event_ids])

    async def train(self) -> None:
        await self.trainer.run()

    async def progress(self) -> Progress:
        found = await self.report.read()
        assert found.ranked == found.counters.learned + sum(found.counters.skipped.values()) + found.pending
        return found

    async def pointer(self) -> Pointer:
        stored = await self.store.pointer()
        assert stored is not None
        return stored[0]

    async def logged(self) -> list[str]:
        """Read the first day of the hot log as the trainer would."""
        return await self._logged(T0)

    async def logged_today(self) -> list[str]:
        """Read the last hour in the same way."""
        return await self._logged(self.clock.now() - timedelta(hours=1))

    async def _logged(self, since: datetime) -> list[str]:
        heads = [head async for minute in self.log.decision_heads(since, since + timedelta(days=1)) for head in minute]
        return [event.event_id for segment in await self.log.decisions(heads) for event in segment.events or ()]

    async def joined_lines(self) -> int:
        return sum([(await self.joined.chunk(name)).count(b"\n") for name in await self.joined.chain()])

    async def tables(self) -> set[str]:
        return set(await self.account.rows.tables())

    async def blobs(self) -> set[str]:
        return await listed(self.account, names.LOGS)
