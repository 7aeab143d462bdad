"""A trainer that is behind catches up in large windows, publishes on the way, and learns each event once."""

from datetime import timedelta

import pytest

from shared.domain.clock import TimeLimit
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from tests.builders import after
from tests.clocks import Ticks
from tests.processes import Process
from tests.reliability.world import GRACE, LOOKBACK, LOOP

HOUR = 3_600
EVERY = 24
"""Seconds between two rows."""

EVENTS = 2 * HOUR // EVERY
MOST, LEAST = 76, 20


async def write_an_hour(process: Process) -> None:
    for second in range(0, HOUR, EVERY):
        process.clock.at = after(second)
        await process.rank(f"a{second}", f"b{second}")
        await process.reward(f"b{second}")


def trainer(process: Process, *, most: int = MOST) -> Trainer:
    limits = Limits(grace=GRACE, lookback=LOOKBACK, max_events=most, least_events=LEAST)
    return Trainer(process.log, process.joined, process.store, process.configuration, clock=process.clock, limits=limits)


def days(seconds: float) -> TimeLimit:
    """As much time as is needed, by a clock that goes on by so many seconds in a window."""
    return TimeLimit(timedelta(days=9), monotonic=Ticks(seconds))


@pytest.mark.parametrize(
    ("seconds", "most", "windows"),
    [
        (0.1, 50_000, [EVENTS]),  # all of it is one window where there is room for that
        (0.1, MOST, [MOST, MOST, MOST, 72]),  # a fast trainer takes all that there is room for
        (3.0, MOST, [MOST, 24, *[LEAST] * 9]),  # 25 events a second, and a model is wanted every second
        (60.0, MOST, [MOST, *[LEAST] * 11]),  # however slow it is, windows are no smaller than this
    ],
)
async def test_an_hours_backlog_is_learned_in_windows_as_large_as_may_be_and_each_publishes(one, clock, seconds, most, windows):
    await write_an_hour(one)
    clock.at = after(2 * HOUR)
    commits = await trainer(one, most=most).run(days(seconds))
    assert [commit.learned for commit in commits] == windows
    clock.at += LOOP.model_export_frequency  # what is left is no backlog any more
    commits += await trainer(one, most=most).run(days(seconds))
    versions = [commit.pointer.version for commit in commits]
    assert len(set(versions)) == len(versions)
    watermarks = [commit.pointer.watermark for commit in commits]
    assert watermarks == sorted(watermarks)
    pointer = await one.pointer()
    assert (pointer.counters.learned, pointer.counters.stragglers, pointer.counters.unknown_rewards) == (EVENTS, 0, 0)
    assert await one.joined_lines() == EVENTS
    assert (await one.progress()).pending == 0


async def test_a_trainer_that_got_faster_takes_larger_windows_again(one, clock):
    await write_an_hour(one)
    clock.at = after(2 * HOUR)
    slow = trainer(one)
    assert [commit.learned for commit in (await slow.turn(TimeLimit(timedelta(seconds=190), monotonic=Ticks(30)))).commits] == [MOST, LEAST]
    assert [commit.learned for commit in (await slow.turn(days(0.1))).commits] == [LEAST, MOST, MOST]


async def test_few_events_tell_nothing_of_how_fast_a_trainer_is(one, clock):
    quiet = trainer(one)
    await one.rank("a", "b")
    clock.at = after(60)
    assert [commit.learned for commit in await quiet.run(days(60))] == [2]
    for second in range(100, 250):
        clock.at = after(second)
        await one.rank(f"e{second}")
    clock.at = after(HOUR)
    assert [commit.learned for commit in await quiet.run(days(0.1))] == [MOST, 74]
