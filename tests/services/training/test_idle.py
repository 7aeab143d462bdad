"""A loop that nobody calls costs little, however long it waits for rewards."""

from dataclasses import replace
from datetime import timedelta

from tests.memory_proxy import MemoryProxy
from tests.processes import Process
from tests.reliability.world import GRACE, LOOP
from tests.stores import in_memory

LONG = replace(LOOP, reward_wait=timedelta(days=30))


async def test_a_new_process_does_not_look_through_the_whole_wait_of_an_idle_loop(account, storage, clock):
    before = Process(account, clock, loop=LONG)
    await before.rank("e1")
    clock.pass_((LONG.reward_wait + GRACE).total_seconds() + 1)
    await before.train()
    clock.pass_(600)
    counted = MemoryProxy(in_memory(storage))
    await Process(counted.open(), clock, loop=LONG).train()
    assert (await before.pointer()).watermark == clock.now() - LONG.reward_wait - GRACE
    assert (await before.pointer()).counters.learned == 1
    assert 0 < len(counted.calls) < 40
