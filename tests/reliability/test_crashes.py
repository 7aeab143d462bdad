"""Processes killed (−9) before and after each of their storage calls: what was acknowledged is there, and learned once."""

import asyncio
import signal
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from shared.storage.model_store import FileModelStore
from tests.builders import T0, after
from tests.clocks import SetClock
from tests.reliability.chosen import last_calls
from tests.reliability.killed import WHEN, Child
from tests.reliability.test_faults import break_lease, stored
from tests.reliability.world import FIRST, LOOP, SECOND, assert_as_undisturbed, committed, event_log, trainer, write_log
from tests.stores import embedded_first, in_memory_first, memory_and_once_azurite

pytestmark = [pytest.mark.slow, pytest.mark.long]

APPENDING_CALLS = 9
"""What the child makes at least: the first row, which finds no table; the pointer, lest the log was deleted; the table; the row again; and
a row for each later batch."""


@embedded_first
@WHEN
@pytest.mark.parametrize("number", range(1, APPENDING_CALLS + 1))
@pytest.mark.sweep(keep=6)
async def test_what_was_acknowledged_before_a_kill_is_in_the_log_once(way, account, number, done_first):
    code, acknowledged = await Child(way, number, done_first=done_first).run("append")
    assert code in (-signal.SIGKILL, 0)  # after its last call it may be gone already
    assert code == -signal.SIGKILL or number == APPENDING_CALLS
    present = Counter(await stored(event_log(account, SetClock(T0))))
    assert set(acknowledged) <= present.keys()
    assert set(present.values()) <= {1}


@embedded_first
async def test_without_a_kill_everything_is_acknowledged_and_stored(way, account):
    child = Child(way, 0, done_first=False)
    code, acknowledged = await child.run("append")
    assert (code, len(acknowledged)) == (0, 60)
    assert child.calls >= APPENDING_CALLS
    assert sorted(await stored(event_log(account, SetClock(T0)))) == sorted(acknowledged)


@embedded_first
@WHEN
@pytest.mark.sweep(keep=2)
async def test_a_trainer_killed_at_any_call_leaves_a_state_to_go_on_from(way, account, done_first):
    await write_log(account)
    await trainer(account, FIRST, store="counted").run()
    whole = Child(way, 0, done_first=False)
    assert (await whole.run("train", "counted"))[0] == 0
    assert whole.calls >= 10
    for number in last_calls(way, whole.calls, done_first=done_first):
        store = f"run{number}"
        await trainer(account, FIRST, store=store).run()
        code, _ = await Child(way, number, done_first=done_first).run("train", store)
        assert code in (-signal.SIGKILL, 0)  # after its last call it may be gone already
        assert code == -signal.SIGKILL or number == whole.calls
        await break_lease(account, store)
        await trainer(account, SECOND, store=store).run()
        await assert_as_undisturbed(account, store)


@in_memory_first
async def test_two_trainers_at_once_learn_everything_once(account):
    await write_log(account)
    both = [trainer(account, at, store="both") for at in (FIRST, FIRST)]
    await asyncio.gather(*(each.run() for each in both))
    later = [trainer(account, SECOND, store="both") for _ in range(4)]
    await asyncio.gather(*(each.run() for each in later))
    await trainer(account, SECOND, store="both").run()
    await assert_as_undisturbed(account, "both")


@memory_and_once_azurite
async def test_even_without_the_lease_only_one_of_two_trainers_commits(account, monkeypatch):
    @asynccontextmanager
    async def anyone(self):
        yield True

    await write_log(account)
    monkeypatch.setattr(FileModelStore, "lease", anyone)
    await asyncio.gather(*(trainer(account, FIRST, store="free").run() for _ in range(3)))
    assert (await committed(account, "free")).sequence == 1
    await asyncio.gather(*(trainer(account, SECOND, store="free").run() for _ in range(3)))
    await assert_as_undisturbed(account, "free")


@in_memory_first
async def test_a_window_too_large_for_memory_is_learned_in_several_commits(account):
    expected = await write_log(account)
    await trainer(account, SECOND, store="small", max_events=15).run()
    await trainer(account, SECOND + LOOP.model_export_frequency, store="small", max_events=15).run()
    pointer = await committed(account, "small")
    assert pointer.sequence > 5
    assert pointer.counters == expected


@in_memory_first
async def test_a_trainer_that_comes_again_at_the_same_time_changes_nothing(account):
    await write_log(account)
    assert await trainer(account, SECOND, store="expected").run() == []


@in_memory_first
async def test_an_idle_loop_keeps_its_watermark_moving_now_and_then(account):
    await write_log(account)
    before = await committed(account, "expected")
    assert await trainer(account, after(180), store="expected").run() == []
    assert len(await trainer(account, after(3600), store="expected").run()) == 1
    moved = await committed(account, "expected")
    assert (moved.version, moved.counters) == (before.version, before.counters)
    assert moved.watermark > before.watermark
