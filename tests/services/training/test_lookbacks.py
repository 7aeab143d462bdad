"""What trainers remember is part of each commit: little of it is in the pointer, nothing is lost, and nothing is learned twice."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from shared.domain.budget import Budget
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.identity import report_id
from shared.domain.ledger import Pointer
from shared.domain.lookback import Lookback, Seen
from shared.joining.chunks import compressed
from shared.services.training.lookbacks import LookbackKeeper, dump, load, remembered
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage import names
from shared.storage.model_store import FileModelStore
from shared.storage.names import RowName
from shared.storage.pointers import write_pointer
from shared.storage.polling import FileModelFeed
from tests.builders import T0, after
from tests.deployments import Watched
from tests.processes import Process
from tests.reliability.world import GRACE, LOOKBACK, LOOP
from tests.stores import listed, overwrite, put_rows, rewrite, rows_of

LARGEST_POINTER: Final = 64 * 1024
POINTER = Pointer(sequence=3, version="00000003-abc", published_at=T0, watermark=after(60))


def busy(*, writers: int, rewards: int) -> Lookback:
    """Give what is remembered where each writer wrote a row of each log a second, and so many rewards are unknown."""
    rows = [
        str(RowName(after(second), f"{writer:08x}", second + 1, count=10, rewards=10, size=2_000))
        for writer in range(writers)
        for second in range(40)
    ]
    chance = random.Random(7)
    ids = [report_id(after(60 * number / rewards), chance.getrandbits(32)) for number in range(rewards)]
    seen = Seen().plus(rows, first=T0)
    return Lookback(seen, seen, frozenset(ids[:-9]), frozenset(ids[-9:]))


def test_the_same_memory_gives_the_same_bytes_and_comes_back_as_it_was():
    lookback = busy(writers=3, rewards=50)
    again = replace(lookback, unknown=frozenset(sorted(lookback.unknown, reverse=True)))
    assert dump(again) == dump(lookback)
    assert load(dump(lookback)) == lookback
    assert load(dump(Lookback.lost(T0))) == Lookback.lost(T0)
    assert load(dump(Lookback(Seen(frozenset({"odd", "é𝄞"}))))) == Lookback(Seen(frozenset({"odd", "é𝄞"})))


def test_a_file_of_a_later_release_is_refused_and_a_damaged_one_is_none():
    with pytest.raises(NewerFormatError, match="format version 2"):
        load(b'{"format": 2, "new": "things"}')
    for text in (b"", b"[]", b"{}", b'{"format": 1}', dump(busy(writers=1, rewards=5))[:-9], b'{"format": "x"}', b"[" * 100_000):
        with pytest.raises(UnreadableError):
            load(text)


async def test_the_pointer_stays_small_at_4000_unknown_rewards_a_second_from_400_instances(account):
    """The rewards are as many as are remembered: `Limits.max_remembered`."""
    store = FileModelStore(account, loop="default")
    lookback = busy(writers=400, rewards=Limits(GRACE, LOOKBACK).max_remembered)
    named = replace(POINTER, lookback=await LookbackKeeper(store, carried=2_048).keep(POINTER, lookback))
    assert len(write_pointer(named)) < LARGEST_POINTER / 16
    assert await remembered(store, named) == lookback
    assert len(await store.lookback(str(named.lookback))) < 1024 * 1024


async def test_what_is_little_is_in_the_pointer_itself_and_no_more_than_that(account):
    store = FileModelStore(account, loop="default")
    keeper = LookbackKeeper(store, carried=2_048)
    little = busy(writers=3, rewards=20)
    assert await keeper.keep(POINTER, little) == little
    assert len(write_pointer(replace(POINTER, lookback=little))) < 4_096
    assert isinstance(await keeper.keep(POINTER, busy(writers=3, rewards=200)), str)
    assert [name[:9] async for name in store.lookbacks_kept()] == ["00000004-"]


async def test_what_many_loops_have_to_remember_takes_no_more_than_their_budget_and_is_read_again(account):
    budget = Budget(3 << 20)
    lookback = busy(writers=40, rewards=10_000)
    kept = []
    for number in range(5):
        keeper = LookbackKeeper(FileModelStore(account, loop=f"loop{number}"), carried=2_048)
        keeper.sharing(budget)
        kept.append((keeper, replace(POINTER, lookback=await keeper.keep(POINTER, lookback))))
    assert 0 < budget.held <= budget.most
    assert {keeper._warm is None for keeper, _ in kept} == {True, False}
    for keeper, pointer in kept:
        assert await keeper.of(pointer) == lookback
    assert budget.held <= budget.most
    for keeper, _ in kept:
        keeper.close()
    assert budget.held == 0


# --- trainers ------------------------------------------------------------------------------------------------------------


def remembering_in_files(one: Process, **limits: int) -> Trainer:
    told = Limits(grace=GRACE, lookback=LOOKBACK, **{"max_carried": 0, **limits})
    return Trainer(one.log, one.joined, one.store, one.configuration, clock=one.clock, limits=told)


async def files_of(account) -> set[str]:
    return await listed(account, names.MODELS, names.lookbacks_prefix(LOOP.name))


async def test_who_polls_for_the_model_or_for_the_logs_deletion_reads_no_file_of_it(one, account, clock):
    read: list[str] = []
    await one.rank("a", "b")
    clock.at = after(60)
    await remembering_in_files(one).run()
    assert await files_of(account)
    watched = Watched(account, lambda told: read.append(told))
    poller = Process(watched, clock)
    assert FileModelFeed(account, loop=LOOP.name).news() is not None
    await poller.log.refresh()
    assert [each for each in read if "pointer" in each]
    assert not [each for each in read if "/lookback/" in each]


async def test_a_row_that_turns_up_between_others_of_its_writer_is_learned_once(one, other, account, clock):
    """It had been numbered among rows that were seen: its number alone is missing there."""
    for second in (0, 1, 2):
        clock.at = after(second)
        await one.rank(f"e{second}")
    table = one.log._decisions.table_name(T0)
    rows = await rows_of(account, table)
    await rewrite(account, table, [rows[0], rows[2]])
    clock.at = after(2.5) + LOOP.reward_wait + GRACE
    await remembering_in_files(one).run()
    assert (await one.pointer()).counters.learned == 2
    await put_rows(account, table, [rows[1]])
    clock.at += LOOP.model_export_frequency
    await remembering_in_files(other).run()
    pointer = await one.pointer()
    assert (pointer.counters.learned, pointer.counters.stragglers, await one.joined_lines()) == (3, 1, 3)
    assert (await one.progress()).pending == 0
    clock.at += timedelta(minutes=6)
    await remembering_in_files(one).run()
    assert (await one.pointer()).counters.learned == 3


@pytest.mark.parametrize("damage", ["gone", "other bytes", "another's"])
async def test_without_its_file_a_trainer_goes_on_says_so_and_learns_nothing_twice(one, other, account, clock, damage, caplog):
    await one.rank("a", "b", "c")
    await one.reward("nobody")
    clock.at = after(0.5) + LOOP.reward_wait + GRACE
    await remembering_in_files(one).run()
    name = names.lookback_file(LOOP.name, str((await one.pointer()).lookback))
    if damage == "gone":
        await account.files(names.MODELS).delete(name)
    else:
        await overwrite(account, names.MODELS, name, b"rubbish" if damage == "other bytes" else compressed(dump(Lookback())))
    assert (await other.progress()).pending == 0
    await other.rank("d")
    clock.at += LOOP.reward_wait + GRACE + timedelta(seconds=1)
    for _ in range(3):
        await remembering_in_files(other).run()
        clock.at += timedelta(minutes=6)
    pointer = await one.pointer()
    assert (pointer.counters.learned, pointer.counters.stragglers, await one.joined_lines()) == (4, 0, 4)
    assert "events that arrive behind the watermark are not learned" in caplog.text
    assert len(await files_of(account)) >= 1


async def test_a_file_of_a_later_release_stops_the_trainer_and_leaves_all_as_it_is(one, account, clock):
    await one.rank("a")
    clock.at = after(60)
    await remembering_in_files(one).run()
    before = await one.pointer()
    await overwrite(account, names.MODELS, names.lookback_file(LOOP.name, str(before.lookback)), compressed(b'{"format": 2}'))
    await one.rank("b")
    clock.at = after(120)
    with pytest.raises(NewerFormatError):
        await remembering_in_files(one).run()
    assert await one.pointer() == before


@pytest.mark.parametrize("most", [2, 5, 1_000])
async def test_rewards_that_are_too_many_to_be_remembered_are_counted_told_and_used_all_the_same(one, account, clock, most, caplog):
    await one.reward(*[f"early{number}" for number in range(20)])
    clock.at = after(1) + GRACE + LOOP.reward_wait
    await remembering_in_files(one, max_remembered=most).run()
    forgotten = max(20 - most, 0)
    counters = (await one.pointer()).counters
    assert (counters.unknown_rewards, counters.forgotten_rewards) == (20, forgotten)
    assert ("too many rewards" in caplog.text) == bool(forgotten)
    await one.rank(*[f"early{number}" for number in range(20)])  # decided within two minutes after
    clock.at += GRACE + LOOP.reward_wait + timedelta(seconds=1)
    await remembering_in_files(one, max_remembered=most).run()
    pointer = await one.pointer()
    assert (pointer.counters.unknown_rewards, pointer.counters.learned) == (forgotten, 20)
    text = await one.joined.chunk(pointer.chunk)
    assert text.count(b'"_label_cost":-1') == 20


async def test_deleting_the_log_leaves_nothing_to_remember_and_another_trainer_goes_on(one, other, account, clock):
    await one.rank("a")
    clock.at = after(60)
    await remembering_in_files(one).run()
    await other.logs.delete()
    assert (await one.pointer()).lookback == Lookback()
    await one.retention.run()
    assert not await files_of(account)
    clock.at = after(61)
    await one.rank("b")
    clock.at = after(120)
    await remembering_in_files(one).run()
    assert (await one.pointer()).counters.learned == 2
