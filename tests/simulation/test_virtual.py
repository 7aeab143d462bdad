"""Virtual time: it jumps, and each process may stand still or end by itself."""

import asyncio
from contextvars import copy_context
from random import Random

import pytest

from tests.simulation.virtual import BEGIN, Life, StuckError, VirtualLoop, current


def begin(life: Life, work) -> "asyncio.Task[None]":
    context = copy_context()
    context.run(current.set, life)
    return context.run(life.loop.create_task, work, context=context)


def life(loop: VirtualLoop, name: str, *, offset: float = 0.0, drift: float = 0.0, tick: float = 1e-6) -> Life:
    return Life(name, loop, Random(0), offset, drift, tick)


def test_an_hour_passes_at_once():
    loop = VirtualLoop()

    async def wait() -> float:
        await asyncio.sleep(3_600)
        return asyncio.get_running_loop().time()

    assert loop.run(loop.create_task(wait())) == 3_600


def test_a_process_that_stands_still_goes_on_later_and_others_meanwhile():
    loop, seen = VirtualLoop(), []
    frozen, other = life(loop, "frozen"), life(loop, "other")
    frozen.frozen_until = 60.0

    async def work(name: str) -> None:
        await asyncio.sleep(10)
        seen.append((name, loop.time()))

    tasks = [begin(each, work(each.name)) for each in (frozen, other)]
    loop.run(asyncio.gather(*tasks))
    assert seen == [("other", 10.0), ("frozen", 70.0)]


def test_a_process_that_has_ended_does_nothing_more():
    loop, seen = VirtualLoop(), []
    killed, other = life(loop, "killed"), life(loop, "other")

    async def work(name: str) -> None:
        for _ in range(3):
            await asyncio.sleep(10)
            seen.append((name, loop.time()))

    async def kill() -> None:
        await asyncio.sleep(15)
        killed.ended = True

    first = begin(killed, work("killed"))
    loop.run(asyncio.gather(begin(other, work("other")), loop.create_task(kill())))
    assert [at for name, at in seen if name == "killed"] == [10.0]
    assert [at for name, at in seen if name == "other"] == [10.0, 20.0, 30.0]
    with pytest.raises(StuckError):
        loop.run(first)


def test_each_process_has_a_clock_of_its_own():
    loop = VirtualLoop(start=100.0)
    right, wrong = life(loop, "right"), life(loop, "wrong", offset=30.0, drift=0.01, tick=1.0)
    assert (right.now() - BEGIN).total_seconds() == 100.0
    assert (wrong.now() - BEGIN).total_seconds() == 131.0
    assert wrong.monotonic() - right.monotonic() == pytest.approx(1.0)


def test_while_it_is_quiet_what_runs_in_a_thread_is_done_at_once():
    loop = VirtualLoop()
    here = life(loop, "here")

    async def work() -> tuple[float, float]:
        await asyncio.to_thread(int)
        before = loop.time()
        loop.is_quiet = True
        await asyncio.to_thread(int)
        return before, loop.time() - before

    before, during = loop.run(begin(here, work()))
    assert before > 0.0
    assert during == 0.0
