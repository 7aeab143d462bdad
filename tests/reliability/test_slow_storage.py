"""Storage that takes its time: what was acknowledged in time is in the books, what was not is refused, and nobody waits long."""

import asyncio
import time
from collections import Counter

import pytest

from tests.reliability.skewed import DEADLINE, LEARNED_AFTER, Instance, World
from tests.storage_proxy import Call, Fault, StorageProxy, no_faults

EVENTS = 100


def is_row(call: Call) -> bool:
    return "PartitionKey" in call.path


def pace(proxy, seconds: list[float]) -> None:
    """Let storage take so many seconds for each row in turn."""
    left = list(seconds)
    proxy.plan = lambda call: Fault(passes=True, delay=left.pop(0)) if is_row(call) and left else None


@pytest.mark.slow
async def test_each_of_a_hundred_rewards_that_wait_for_slow_storage_is_refused_or_in_the_books(new_account):
    """Four paces, each on an account of its own, at once: most of what they take is waiting."""

    async def on_an_account(slow: list[float]) -> None:
        with StorageProxy(new_account()) as proxy:
            await assert_refused_or_in_the_books(proxy, slow)

    await asyncio.gather(*map(on_an_account, ([4.0, 4.0], [8.5, 4.0], [9.0, 0.0], [12.0, 3.0])))


async def assert_refused_or_in_the_books(proxy: StorageProxy, slow: list[float]) -> None:
    world = World()
    proxy.date = world.now
    one = Instance.behind(proxy, world, skew=0.0)
    await asyncio.gather(*[one.rank(f"e{number}") for number in range(EVENTS)])
    assert len(one.decided) == EVENTS
    assert await one.reward("e0", 1000.5)
    world.pass_(60 - 12)  # the last rewards that are in time
    pace(proxy, slow)
    begun = time.monotonic()
    took: list[float] = []

    async def reward(number: int) -> None:
        await asyncio.sleep(number / 20)
        called = time.monotonic()
        await one.reward(f"e{number}", number + 0.5)
        took.append(time.monotonic() - called)

    await asyncio.gather(*[reward(number) for number in range(EVENTS)])
    assert max(took) < DEADLINE.total_seconds() + 1.5
    proxy.plan = no_faults
    world.pass_(LEARNED_AFTER - (time.monotonic() - begun))
    await one.trainer.run()
    counters = (await one.learn_all()).counters
    used = Counter(each.reward for event in await one.learned() for each in event.observations)
    assert counters.learned == EVENTS
    assert len([value for value in one.rewarded if not used[value]]) <= counters.late_rewards
    assert set(used.values()) == {1}
    await one.account.close()


async def test_a_row_that_lands_late_and_was_refused_is_found_as_a_straggler_and_counted(proxy):
    world = World()
    proxy.date = world.now
    one, other = Instance.behind(proxy, world, skew=0.0), Instance.behind(proxy, world, skew=0.0)
    assert await one.rank("before")
    loop = asyncio.get_running_loop()

    def meanwhile() -> None:
        world.pass_(95)
        asyncio.run_coroutine_threadsafe(other.trainer.run(), loop).result(20)

    seen: list[Call] = []

    def once(call: Call) -> Fault | None:
        if not is_row(call) or seen:
            return None
        seen.append(call)
        return Fault(passes=True, meanwhile=meanwhile)

    proxy.plan = once
    assert not await one.rank("late")
    proxy.plan = no_faults
    counters = (await other.learn_all()).counters
    assert (counters.learned, counters.stragglers) == (2, 1)
    for each in (one, other):
        await each.account.close()
