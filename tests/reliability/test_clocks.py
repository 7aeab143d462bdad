"""Clocks that are five minutes wrong and processes that stand still for twelve: what was acknowledged is learned, or counted."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from shared.domain.errors import ClocksDifferError
from tests.reliability.skewed import Instance, World
from tests.storage_proxy import Call, Fault, no_faults
from tests.stores import in_memory_first, memory_and_once_azurite

pytestmark = pytest.mark.long

SKEWS = [-300.0, -3.0, 0.0, 3.0, 300.0]
FROZEN = 720.0
Make = Callable[[float], Instance]


@pytest.fixture
def engine() -> str:
    """Storage's clock is told in memory as on the wire; what goes by the wire's own ways has both."""
    return "memory"


@pytest.fixture
def world(proxy) -> World:
    world = World()
    proxy.date = world.now
    return world


@pytest.fixture
async def instance(proxy, world) -> AsyncIterator[Make]:
    made: list[Instance] = []

    def make(skew: float) -> Instance:
        made.append(Instance.behind(proxy, world, skew=skew))
        return made[-1]

    yield make
    for each in made:
        await each.account.close()


async def hear(*instances: Instance) -> None:
    """Let each hear from storage, as serving a loop's first request does."""
    for each in instances:
        await each.log.refresh()


async def check_books(*instances: Instance, lost_at_most: int = 0) -> None:
    """Learn all and check that each acknowledged decision is learned once, and each acknowledged reward used or counted."""
    decided = [event_id for each in instances for event_id in each.decided]
    rewarded = [value for each in instances for value in each.rewarded]
    trainer = instances[0]
    counters = (await trainer.learn_all()).counters
    events = await trainer.learned()
    learned = Counter(each.decision.event_id for each in events if each.skip is None)
    assert counters.learned == learned.total()
    assert {event_id for event_id in decided if learned[event_id] != 1} == set()
    assert set(learned.values()) <= {1}
    used = Counter(each.reward for event in events for each in event.observations)
    assert set(used.values()) <= {1}
    unused = [value for value in rewarded if not used[value]]
    assert len(unused) <= counters.late_rewards + counters.unknown_rewards
    assert counters.rewards >= len(rewarded)


@memory_and_once_azurite
@pytest.mark.parametrize(("writer", "trainer"), [(-300.0, -300.0), (-300.0, 300.0), (0.0, -300.0), (0.0, 300.0), (300.0, -300.0)])
async def test_whatever_the_clocks_of_writer_and_trainer_all_is_learned_with_its_rewards(instance, world, writer, trainer):
    one, other, third = instance(trainer), instance(writer), instance(0.0)
    await hear(one, other, third)
    for number in range(4):
        assert await other.rank(f"e{number}")
        assert await third.rank(f"f{number}")
        world.pass_(5)
        await one.trainer.run()
        assert await other.reward(f"f{number}", number + 0.25)
        assert await third.reward(f"e{number}", number + 0.5)
        world.pass_(20)
    await check_books(one, other, third)
    assert sum(len(each.observations) for each in await one.learned()) == 8


@pytest.mark.parametrize("skew", SKEWS)
async def test_what_a_process_writes_before_it_heard_of_storage_is_refused_or_learned(instance, world, skew):
    one, other = instance(0.0), instance(skew)
    for number in range(3):
        await other.rank(f"e{number}")
        world.pass_(40)
        await one.trainer.run()
    assert len(other.decided) >= 2
    await check_books(one, other)


async def test_a_clock_that_is_a_year_ahead_seals_no_row_that_nobody_looks_for(instance, world):
    one, other = instance(0.0), instance(366 * 86_400.0)
    await other.rank("first")
    assert not other.decided
    assert await other.rank("second")
    await check_books(one, other)


@pytest.mark.parametrize("jump", [-300.0, 300.0])
async def test_a_clock_that_is_set_while_the_process_runs_loses_nothing(instance, world, jump):
    one, other = instance(0.0), instance(0.0)
    await hear(one, other)
    for number in range(6):
        if number == 3:
            other.clock.skew += jump
        await other.rank(f"e{number}")
        world.pass_(31)
        await one.trainer.run()
    assert len(other.decided) >= 5
    await check_books(one, other)


@memory_and_once_azurite
@pytest.mark.slow
@pytest.mark.parametrize("what", ["rank", "reward"])
@pytest.mark.parametrize("point", range(1, 9))
async def test_a_process_that_stands_still_anywhere_in_an_append_loses_nothing_it_acknowledges(instance, world, what, point):
    """Meanwhile a trainer elsewhere goes on: it learns what was sealed at the time at which the process stood still."""
    one, other = instance(0.0), instance(0.0)
    await hear(one, other)
    await other.rank("before")
    await other.reward("before", 0.5)
    loop = asyncio.get_running_loop()
    trained: list[asyncio.Future] = []

    def stand_still() -> None:
        world.pass_(FROZEN)
        trained.append(asyncio.ensure_future(one.trainer.run(), loop=loop))

    other.clock.at_call = (other.clock.calls + point, stand_still)
    await (other.rank("frozen") if what == "rank" else other.reward("before", 0.25))
    await asyncio.gather(*trained)
    assert await other.rank("after")
    assert await other.reward("after", 0.125)
    await check_books(one, other)


@memory_and_once_azurite
@pytest.mark.parametrize("when", ["before storage has it", "after storage has it"])
@pytest.mark.parametrize("what", ["rank", "reward"])
async def test_a_row_that_was_under_way_for_twelve_minutes_is_not_acknowledged(instance, proxy, world, what, when):
    one, other = instance(0.0), instance(0.0)
    await hear(one, other)
    assert await other.rank("before")
    assert await other.reward("before", 0.5)
    loop = asyncio.get_running_loop()

    def stand_still() -> None:
        world.pass_(FROZEN)
        asyncio.run_coroutine_threadsafe(one.trainer.run(), loop).result(20)

    def is_row(call: Call) -> bool:
        return call.method in ("PUT", "PATCH", "POST") and "PartitionKey" in call.path

    seen: list[Call] = []

    def once(call: Call) -> bool:
        if not is_row(call) or seen:
            return False
        seen.append(call)
        return True

    if when.startswith("before"):
        proxy.plan = lambda call: Fault(passes=True, meanwhile=stand_still) if once(call) else None
    else:
        proxy.plan = lambda call: Fault(500, done_first=True, meanwhile=lambda: world.pass_(FROZEN)) if once(call) else None
    is_acknowledged = await (other.rank("frozen") if what == "rank" else other.reward("before", 0.25))
    proxy.plan = no_faults
    assert seen
    assert not is_acknowledged
    assert await other.rank("after")
    assert await other.reward("after", 0.125)
    await check_books(one, other)


@in_memory_first
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_the_books_balance_whatever_happens_to_whom(instance, proxy, world, seed):
    chance = random.Random(seed)
    trainers = [instance(chance.choice(SKEWS)) for _ in range(2)]
    writers = [instance(chance.choice(SKEWS)) for _ in range(3)]
    known: list[str] = []
    for number in range(40):
        writer = chance.choice(writers)
        if chance.random() < 0.15:
            writer.clock.at_call = (writer.clock.calls + chance.randrange(1, 10), lambda: world.pass_(FROZEN))
        if known and chance.random() < 0.5:
            await writer.reward(chance.choice(known[-3:]), number + 0.5)
        elif await writer.rank(f"e{number}"):
            known.append(f"e{number}")
        if chance.random() < 0.1:
            writer.clock.skew = chance.choice(SKEWS)
        world.pass_(chance.choice([0.1, 3, 20, 60]))
        if chance.random() < 0.4:
            await chance.choice(trainers).trainer.run()
    assert len(known) > 8
    await check_books(*trainers, *writers)


@pytest.mark.parametrize(
    ("writer", "deleter"), [(-300.0, -20.0), (-300.0, 20.0), (0.0, -3.0), (0.0, 0.0), (0.0, 3.0), (300.0, -20.0), (300.0, 20.0)]
)
@pytest.mark.sweep(keep=4)
async def test_a_deletion_takes_what_was_acknowledged_before_and_leaves_what_came_after(instance, world, writer, deleter):
    one, other = instance(deleter), instance(writer)
    await hear(one, other)
    assert await one.rank("before a")
    assert await other.rank("before b")
    await one.logs.delete()
    assert await one.rank("after a")
    assert await other.rank("after b")
    counters = (await one.learn_all()).counters
    assert sorted(each.decision.event_id for each in await one.learned()) == ["after a", "after b"]
    assert (counters.learned, counters.skipped) == (2, {"logDeleted": 2})


@pytest.mark.parametrize("skew", [-300.0, 300.0])
async def test_an_instance_whose_clock_is_beyond_the_grace_deletes_nothing(instance, world, skew):
    one, other = instance(skew), instance(0.0)
    await hear(one, other)
    assert await other.rank("kept")
    with pytest.raises(ClocksDifferError, match=r"seconds (ahead|behind)"):
        await one.logs.delete()
    await check_books(other, one)


async def test_a_row_that_an_older_release_sealed_ahead_of_time_is_waited_for_and_gone(instance, world):
    one, other, old = instance(0.0), instance(0.0), instance(0.0)
    await hear(one, other)
    old.clock.skew = 1.5  # it does not look at what storage tells
    assert await old.rank("before")
    await one.logs.delete()
    assert await other.rank("after")
    await one.learn_all()
    assert [each.decision.event_id for each in await one.learned()] == ["after"]
