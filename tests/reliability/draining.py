"""A process that trains several loops over the queue, by a clock that is set: its timer, and its function behind the queue."""

import base64
from datetime import timedelta
from typing import Final

from shared.domain.clock import TimeLimit
from shared.domain.loop import DEFAULT_LOOP, Tier
from shared.runtime.each_loop import RUN_TIME
from shared.runtime.fanout import Requests, train_several
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage import names
from shared.storage.ports import Message, QueueStore, Storage
from tests.builders import after, situation
from tests.clocks import SetClock, Ticks
from tests.stores import settings_of

SETTINGS: Final = {
    "PERSONALIZER_KEYS": "first",
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
}
FAR_LATER: Final = after(600)


class DrainingProcess:
    """One process of the app: its timer, its function behind the queue, and a client's calls."""

    def __init__(self, place: str, clock: SetClock, *, storage: Storage | None = None, wait: str = "PT1S") -> None:
        self.clock = clock
        settings = read_settings({**settings_of(place), **SETTINGS, "PERSONALIZER_REWARD_WAIT_TIME": wait})
        self.deployment = Deployment(settings, storage=storage, clock=clock)
        self.requests = Requests()

    async def make(self, *loops: str) -> None:
        for name in loops:
            kept = await self.deployment.loops.put(name, Tier.S0, {})
            await self.deployment.note(kept.record)

    async def rank(self, loop: str, *events: str) -> None:
        services = await self.deployment.find(loop)
        assert services is not None
        for event in events:
            await services.ranker.rank(situation(), event_id=event, deferred=False)
            await services.rewarder.reward(event, 1.0)
            self.clock.pass_(0.001)  # what is sealed at the same time stays in one window

    async def with_events(self, *loops: str, events: int = 3) -> None:
        """Make loops with events that are due."""
        await self.make(*loops)
        for name in loops:
            await self.rank(name, *[f"e{number}" for number in range(events)])
        self.clock.pass_(30)

    async def tick(self, *, seconds_a_look: float = 0) -> None:
        """Run the timer once, by a clock that goes on so far whenever it is looked at."""
        limit = TimeLimit(RUN_TIME, monotonic=Ticks(seconds_a_look))
        await train_several(self.deployment, await self.deployment.names(), limit)

    def in_small_windows(self, loop: str, events: int = 2) -> None:
        """Have the trainer of a loop take so many events at a time."""
        services = self.deployment._present[loop]
        limits = Limits(grace=services.settings.grace, lookback=services.settings.lookback, max_events=events)
        small = Trainer(services.log, services.joined, services.store, services.configuration, clock=self.clock, limits=limits)
        services.__dict__["trainer"] = small

    async def work(self, most: int = 100) -> int:
        """Take messages and do what they say, as the host does, until there are none; gives how many there were."""
        for number in range(most):
            found = await self.queue.receive(most=1, hidden_for=timedelta(seconds=600))
            if not found:
                return number
            await self.requests.handle(self.deployment, base64.b64decode(found[0].text))
            await self.queue.delete(found[0])
        return most

    async def settle(self) -> None:
        """Let some time pass, so that a last window that is small is due as well, and do all there is to do."""
        for _ in range(2):
            self.clock.pass_(30)
            await self.tick()
            await self.work()

    @property
    def queue(self) -> QueueStore:
        return self.deployment.host_storage.queue(names.TRAINING)

    async def taken(self) -> list[Message]:
        """Take all messages out of the queue, and do nothing with them."""
        found = list(await self.queue.receive(most=32, hidden_for=timedelta(seconds=600)))
        for message in found:
            await self.queue.delete(message)
        return found

    async def learned(self, *loops: str) -> list[int]:
        """Give how much each loop has learned; its books have to balance: the status, the joined log and the live figures."""
        counts = []
        for name in loops:
            services = await self.deployment.find(name)
            assert services is not None
            progress = await services.progress.read()
            assert progress.ranked == progress.counters.processed + progress.pending
            lines = sum([(await services.joined.chunk(chunk)).count(b"\n") for chunk in await services.joined.chain()])
            assert lines == progress.counters.learned
            counts.append(progress.counters.learned)
        return counts


ALL: Final = (DEFAULT_LOOP, "large", "one", "two")
