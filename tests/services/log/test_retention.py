"""What goes when it is old, and what stays; and the end of a loop."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import StorageUnavailableError
from shared.domain.ledger import Pointer
from shared.joining.chunks import ChunkName
from shared.services.log.erasure import Erasure
from shared.storage import names
from shared.storage.files import Files
from shared.storage.loop_files import StoredLoopFiles
from tests.builders import T0
from tests.processes import WAIT, Process
from tests.reliability.world import LOOP, event_log
from tests.stores import first_row, put_rows

DAY = 86_400


async def three_days(process: Process) -> None:
    """Leave a chunk of each of three days, and one that no commit names of the first."""
    for number in range(3):
        await process.rank(f"e{number}")
        process.clock.pass_(WAIT + 1)
        await process.train()
        if not number:
            left = ChunkName(1, T0, process.clock.now(), "0123456789ab")
            await process.store.write_chunk(str(left), b"left", parent="")
        process.clock.pass_(DAY)
        await process.train()  # the next window begins on its own day


async def days_of(process: Process) -> list[str]:
    prefix = names.chunks_prefix(LOOP.name)
    return sorted(name.removeprefix(prefix)[:10] for name in await process.blobs())


@pytest.mark.parametrize(("kept_days", "kept"), [(-1, 4), (2**31 - 1, 4), (800_000, 4), (90, 4), (3, 2), (2, 1), (1, 0)])
async def test_chunks_older_than_the_retention_are_deleted_whether_or_not_they_count(one, kept_days, kept):
    await three_days(one)
    assert await days_of(one) == ["2026/05/17", "2026/05/17", "2026/05/18", "2026/05/19"]
    one.configuration.loop = replace(LOOP, log_retention_days=kept_days)
    for _ in range(2):
        await one.retention.run()
        assert len(await days_of(one)) == kept
    chain = await one.joined.chain()
    assert [name[:10] for name in chain] == ["2026/05/17", "2026/05/18", "2026/05/19"][3 - min(kept, 3) :]
    assert (await one.progress()).counters.learned == 3


async def test_a_log_whose_beginning_is_gone_goes_on(one):
    await three_days(one)
    one.configuration.loop = replace(LOOP, log_retention_days=0)
    await one.retention.run()
    await one.rank("later")
    one.clock.pass_(WAIT + 1)
    await one.train()
    assert len(await one.joined.chain()) == 1
    found = await one.logs.date_range()
    assert found is not None
    assert found.until <= one.clock.now()


async def test_retention_that_is_stopped_between_two_chunks_leaves_a_log_without_a_gap(one, monkeypatch):
    await three_days(one)
    one.configuration.loop = replace(LOOP, log_retention_days=0)
    delete = Files.delete
    deleted: list[str] = []

    async def stop(self, name: str, *, expected: str | None = None) -> None:
        if len(deleted) == 3:
            raise StorageUnavailableError("stopped")
        if name.startswith(names.chunks_prefix(LOOP.name)):
            deleted.append(name)
        await delete(self, name, expected=expected)

    monkeypatch.setattr(Files, "delete", stop)
    with pytest.raises(StorageUnavailableError):
        await one.retention.run()
    monkeypatch.undo()
    assert [name[:10] for name in await one.joined.chain()] == ["2026/05/19"]
    await one.retention.run()
    assert await one.joined.chain() == []


async def test_copies_of_damaged_segments_go_with_the_log_they_were_in(one):
    await one.rank("damaged")
    table = names.DayTable(LOOP.name, 1, names.Kind.DECISIONS, T0.date()).name
    await put_rows(one.account, table, [{**await first_row(one.account, table), "Payload00": b"nonsense"}])
    one.clock.pass_(WAIT + 1)
    await one.train()
    assert len(await one.blobs()) == 1
    await one.retention.run()
    assert len(await one.blobs()) == 1
    await one.logs.delete()
    await one.retention.run()
    assert await one.blobs() == set()


async def test_other_files_beside_the_chunks_are_left_alone(one):
    await three_days(one)
    other = Files(one.account, names.LOGS)
    await other.write_once(f"{names.chunks_prefix(LOOP.name)}notes.txt", b"mine")
    one.configuration.loop = replace(LOOP, log_retention_days=0)
    await one.retention.run()
    assert await one.blobs() == {f"{names.chunks_prefix(LOOP.name)}notes.txt"}


async def test_an_erased_loop_leaves_nothing_but_its_record_and_other_loops_are_not_touched(one, account, clock):
    await three_days(one)
    await one.logs.delete()
    await one.rank("new")
    models = Files(account, names.MODELS)
    await models.write_once(names.configuration_file(LOOP.name), b"{}")
    await models.write_once("loops/defaultx0001/pointer.json", b"of another")
    await account.rows.create("defaultx0001x0001d20260517")
    erasure = Erasure(event_log(account, clock), StoredLoopFiles(account, loop=LOOP.name))
    assert await erasure.run() is False
    assert await erasure.run() is True
    left = {blob.name async for blob in models.listing("")}
    assert left == {names.configuration_file(LOOP.name), "loops/defaultx0001/pointer.json"}
    assert await one.tables() == {"defaultx0001x0001d20260517"}
    assert await one.blobs() == set()


async def test_a_loop_of_many_blobs_is_erased_in_several_runs(one, account, clock, monkeypatch):
    await three_days(one)
    monkeypatch.setattr(Erasure, "BLOBS_A_RUN", 3)
    erasure = Erasure(event_log(account, clock), StoredLoopFiles(account, loop=LOOP.name))
    runs = 1
    while not await erasure.run():
        runs += 1
    assert runs > 3
    assert await one.blobs() == set()


async def test_the_hot_log_keeps_what_a_stopped_trainer_still_needs(one):
    await one.rank("old")
    one.clock.pass_(WAIT + 1)
    await one.train()
    await one.rank("waiting")
    one.clock.pass_(30 * DAY)
    await one.retention.run()
    assert await one.logged() == ["old", "waiting"]
    await one.train()
    one.clock.pass_(timedelta(days=2).total_seconds())
    await one.rank("new")
    one.clock.pass_(WAIT + 1)
    await one.train()
    await one.retention.run()
    assert (await one.progress()).counters.learned == 3
    assert sorted({name[-8:] for name in await one.tables()}) == ["20260617", "20260618", "20260619"]


async def learn_one(process: Process, event_id: str) -> None:
    await process.rank(event_id)
    process.clock.pass_(WAIT + 1)
    await process.train()


async def states_of(process: Process) -> list[str]:
    return [version async for version in process.store.states()]


async def test_what_runs_left_that_died_before_their_commit_time_and_again_goes_though_no_commit_comes(one):
    await learn_one(one, "a")
    before = await one.pointer()
    left = [f"{before.sequence + 1:08d}-{number:012x}" for number in range(8)]
    for version in left:
        await one.store.write_state(version, b"of a run that died")
    await one.store.write_figures(left[0], b"of the first of them")
    writing = f"{before.sequence + 2:08d}-000000000000"
    await one.store.write_state(writing, b"of a run that goes by what comes now")
    await one.retention.run()
    assert await states_of(one) == [before.version, writing]
    assert await one.pointer() == replace(before, sequence=before.sequence + 1)
    assert [name async for name in one.store.figures_kept()] == [before.figures]
    await learn_one(one, "b")
    assert (await one.progress()).counters.learned == 2


async def test_who_is_about_to_commit_when_that_is_cleared_up_is_refused_and_learns_its_window_again(one, other, monkeypatch):
    await learn_one(one, "a")
    await one.rank("b")
    one.clock.pass_(WAIT + 1)
    commit = one.store.commit

    async def cleared_up(pointer: Pointer, *, expected: str | None) -> str:
        monkeypatch.undo()
        for number in range(8):
            await other.store.write_state(f"{pointer.sequence:08d}-{number:012x}", b"of a run that died")
        await other.retention.run()
        return str(await commit(pointer, expected=expected))

    monkeypatch.setattr(one.store, "commit", cleared_up)
    await one.train()
    assert (await one.progress()).counters.learned == 1
    await one.train()
    pointer = await one.pointer()
    assert (await one.progress()).counters.learned == 2
    assert pointer.version in await states_of(one)


async def test_what_few_runs_left_may_still_be_committed_and_stays(one):
    await learn_one(one, "a")
    before = await one.pointer()
    left = [f"{before.sequence + 1:08d}-{number:012x}" for number in range(7)]
    for version in left:
        await one.store.write_state(version, b"of a run that may be at work")
    await one.retention.run()
    assert await states_of(one) == [before.version, *left]
    assert await one.pointer() == before
