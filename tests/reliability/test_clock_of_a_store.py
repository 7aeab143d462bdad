"""The clock of the one machine that a store is on is set: what was acknowledged is learned all the same, and soon."""

from collections.abc import AsyncIterator

import pytest

from tests.reliability.skewed import LEARNED_AFTER, Instance, World, WrongClock
from tests.reliability.test_clocks import check_books


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def clock(world) -> WrongClock:
    return WrongClock(world, 0.0)


@pytest.fixture
async def processes(tmp_path, world, clock) -> AsyncIterator[list[Instance]]:
    made = [Instance.on_a_store(tmp_path / "store", world, clock) for _ in range(2)]
    yield made
    for each in made:
        await each.account.close()


@pytest.mark.parametrize("seconds", [-7200.0, -300.0, -3.0, 3.0, 300.0, 7200.0])
async def test_a_clock_that_is_set_keeps_no_event_from_being_learned_once_its_reward_is_due(processes, world, clock, seconds):
    serving, training = processes
    assert await serving.rank("before")
    await training.trainer.run()
    clock.skew += seconds
    for number in range(5):
        assert await serving.rank(f"after-{number}")
        assert await serving.reward(f"after-{number}", number / 10)
        world.pass_(10)
        await training.trainer.run()
    world.pass_(LEARNED_AFTER)
    await training.trainer.run()
    stored = await training.store.pointer()
    assert stored is not None
    assert stored[0].counters.learned == 6
    await check_books(training, serving)


async def test_a_clock_that_is_set_to_and_fro_between_any_two_calls_loses_nothing(processes, world, clock):
    serving, training = processes
    for number, seconds in enumerate([-40.0, 90.0, -600.0, 5.0, -1.0, 700.0, -3600.0, 30.0]):
        assert await serving.rank(f"e{number}")
        clock.skew += seconds
        await training.trainer.run()
        assert await serving.reward(f"e{number}", number / 10)
        world.pass_(15)
    await check_books(training, serving)


async def test_the_log_can_be_deleted_after_the_clock_was_set_back(processes, world, clock):
    serving, training = processes
    assert await serving.rank("old")
    clock.skew -= 3600
    world.pass_(1)
    await serving.logs.delete()
    assert await serving.rank("new")
    world.pass_(LEARNED_AFTER)
    await training.trainer.run()
    assert [event.decision.event_id for event in await training.learned()] == ["new"]
