"""A loop that nobody calls costs little, however long it waits for rewards."""

from dataclasses import replace
from datetime import timedelta

from tests.processes import Process
from tests.reliability.mortal import NEVER, MortalStorage
from tests.reliability.world import GRACE, LOOP

LONG = replace(LOOP, reward_wait=timedelta(days=30))


async def test_a_new_process_does_not_look_through_the_whole_wait_of_an_idle_loop(account, storage, clock):
    before = Process(account, clock, loop=LONG)
    await before.rank("e1")
    clock.pass_((LONG.reward_wait + GRACE).total_seconds() + 1)
    await before.train()
    clock.pass_(600)
    counted = MortalStorage(storage, NEVER)
    await Process(counted, clock, loop=LONG).train()
    await counted.close()
    assert (await before.pointer()).watermark == clock.now() - LONG.reward_wait - GRACE
    assert (await before.pointer()).counters.learned == 1
    assert 0 < counted.calls < 40
