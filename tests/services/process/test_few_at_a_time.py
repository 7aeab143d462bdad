"""A few at a time: others wait briefly, and who leaves, however that is, frees a place."""

import asyncio
import time
from datetime import timedelta

import pytest

from shared.domain.errors import BusyError, UnreadableError
from shared.services.process.concurrency import FewAtATime
from tests.patience import BUSY

AT_ONCE = timedelta(0)


def room(places: int = 2, *, patience: timedelta = AT_ONCE, most_waiting: int = 16) -> FewAtATime:
    return FewAtATime(places=places, patience=patience, most_waiting=most_waiting)


async def stays(in_room: FewAtATime, until: asyncio.Event) -> None:
    async with in_room.place():
        await until.wait()


async def is_full(of: FewAtATime) -> bool:
    try:
        async with of.place():
            return False
    except BusyError:
        return True


async def test_no_more_than_its_places_are_in_it_at_a_time():
    small, out = room(2), asyncio.Event()
    inside = [asyncio.create_task(stays(small, out)) for _ in range(2)]
    await asyncio.sleep(0)
    assert await is_full(small)
    out.set()
    await asyncio.gather(*inside)
    assert not await is_full(small)


async def test_who_waits_gets_the_next_place_that_is_free():
    small, out = room(1, patience=timedelta(seconds=30)), asyncio.Event()
    inside = asyncio.create_task(stays(small, out))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(is_full(small))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    out.set()
    assert await waiting is False
    await inside


async def test_who_waited_long_enough_is_told_when_to_come_back():
    small, out = room(1, patience=timedelta(seconds=0.05)), asyncio.Event()
    inside = asyncio.create_task(stays(small, out))
    await asyncio.sleep(0)
    began = time.monotonic()
    with pytest.raises(BusyError) as refused:
        async with small.place():
            pass
    assert 0.04 < time.monotonic() - began < BUSY
    assert refused.value.retry_after == timedelta(seconds=0.05)
    out.set()
    await inside


async def test_no_more_than_so_many_wait():
    small, out = room(1, patience=timedelta(seconds=30), most_waiting=2), asyncio.Event()
    tasks = [asyncio.create_task(stays(small, out)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert await is_full(small)
    out.set()
    await asyncio.gather(*tasks)
    assert not await is_full(small)


@pytest.mark.parametrize("is_inside", [True, False])
async def test_one_that_goes_away_frees_its_place(is_inside):
    small, out = room(1, patience=timedelta(seconds=30), most_waiting=1), asyncio.Event()
    first = asyncio.create_task(stays(small, out))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(stays(small, out))
    await asyncio.sleep(0.01)
    (first if is_inside else second).cancel()
    await asyncio.sleep(0.01)
    out.set()
    await asyncio.gather(first, second, return_exceptions=True)
    assert not await is_full(small)


async def test_one_that_fails_frees_its_place():
    small = room(1)
    for _ in range(3):
        with pytest.raises(UnreadableError):
            async with small.place():
                raise UnreadableError("damaged")
