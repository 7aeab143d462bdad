"""Loops that share what a process keeps at hand learn what each would learn alone, however little that is."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from shared.domain.budget import UNBOUNDED, Budget
from shared.domain.clock import TimeLimit
from shared.learning.sizes import bytes_in
from shared.services.process.sharing import Shared
from shared.services.training.trainer import SLICE, Trainer
from shared.storage.ports import Storage
from tests.clocks import Ticks
from tests.keeping import content_of, pointer_of
from tests.prepared import Prepared
from tests.reliability.world import FIRST, RESET, SECOND, trainer, write_log
from tests.stores import opened


@pytest.fixture
def storage(prepared: Prepared) -> Iterator[str]:
    with prepared.copy(write_log) as place:
        yield place


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    yield account
    await account.close()


def kept(each: Trainer) -> int:
    """How many bytes of learners and figures it has at hand."""
    learner, course, figures = each._stepper._warm.learner, each._retrainer._course, each._stepper._figures._warm
    return bytes_in(learner, course and course.learner, figures and figures[1])


async def content(account: Storage, store: str) -> tuple[bytes, bytes]:
    return await content_of(account, store, (await pointer_of(account, store)).version)


@pytest.mark.parametrize("room", [1, UNBOUNDED], ids=["no room", "room"])
async def test_loops_in_turn_learn_the_bytes_of_one_alone_and_hold_one_learner_where_there_is_no_room_for_two(account, room):
    for at in (FIRST, SECOND):
        await trainer(account, at, store="alone", max_events=12).run()
    shared = Shared(learners=Budget(room), logs=Budget(room))
    for at in (FIRST, SECOND):
        trainers = [trainer(account, at, store=store, max_events=12).sharing(shared) for store in ("one", "two", "three")]
        for _ in range(20):
            for each in trainers:
                await each.turn(TimeLimit(timedelta(seconds=1), monotonic=Ticks(0.4)))
                assert sum(map(bool, map(kept, trainers))) <= (1 if room == 1 else len(trainers))
        assert sum(map(bool, map(kept, trainers))) == (1 if room == 1 else len(trainers))
        for each in trainers:
            each.close()
        assert shared.learners.held == shared.logs.held == sum(map(kept, trainers)) == 0
    for store in ("one", "two", "three"):
        assert await content(account, store) == await content(account, "alone")


async def test_models_that_are_begun_anew_in_turn_come_to_the_bytes_of_one_alone_though_none_stays_at_hand(account):
    for store in ("alone", "one", "two"):
        await trainer(account, FIRST, store=store, max_events=12).run()
    await trainer(account, FIRST, store="alone", loop=RESET, max_events=12).run()
    shared = Shared(learners=Budget(1))
    trainers = [trainer(account, FIRST, store=store, loop=RESET, max_events=12).sharing(shared) for store in ("one", "two")]
    for _ in range(60):
        for each in trainers:
            await each.turn(TimeLimit(1.5 * SLICE, monotonic=Ticks(SLICE.total_seconds())))
        if [(await pointer_of(account, store)).resets for store in ("one", "two")] == [1, 1]:
            break
    for store in ("one", "two"):
        assert await content(account, store) == await content(account, "alone")
