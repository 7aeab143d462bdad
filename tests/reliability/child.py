"""What a crash test kills: a process that appends or trains as the app does.

``python -m tests.reliability.child append CONNECTION`` writes each event id once it is acknowledged;
``python -m tests.reliability.child train CONNECTION STORE`` learns the second window;
``... retrain CONNECTION STORE`` begins the model anew; ``... restore CONNECTION STORE`` goes back to its oldest version.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from tests.builders import T0, decision
from tests.clocks import SetClock
from tests.keeping import keeper
from tests.reliability.world import FIRST, RESET, SECOND, event_log, open_account, trainer


async def append(connection_string: str) -> None:
    account = open_account(connection_string)
    log = event_log(account, SetClock(T0))

    async def one(event_id: str) -> None:
        await log.append_decision(decision(event_id))
        os.write(1, f"{event_id}\n".encode())

    for batch in range(6):
        await asyncio.gather(*(one(f"e{batch}-{n}") for n in range(10)))
    await account.close()


async def train(connection_string: str, store: str) -> None:
    account = open_account(connection_string)
    await trainer(account, SECOND, store=store).run()
    await account.close()


async def retrain(connection_string: str, store: str) -> None:
    account = open_account(connection_string)
    await trainer(account, FIRST, store=store, loop=RESET).run()
    await account.close()


async def restore(connection_string: str, store: str) -> None:
    account = open_account(connection_string)
    keeping = keeper(account, FIRST, store=store)
    await keeping.restore((await keeping.versions())[-1].version)
    await account.close()


COMMANDS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"append": append, "train": train, "retrain": retrain, "restore": restore}

if __name__ == "__main__":
    asyncio.run(COMMANDS[sys.argv[1]](*sys.argv[2:]))
