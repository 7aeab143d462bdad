"""A loop that nobody calls costs little, however long it waits for rewards."""

from dataclasses import replace
from datetime import timedelta

from tests.processes import Process
from tests.reliability.world import GRACE, LOOP
from tests.storage_proxy import StorageProxy
from tests.stores import on_azurite, opened

LONG = replace(LOOP, reward_wait=timedelta(days=30))


@on_azurite
async def test_a_new_process_does_not_look_through_the_whole_wait_of_an_idle_loop(account, storage, clock):
    before = Process(account, clock, loop=LONG)
    await before.rank("e1")
    clock.pass_((LONG.reward_wait + GRACE).total_seconds() + 1)
    await before.train()
    clock.pass_(600)
    with StorageProxy(storage) as proxy:
        idle = Process(opened(proxy.connection_string), clock, loop=LONG)
        await idle.train()
        await idle.account.close()
    assert (await before.pointer()).watermark == clock.now() - LONG.reward_wait - GRACE
    assert (await before.pointer()).counters.learned == 1
    assert len(proxy.calls) < 40
