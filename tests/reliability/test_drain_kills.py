"""Several processes work off the backlogs of several loops, and are killed in turn: each event is in its loop's books, once."""

import asyncio
import os
import signal

import pytest

from benchmarks.books import read_books
from benchmarks.filling import Past, fill_loops, loop_names
from benchmarks.fleet import WAITS, training

pytestmark = pytest.mark.slow

LOOPS, EVENTS, KILLS = 4, 400, 6
SETTINGS = {**WAITS, "PERSONALIZER_TRAINER_SCHEDULE": "* * * * * *"}


async def test_whoever_is_killed_in_a_drain_each_loop_has_learned_each_event_once(tmp_path):
    store = tmp_path / "store"
    names = loop_names(LOOPS)
    await fill_loops(store, dict.fromkeys(names, Past(EVENTS, rate=EVENTS / 600, per_row=4, kinds=50)))
    with training({**SETTINGS, "PERSONALIZER_STORE": str(store)}, processes=3) as hosts:
        for number in range(KILLS):
            victim = hosts.names[number % len(hosts.names)]
            while victim not in hosts.pids:
                hosts.look(kill_if_silent=False)
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1 * (number % 3))
            os.kill(hosts.pids[victim], signal.SIGKILL)
            hosts.look(kill_if_silent=False)
    for name in names:
        books = await read_books(store, settings=SETTINGS, loop=name)
        assert len(books.times) == EVENTS
        assert set(books.times.values()) == {1}
        assert (books.counters.learned, books.counters.rewards) == (EVENTS, EVENTS)
