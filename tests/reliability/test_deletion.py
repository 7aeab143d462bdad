"""The log's deletion stopped at each of its storage calls: it is done or it is not, and retention clears up what it left."""

import asyncio

import pytest

from shared.domain.errors import PersonalizerError
from shared.storage.ports import Storage
from tests.builders import T0
from tests.clocks import SetClock
from tests.processes import WAIT, Process
from tests.reliability.chosen import NEVER, stops
from tests.reliability.world import LOOP, SETTLED_FOR
from tests.storage_proxy import Call, Fault, StorageProxy, no_faults
from tests.stores import in_memory_first, listed
from tests.sweeps import STRIDES

pytestmark = [pytest.mark.slow, pytest.mark.long]


async def write(process: Process) -> None:
    """Leave a chunk, a decision that waits with its reward, and tables of two days."""
    await process.rank("learned")
    process.clock.pass_(86_400)
    await process.rank("learned too")
    process.clock.pass_(WAIT + 1)
    await process.train()
    await process.rank("waiting")
    await process.reward("waiting")
    process.clock.pass_(1)


def stop_at(proxy: StorageProxy, number: int, *, done_first: bool) -> None:
    """Let storage do nothing from this call on, or nothing after it: to the process it is as if it had been killed there."""

    def plan(call: Call) -> Fault | None:
        return Fault(412, done_first=done_first and call.number == number) if call.number >= number else None

    proxy.forget()
    proxy.plan = plan


async def clear(account: Storage) -> None:
    """Empty the account; tables that were dropped may be made again at once in the emulator."""
    for table in await account.rows.tables():
        await account.rows.drop(table)
    for area in await account.areas():
        for name in await listed(account, area):
            await account.files(area).delete(name)


@in_memory_first
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK drops the connection of an answer it refuses
@pytest.mark.parametrize("done_first", [False, True], ids=["before", "after"])
@STRIDES
async def test_a_deletion_stopped_at_any_call_is_done_or_not_and_nothing_is_in_between(proxy, account, faulty, engine, done_first, stride):
    """Before each other call, and after it: to storage, stopped before a call is stopped after the call before."""
    assert await _is_deleted(proxy, account, faulty, NEVER, done_first=done_first)
    calls = list(proxy.calls)
    assert len(calls) > 8
    places = stops(calls, engine=engine, stride=stride)
    if engine == "azurite":  # the calls before and those after which it stops take turns there
        places = places[done_first::2]
    assert not all([await _is_deleted(proxy, account, faulty, number, done_first=done_first) for number in places])


async def _is_deleted(proxy, account: Storage, faulty: Storage, number: int, *, done_first: bool) -> bool:
    await clear(account)
    clock = SetClock(T0)
    one, other = Process(faulty, clock), Process(account, clock)
    await write(other)
    before = await other.progress()
    stop_at(proxy, number, done_first=done_first)
    result = (await asyncio.gather(one.logs.delete(), return_exceptions=True))[0]
    is_stopped = len(proxy.calls) >= number
    proxy.plan = no_faults
    assert is_stopped == (number != NEVER)
    assert result is None or isinstance(result, PersonalizerError)
    is_deleted = (await other.pointer()).log.generation == 2
    assert is_deleted or result is not None
    await check(other, before.ranked, is_deleted=is_deleted)
    one.models.stop()
    other.models.stop()
    return is_deleted


async def check(process: Process, ranked: int, *, is_deleted: bool) -> None:
    found = await process.progress()
    assert (found.ranked, found.pending) == (ranked, 0 if is_deleted else 1)
    assert found.counters.skipped == ({"logDeleted": 1} if is_deleted else {})
    assert await process.joined_lines() == (0 if is_deleted else 2)
    process.clock.pass_(SETTLED_FOR.total_seconds() + 1)
    await process.retention.run()
    old = [name for name in await process.tables() if name.startswith(f"{LOOP.name}x0001")]
    assert bool(old) is not is_deleted
    assert bool(await process.blobs()) is not is_deleted
    await process.rank("new")
    process.clock.pass_(WAIT + 1)
    await process.train()
    assert (await process.progress()).counters.learned == (3 if is_deleted else 4)


@in_memory_first
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as above
@STRIDES
async def test_clearing_up_that_is_stopped_at_any_call_is_finished_by_the_next_run(proxy, account, faulty, engine, stride):
    assert await _is_cleared_at_once(proxy, account, faulty, NEVER)
    calls = list(proxy.calls)
    assert len(calls) > 12
    for number in stops(calls, engine=engine, stride=stride):
        assert not await _is_cleared_at_once(proxy, account, faulty, number)


async def _is_cleared_at_once(proxy, account: Storage, faulty: Storage, number: int) -> bool:
    await clear(account)
    clock = SetClock(T0)
    one, other, late = Process(faulty, clock), Process(account, clock), Process(account, clock)
    await write(late)
    await other.logs.delete()
    await late.rank("meanwhile")
    await late.reward("meanwhile")
    clock.pass_(SETTLED_FOR.total_seconds() + 1)
    stop_at(proxy, number, done_first=False)
    result = (await asyncio.gather(one.retention.run(), return_exceptions=True))[0]
    proxy.plan = no_faults
    assert await other.logged_today() == ["meanwhile"]
    await other.retention.run()
    assert await other.logged_today() == ["meanwhile"]
    assert not [name for name in await other.tables() if name.startswith(f"{LOOP.name}x0001")]
    await other.train()
    found = (await other.progress()).counters
    assert (found.learned, found.rewards, found.unknown_rewards) == (3, 2, 0)
    for each in (one, other, late):
        each.models.stop()
    return result is None
