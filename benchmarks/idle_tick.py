"""``python -m benchmarks.idle_tick STORE [TIMES]``: the seconds that the trainer's timer takes on a store where nothing is to be done.

The app runs in this process, as in a host of timers that is there for that; each run's seconds are printed as JSON. The first one opens
the store.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local.backend import TimerCall, TimerTrigger
from local.invoke import DirectBackend
from local.settings import REPOSITORY

TIMES = 7


async def seconds_of_ticks(times: int) -> list[float]:
    """Run the timer function ``train`` so often, and measure each."""
    backend = DirectBackend()
    functions = await backend.load(REPOSITORY)
    train = next(each for each in functions if isinstance(each, TimerTrigger) and each.name == "train")
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        await backend.call_timer(train, TimerCall())
        taken.append(time.perf_counter() - begin)
    await backend.close()
    return taken


def main(arguments: Sequence[str]) -> None:
    """Measure on the store that is named."""
    store, *rest = arguments
    os.environ["PERSONALIZER_STORE"] = str(Path(store).absolute())
    print(json.dumps(asyncio.run(seconds_of_ticks(int(rest[0]) if rest else TIMES))), flush=True)
    os._exit(0)  # threads that poll are not waited for


if __name__ == "__main__":
    main(sys.argv[1:])
