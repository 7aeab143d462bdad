"""What a store holds of events, once all of them are learned: asked of a copy, whose clock is an hour ahead, so that no wait is left."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from shared.domain.clock import SystemClock, TimeLimit
from shared.domain.ledger import Counters
from shared.domain.loop import DEFAULT_LOOP
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.services.training.trainer import RUN_TIME, Trainer
from shared.storage.cold_log import FileColdLog
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.lease import LEASE_SECONDS
from shared.storage.settings import FolderSettings

_LATER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Books:
    """How often each event is in the joined log, what reward it got there (None: the default one), and the counters.

    ``learned_before`` is how many were learned when the store was opened.
    """

    times: Mapping[str, int]
    rewards: Mapping[str, float | None]
    counters: Counters
    learned_before: int


class _Later:
    def now(self) -> datetime:
        return SystemClock().now() + _LATER


async def _learn_all(trainer: Trainer) -> None:
    """Learn what is left; a process that was killed keeps the loop's lease for some seconds more."""
    until = time.monotonic() + 2 * LEASE_SECONDS
    while True:
        turn = await trainer.turn(TimeLimit(RUN_TIME))
        if turn.is_elsewhere and time.monotonic() < until:
            await asyncio.sleep(0.2)
        elif not turn.commits:
            return


async def read_books(store: Path, *, settings: Mapping[str, str], loop: str = DEFAULT_LOOP) -> Books:
    """Have a trainer learn what is left, and read the joined log; the store is not to be used for anything else after that."""
    clock = _Later()
    storage = EmbeddedStorage(FolderSettings(store), clock=clock)
    deployment = Deployment(read_settings({"PERSONALIZER_STORE": str(store), **settings}), storage=storage, clock=clock)
    try:
        services = deployment.services_of(await deployment.record(loop))
        stored = await services.store.pointer()
        before = stored[0].counters.learned if stored else 0
        await _learn_all(services.trainer)
        times: Counter[str] = Counter()
        rewards: dict[str, float | None] = {}
        joined = FileColdLog(storage, loop=services.place)
        for name in await joined.chain():
            for line in (await joined.chunk(name)).splitlines():
                event = orjson.loads(line)
                if event.get("SkipReason") == "duplicate":
                    continue
                times[event["EventId"]] += 1
                rewards[event["EventId"]] = -event["_label_cost"] if any("v" in each for each in event["o"]) else None
        stored = await services.store.pointer()
        return Books(times, rewards, stored[0].counters if stored else Counters(), before)
    finally:
        await deployment.close()
