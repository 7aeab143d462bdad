"""What a crash test kills: a process that appends or trains as the app does.

``append`` tells each event id once it is acknowledged; ``train`` learns the second window into a store, ``train and prune`` in several
commits that remove what they make needless; ``retrain`` begins its model anew, ``retrain slowly`` in several turns; ``restore`` goes back
to its oldest version.
"""

import asyncio
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any

from shared.domain.clock import TimeLimit
from shared.runtime.pruning_store import PruningModelStore
from shared.services.training import SLICE
from tests.builders import T0, decision
from tests.clocks import SetClock, Ticks
from tests.keeping import keeper
from tests.reliability.world import FIRST, RESET, SECOND, event_log, trainer
from tests.stores import opened


async def append(tell: Callable[[str], None], connection_string: str) -> None:
    account = opened(connection_string)
    log = event_log(account, SetClock(T0))

    async def one(event_id: str) -> None:
        await log.append_decision(decision(event_id))
        tell(event_id)

    for batch in range(6):
        await asyncio.gather(*(one(f"e{batch}-{n}") for n in range(10)))
    await account.close()


async def train(_: Callable[[str], None], connection_string: str, store: str) -> None:
    account = opened(connection_string)
    await trainer(account, SECOND, store=store).run()
    await account.close()


async def train_and_prune(_: Callable[[str], None], connection_string: str, store: str) -> None:
    account = opened(connection_string)
    kept = PruningModelStore(account, loop=store, models_kept=2)
    await trainer(account, SECOND, store=store, max_events=30, kept=kept).run()
    await account.close()


async def retrain(_: Callable[[str], None], connection_string: str, store: str) -> None:
    account = opened(connection_string)
    await trainer(account, FIRST, store=store, loop=RESET).run()
    await account.close()


async def retrain_slowly(_: Callable[[str], None], connection_string: str, store: str) -> None:
    """Begin the model anew a chunk at a time, and learn the second window meanwhile."""
    account = opened(connection_string)
    process = trainer(account, SECOND, store=store, loop=RESET, max_events=30)
    for _turn in range(12):
        await process.turn(TimeLimit(1.5 * SLICE, monotonic=Ticks(SLICE.total_seconds())))
    await account.close()


async def restore(_: Callable[[str], None], connection_string: str, store: str) -> None:
    account = opened(connection_string)
    keeping = keeper(account, FIRST, store=store)
    await keeping.restore((await keeping.versions())[-1].version)
    await account.close()


COMMANDS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "append": append,
    "train": train,
    "train and prune": train_and_prune,
    "retrain": retrain,
    "retrain slowly": retrain_slowly,
    "restore": restore,
}


def run(told: Connection, command: str, *arguments: str) -> None:
    """Do one of the commands; what it tells goes through the pipe."""
    asyncio.run(COMMANDS[command](told.send, *arguments))
