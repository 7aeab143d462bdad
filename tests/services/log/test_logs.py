"""Deletion of the log: what is gone, what stays, and what is counted."""

import asyncio

import pytest

from shared.domain.errors import BusyError, ConflictError, UnreadableError
from shared.domain.identity import fingerprint
from shared.domain.ledger import Pointer
from shared.services.log.logs import DateRange
from shared.services.models.replay import Replay
from shared.storage import names
from tests.builders import T0, after
from tests.processes import WAIT, Process
from tests.reliability.world import LOOP, SETTLED_FOR


async def test_without_a_log_there_is_no_range(one):
    assert await one.logs.date_range() is None


async def test_the_range_goes_from_the_oldest_chunk_to_what_was_ranked_last(one, clock):
    await one.rank("a")
    assert await one.logs.date_range() == DateRange(T0, T0)
    clock.pass_(WAIT + 1)
    await one.train()
    clock.pass_(5)
    await one.rank("b")
    found = await one.logs.date_range()
    assert found is not None
    assert found == DateRange(T0, clock.now()), "the first window began with the day, the log with its first event"


async def test_from_its_deletion_on_nothing_of_the_log_is_read_by_anyone(one, other, clock):
    await one.rank("learned")
    clock.pass_(WAIT + 1)
    await one.train()
    await other.rank("waiting")
    await other.reward("waiting")
    clock.pass_(1)
    assert await other.joined_lines() == 1
    await one.logs.delete()
    for process in (one, other):
        await process.progress()
        assert await process.logs.date_range() is None
        assert (await process.logged(), await process.joined_lines()) == ([], 0)


async def test_what_waited_is_counted_as_deleted_and_the_equation_holds(one, other, clock):
    await one.rank("learned")
    clock.pass_(WAIT + 1)
    await one.train()
    await one.rank("w1", "w2")
    await one.reward("w1", "nobody")
    before = await one.progress()
    clock.pass_(1)
    await one.logs.delete()
    for process in (one, other):
        found = await process.progress()
        assert found.counters.skipped == {"logDeleted": 2}
        assert (found.counters.learned, found.pending, found.ranked, found.rewards) == (1, 0, before.ranked, before.rewards)


async def test_what_the_same_process_stores_after_a_deletion_is_learned(one, clock):
    await one.rank("old")
    await one.logs.delete()
    await one.rank("new")  # within the same microsecond
    await one.reward("new")
    clock.pass_(WAIT + 1)
    await one.train()
    pointer = await one.pointer()
    assert (pointer.counters.learned, pointer.counters.skipped) == (1, {"logDeleted": 1})
    assert await one.joined_lines() == 1


async def test_what_another_process_stores_before_it_hears_of_the_deletion_is_learned(one, other, clock):
    await other.rank("old")
    clock.pass_(1)
    await one.logs.delete()
    await other.rank("meanwhile")
    await other.reward("meanwhile")
    await one.rank("here")
    assert sorted(await one.logged()) == ["here", "meanwhile"]
    clock.pass_(WAIT + 1)
    await one.train()
    pointer = await one.pointer()
    assert (pointer.counters.learned, pointer.counters.skipped, pointer.counters.unknown_rewards) == (2, {"logDeleted": 1}, 0)


async def test_a_deletion_soon_after_another_one_leaves_what_older_writers_go_on_storing(one, other, account, clock):
    third = Process(account, clock)
    for process in (other, third):
        await process.rank("old")
    clock.pass_(1)
    await one.logs.delete()
    await other.progress()  # hears of the first only
    await other.rank("between")
    clock.pass_(1)
    await one.logs.delete()
    await other.rank("of the second generation")
    await third.rank("of the first")
    await one.rank("of the third")
    assert len(await one.logged()) == 3
    clock.pass_(WAIT + 1)
    await one.train()
    assert (await one.progress()).counters.learned == 3
    assert (await one.progress()).counters.skipped == {"logDeleted": 3}


async def test_a_deletion_that_is_overtaken_by_a_later_one_brings_nothing_back(one, other, clock):
    await one.rank("before")
    cut = await one.log.cut()
    clock.pass_(1)
    await other.rank("between")
    clock.pass_(1)
    await other.logs.delete()
    await one.logs._switch(cut)
    for process in (one, other):
        found = await process.progress()
        assert (found.pending, found.counters.skipped) == (0, {"logDeleted": 2})
        assert await process.logged() == []


async def test_rewards_for_what_was_ranked_before_a_deletion_are_of_unknown_events(one, clock):
    await one.rank("old")
    clock.pass_(1)
    await one.logs.delete()
    await one.reward("old")
    clock.pass_(WAIT + 1)
    await one.train()
    assert (await one.progress()).counters.unknown_rewards == 1


async def test_an_event_id_used_again_after_a_deletion_is_a_new_event(one, clock):
    await one.rank("again")
    await one.log.sightings(T0, after(60), {fingerprint("again")})  # remembered by this process
    clock.pass_(1)
    await one.logs.delete()
    await one.rank("again")
    clock.pass_(WAIT + 1)
    await one.train()
    assert (await one.pointer()).counters.skipped == {"logDeleted": 1}


async def test_a_trainer_at_work_during_a_deletion_commits_nothing_of_the_old_log(one, other, clock, monkeypatch):
    await one.rank("old")
    clock.pass_(WAIT + 1)
    store, commit = other.store, other.store.commit

    async def delete_first(pointer: Pointer, *, expected: str | None) -> str:
        monkeypatch.setattr(store, "commit", commit)
        await one.logs.delete()
        return str(await commit(pointer, expected=expected))

    monkeypatch.setattr(store, "commit", delete_first)
    await other.train()
    pointer = await one.pointer()
    assert (pointer.counters.learned, pointer.counters.skipped, pointer.log.generation) == (0, {"logDeleted": 1}, 2)
    assert await one.joined_lines() == 0
    clock.pass_(SETTLED_FOR.total_seconds() + 60)
    await one.retention.run()
    assert await one.blobs() == set()


async def test_the_model_stays_and_what_comes_next_is_not_taken_for_its_beginning(one, clock):
    await one.rank("first")
    clock.pass_(WAIT + 1)
    await one.train()
    before = await one.pointer()
    await one.logs.delete()
    assert (await one.pointer()).version == before.version != ""
    with pytest.raises(UnreadableError, match="the log was deleted"):
        await one.joined.chunk(before.chunk)
    await one.rank("second")
    clock.pass_(WAIT + 1)
    await one.train()
    (chunk,) = await one.joined.chain()
    assert chunk.startswith("g0002/")
    assert await one.joined.parent(chunk) == before.chunk
    assert await one.joined.parent(before.chunk) is None


async def test_what_is_stored_of_a_deleted_log_is_soon_gone(one, other, clock):
    await one.rank("day one")
    clock.pass_(86_400)
    await one.rank("day two")
    clock.pass_(WAIT + 1)
    await one.train()
    old_tables, old_blobs = await one.tables(), await one.blobs()
    assert (len(old_tables), len(old_blobs)) == (2, 1)
    await one.logs.delete()
    assert await one.blobs() == set()
    today = names.DayTable(LOOP.name, 1, names.Kind.DECISIONS, clock.now().date()).name
    assert await one.tables() & old_tables == {today}  # others may still write to it
    clock.pass_(SETTLED_FOR.total_seconds() + 1)
    await other.retention.run()
    assert not await one.tables() & old_tables


async def test_what_was_stored_in_an_old_table_meanwhile_is_kept_when_the_table_goes(one, other, clock):
    await other.rank("old")
    await other.reward("old")
    clock.pass_(1)
    await one.logs.delete()
    await other.rank("meanwhile")
    await other.reward("meanwhile")
    clock.pass_(SETTLED_FOR.total_seconds() - 5)
    await one.retention.run()
    assert await one.logged() == ["meanwhile"]
    assert len([name for name in await one.tables() if "x0001" in name]) == 2
    clock.pass_(10)
    await one.retention.run()
    assert not [name for name in await one.tables() if "x0001" in name]
    assert await one.logged() == ["meanwhile"]
    await one.train()
    found = await one.pointer()
    assert (found.counters.learned, found.counters.unknown_rewards, found.counters.rewards) == (1, 0, 2)


async def test_a_process_that_has_not_heard_of_a_deletion_asks_before_it_makes_a_table(one, other, clock):
    await other.rank("old")
    clock.pass_(1)
    await one.logs.delete()
    clock.pass_(SETTLED_FOR.total_seconds() + 1)
    await one.retention.run()
    await other.rank("late to hear")
    assert other.log.epoch.generation == 2
    assert not [name for name in await one.tables() if "x0001" in name]
    assert await one.logged() == ["late to hear"]


async def test_a_table_that_is_still_written_to_is_not_dropped(one, other, clock):
    await other.rank("old")
    clock.pass_(1)
    await one.logs.delete()
    clock.pass_(SETTLED_FOR.total_seconds() + 5)
    await other.rank("still there")
    await one.retention.run()
    await other.rank("and again")
    assert await one.logged() == ["still there", "and again"]


async def test_a_deletion_that_others_keep_overtaking_says_so_and_deletes_nothing(one, monkeypatch):
    async def refuse(pointer: Pointer, *, expected: str | None) -> str:
        raise ConflictError("another was faster")

    await one.rank("kept")
    monkeypatch.setattr(one.store, "commit", refuse)
    with pytest.raises(BusyError):
        await one.logs.delete()
    assert await one.logged() == ["kept"]


async def test_more_deletions_than_can_be_told_apart_have_to_wait_for_the_clearing(one, clock):
    await one.rank("old")
    for _ in range(16):
        clock.pass_(1)
        await one.logs.delete()
        await one.rank("each")
    clock.pass_(1)
    with pytest.raises(BusyError, match="cleared"):
        await one.logs.delete()
    clock.pass_(SETTLED_FOR.total_seconds() + 1)
    await one.retention.run()
    await one.logs.delete()
    assert await one.logs.date_range() is None


async def test_deletions_under_traffic_of_two_processes_lose_nothing_that_is_acknowledged_later(one, other, clock):
    """A deletion comes now and then, and a trainer is at work all the time."""
    acknowledged: list[tuple[int, str, Process]] = []
    cuts: list[int] = []
    step = 0
    is_over = False

    async def traffic(process: Process, name: str) -> None:
        number = 0
        while not is_over:
            event_id = f"{name}{number}"
            await process.rank(event_id)
            acknowledged.append((step, event_id, process))
            number += 1

    async def owner() -> None:
        nonlocal step, is_over
        for number in range(14):
            await asyncio.sleep(0.05)
            clock.pass_(3)
            step += 1
            if number % 4 == 3:
                await one.logs.delete()
                step += 1
                cuts.append(step)
                await one.progress()
            else:
                await other.train()
        is_over = True

    await asyncio.gather(traffic(one, "a"), traffic(other, "b"), owner())
    clock.pass_(WAIT + 1)
    await other.train()
    pointer = await one.pointer()
    found = await one.progress()
    assert (found.pending, pointer.log.generation, len(cuts)) == (0, 4, 3)
    assert found.ranked == found.counters.processed <= len(acknowledged)
    log = b"".join([await one.joined.chunk(name) for name in await one.joined.chain()])
    after_last = [event_id for at, event_id, process in acknowledged if at >= cuts[-1] and process is one]
    assert after_last
    assert not [event_id for event_id in after_last if f'"EventId":"{event_id}"'.encode() not in log]
    heard = [event_id for at, event_id, process in acknowledged if at > cuts[-1]]
    assert not [event_id for event_id in heard if f'"EventId":"{event_id}"'.encode() not in log]
    before = [event_id for at, event_id, _ in acknowledged if at < cuts[-1] - 1]
    assert not [event_id for event_id in before if f'"EventId":"{event_id}"'.encode() in log]


async def test_replay_after_a_deletion_begins_with_the_model_of_that_time_and_says_what_is_gone(one, clock):
    await one.rank("first")
    clock.pass_(WAIT + 1)
    await one.train()
    before = await one.pointer()
    clock.pass_(1)
    await one.logs.delete()
    await one.rank("second")
    clock.pass_(WAIT + 1)
    await one.train()
    replay = Replay(one.joined, one.store)
    route = await replay.plan()
    assert (route.start, route.missing, route.version) == (before.version, before.chunk, (await one.pointer()).version)
    assert [(step.learned, step.version, step.differing) async for step in replay.run(route)] == [(1, route.version, [])]
    with pytest.raises(UnreadableError, match="is missing"):
        await replay.plan(before.version)
