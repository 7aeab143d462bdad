"""What a crash test kills: a process that appends or trains as the app does.

``append`` tells each event id once it is acknowledged; ``train`` learns the second window into a store, ``train and prune`` in several
commits that remove what they make needless; ``retrain`` begins its model anew, ``retrain slowly`` in several turns; ``restore`` goes back
to its oldest version; ``drain`` trains several loops over the queue; ``schedule`` makes a schedule of evaluations and changes it, as a
client's two calls do, and ``run schedules`` asks for what is due a week later.
"""

import asyncio
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any

from shared.domain.clock import TimeLimit
from shared.runtime.pruning_store import PruningModelStore
from shared.services.training.trainer import SLICE
from shared.storage.ports import Storage
from tests.builders import T0, decision
from tests.clocks import SetClock, Ticks
from tests.keeping import keeper
from tests.reliability.draining import FAR_LATER, DrainingProcess
from tests.reliability.mortal import Death, MortalStorage
from tests.reliability.scheduled import CHANGED, PLAN, WEEK, loop_at
from tests.reliability.world import FIRST, RESET, SECOND, event_log, trainer
from tests.stores import opened


async def append(tell: Callable[[str], None], account: Storage) -> None:
    log = event_log(account, SetClock(T0))

    async def one(event_id: str) -> None:
        await log.append_decision(decision(event_id))
        tell(event_id)

    for batch in range(6):
        await asyncio.gather(*(one(f"e{batch}-{n}") for n in range(10)))


async def train(_: Callable[[str], None], account: Storage, store: str) -> None:
    await trainer(account, SECOND, store=store).run()


async def train_and_prune(_: Callable[[str], None], account: Storage, store: str) -> None:
    kept = PruningModelStore(account, loop=store, models_kept=2)
    await trainer(account, SECOND, store=store, max_events=30, kept=kept).run()


async def retrain(_: Callable[[str], None], account: Storage, store: str) -> None:
    await trainer(account, FIRST, store=store, loop=RESET).run()


async def retrain_slowly(_: Callable[[str], None], account: Storage, store: str) -> None:
    """Begin the model anew a chunk at a time, and learn the second window meanwhile."""
    process = trainer(account, SECOND, store=store, loop=RESET, max_events=30)
    for _turn in range(12):
        await process.turn(TimeLimit(1.5 * SLICE, monotonic=Ticks(SLICE.total_seconds())))


async def restore(_: Callable[[str], None], account: Storage, store: str) -> None:
    keeping = keeper(account, FIRST, store=store)
    await keeping.restore((await keeping.versions())[-1].version)


async def drain(_: Callable[[str], None], account: Storage, place: str) -> None:
    """Train what is due in several loops, as the timer and the function behind the queue do."""
    process = DrainingProcess(place, SetClock(FAR_LATER), storage=account)
    for _minute in range(2):
        await process.tick()
        await process.work()
        process.clock.pass_(60)


async def schedule(tell: Callable[[str], None], account: Storage, place: str, schedule_id: str) -> None:
    services = loop_at(place, SetClock(T0), storage=account)
    for plan in (PLAN, CHANGED):
        await services.schedules.put(schedule_id, plan)
        tell(plan.name)


async def run_schedules(_: Callable[[str], None], account: Storage, place: str) -> None:
    await loop_at(place, SetClock(T0 + WEEK), storage=account).schedules.run()


COMMANDS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "append": append,
    "train": train,
    "train and prune": train_and_prune,
    "retrain": retrain,
    "retrain slowly": retrain_slowly,
    "restore": restore,
    "drain": drain,
    "schedule": schedule,
    "run schedules": run_schedules,
}


def run(told: Connection, place: str, death: Death | None, command: str, *arguments: str) -> None:
    """Do one of the commands; what it tells goes through the pipe, and in the end how often it called a store that it may die of."""

    async def done() -> None:
        account = opened(place) if death is None else MortalStorage(place, death)
        await COMMANDS[command](told.send, account, *arguments)
        await account.close()
        if isinstance(account, MortalStorage):
            told.send(account.calls)

    asyncio.run(done())
