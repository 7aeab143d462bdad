"""A copy is equal to its source, whatever happens on the way, and never mixes two deployments."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from shared.domain.clock import EPOCH
from shared.domain.errors import NewerFormatError, SettingsError, StorageUnavailableError
from shared.domain.ledger import Pointer
from shared.storage import names
from shared.storage.copying.copying import ROUNDS, Copier
from shared.storage.copying.counts import Copied
from shared.storage.copying.mark import MARK, check_whole
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.pointers import write_pointer
from shared.storage.ports import Row, Storage
from shared.storage.settings import FolderSettings
from tests.clocks import SetClock
from tests.deployments import Killed, Watched, content, put_release
from tests.stores import opened, overwrite

DAY = names.DayTable("default", 1, names.Kind.DECISIONS, datetime(2026, 5, 17, tzinfo=UTC).date()).name
POINTER, RECORD = names.pointer_file("default"), names.configuration_file("default")


def copier(source, target, *, source_id: str = "one", is_thorough: bool = False) -> Copier:
    return Copier(source, target, source_id=source_id, is_thorough=is_thorough)


async def copied(source, target, **options) -> Copied:
    return await copier(source, target, **options).run()


async def put_row(storage: Storage, name: str, *, table: str = DAY, **columns: object) -> None:
    row: Row = {"PartitionKey": "202605171200-00", "RowKey": name, **(columns or {"Payload": name.encode()})}
    await storage.rows.create(table)
    await storage.rows.put(table, row)


async def put_small(storage: Storage, *, state: bytes = b"state one") -> None:
    """Put a small deployment: one loop with two rows, a chunk, a state and a pointer."""
    await put_row(storage, "1")
    await put_row(storage, "2")
    await overwrite(storage, names.LOGS, "loops/default/log/one.json.gz", b"chunk", metadata={"parent": "", "format": "1"})
    await overwrite(storage, names.MODELS, "loops/default/states/1.npz", state)
    await overwrite(storage, names.MODELS, POINTER, b"pointer to " + state, metadata={"recent": "abcdefgh"})
    await overwrite(storage, names.MODELS, RECORD, b"record")
    await overwrite(storage, names.MODELS, "signing/signer.pem", b"key")
    await overwrite(storage, names.MODELS, "trusted/other.der", b"certificate")


# --- equal -------------------------------------------------------------------------------------------------------------


async def test_a_deployment_comes_to_an_account_and_back_as_it_was(empty_store, account):
    """Every kind of file and row that there is, of an older release: to Azure, and from there into a new store."""
    first, back = empty_store(), empty_store()
    await put_release(first, loops=["default", "pages", "pagesx0001", "free", "freex0001"])
    there = await copied(first, account)
    assert await content(account) == await content(first)
    home = await copied(account, back, source_id="account")
    assert await content(back) == await content(first)
    assert there == home
    assert there.all_files == there.files
    assert there.all_rows == there.rows > 100


async def test_a_second_run_finds_nothing_new_and_reads_no_fixed_file_again(empty_store):
    source, target = empty_store(), empty_store()
    await put_release(source, loops=["default"])
    await copied(source, target)
    read: list[str] = []
    again = await copied(Watched(source, lambda told: read.append(told)), target)
    assert again.is_nothing_new
    assert not [each for each in read if each.startswith("read ") and ("/log/" in each or "/models/" in each or "/states/" in each)]
    thorough = await copied(Watched(source, lambda told: read.append(told)), target, is_thorough=True)
    assert thorough.is_nothing_new
    assert [each for each in read if each.startswith("read ") and "/log/" in each]


async def test_a_second_run_brings_what_came_since_and_takes_away_what_went(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)
    await copied(source, target)
    files = source.files(names.MODELS)
    await put_row(source, "3")
    await put_row(source, "1", table=DAY.replace("17", "18"))
    await files.delete("loops/default/states/1.npz")
    await overwrite(source, names.MODELS, "loops/default/states/2.npz", b"state two")
    await overwrite(source, names.MODELS, POINTER, b"pointer to state two")
    done = await copied(source, target)
    assert await content(target) == await content(source)
    assert (done.files, done.replaced, done.removed, done.rows) == (1, 1, 1, 2)
    await source.rows.drop(DAY)
    assert (await copied(source, target)).dropped == 1
    assert await content(target) == await content(source)


async def test_a_loop_that_ended_is_not_in_the_next_copy(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)
    for name in ("loops/gonex0001/pointer.json", "loops/gonex0001/models/1.npz", "loops/gone/configuration.json"):
        await overwrite(source, names.MODELS, name, b"x")
    await put_row(source, "1", table="gonex0001x0001d20260517")
    await copied(source, target)
    for name in ("loops/gonex0001/pointer.json", "loops/gonex0001/models/1.npz", "loops/gone/configuration.json"):
        await source.files(names.MODELS).delete(name)
    await source.rows.drop("gonex0001x0001d20260517")
    await copied(source, target)
    assert await content(target) == await content(source)


_NAMES = some.sampled_from(
    [
        *(f"loops/{loop}/{rest}" for loop in ("a", "ax0002", "b") for rest in ("pointer.json", "states/1.npz", "usage/202605.json")),
        *(
            "loops/a/configuration.json",
            "loops/b/anew.bin",
            "loops/b/analyses/1/board",
            "loops/b/analyses/1/lane-0-0",
            "signing/signer.pem",
        ),
    ]
)
_CONTENT = some.tuples(
    some.binary(max_size=40), some.dictionaries(some.sampled_from(["recent", "parent"]), some.sampled_from(["", "x", "yz"]))
)
_FILES = some.dictionaries(_NAMES, _CONTENT, min_size=1)
_ROWS = some.dictionaries(
    some.tuples(
        some.sampled_from(["ax0001d20260517", "ax0001o20260517", "bx0003d20260518"]), some.sampled_from("1234"), some.sampled_from("567")
    ),
    some.binary(max_size=8),
    max_size=12,
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deployments=some.lists(some.tuples(_FILES, _ROWS), min_size=1, max_size=3))
def test_any_deployment_that_becomes_any_other_is_copied_each_time(tmp_path_factory, deployments):
    """The source changes in any way between runs: the target is as the source each time."""

    async def run() -> None:
        folder = tmp_path_factory.mktemp("any")
        target = opened(str(folder / "target"))
        source = opened(str(folder / "source"))
        for files, rows in deployments:
            for name in [entry.name async for entry in source.files(names.MODELS).listing("")]:
                await source.files(names.MODELS).delete(name)
            for name, (data, metadata) in files.items():
                await source.files(names.MODELS).put(name, data, expected=None, metadata=metadata)
            for table in await source.rows.tables():
                await source.rows.drop(table)
            for (table, partition, name), value in rows.items():
                await source.rows.create(table)
                await source.rows.put(table, {"PartitionKey": partition, "RowKey": name, "Payload": value})
            for place in {name.split("/")[1] for name in files if name.startswith("loops/")} | {"a", "b"}:
                await target.rows.tables()
                for table in [each for each in await target.rows.tables() if each.startswith(f"{place}x")]:
                    await target.rows.drop(table)  # a day's rows never go while its table stays, as they do here
            await copied(source, target)
            assert await content(target) == await content(source)
        await source.close()
        await target.close()

    asyncio.run(run())


async def test_what_is_not_the_services_own_is_left_alone(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)
    await source.files("others").put("x", b"1", expected=None)
    await put_row(source, "1", table="others")
    await target.files("own").put("y", b"2", expected=None)
    await put_row(target, "1", table="own")
    await copied(source, target)
    assert sorted(await target.areas()) == sorted([*{names.MODELS, names.LOGS}, "own"])
    assert sorted(await target.rows.tables()) == sorted([DAY, "own"])


async def test_messages_and_leases_are_not_copied(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)
    await source.queue(names.JOBS).send("message")
    await overwrite(source, names.MODELS, names.lease_file("default"), b"")
    await copied(source, target)
    assert not await target.files(names.MODELS).head(names.lease_file("default"), size=0)
    assert not await target.queue(names.JOBS).receive(most=1, hidden_for=timedelta(seconds=1))


# --- stopped anywhere --------------------------------------------------------------------------------------------------


def killing(number: int):
    """Give what ends the process at a call, and says how many calls there were."""
    seen = [0]

    def hook(_: str) -> None:
        seen[0] += 1
        if seen[0] == number:
            raise Killed

    return hook, seen


async def test_a_copy_that_is_killed_at_any_call_is_finished_by_the_next_run(empty_store):
    """Before and after each call of the target: what is there then is never taken for whole, and the next run does the rest."""
    source = empty_store()
    await put_small(source)
    expected, number, ends = await content(source), -2, 0
    while True:
        number += 3
        target = empty_store()
        hook, seen = killing(number)
        try:
            await copied(source, Watched(target, hook))
        except Killed:
            ends += 1
            await there_is_nothing_half(target)
            await copied(source, target)
            assert await content(target) == expected
            await check_whole(target)
            await target.close()
            continue
        assert seen[0] < number
        break
    assert ends > 20


async def there_is_nothing_half(target: Storage) -> None:
    """What names others is there only with what it names, and whoever asks is told unless all is there."""
    there = await content(target)
    if f"{names.MODELS}/{POINTER}" in there:
        assert f"{names.MODELS}/loops/default/states/1.npz" in there
        assert len(there[DAY]) == 2
    is_marked = await target.files(names.MODELS).head(MARK, size=0) is not None
    if is_marked and len(there) < 7:
        with pytest.raises(StorageUnavailableError, match="not whole"):
            await check_whole(target)
    assert is_marked or not there


async def test_the_second_run_of_a_source_that_went_on_may_be_killed_at_any_call(empty_store):
    number = 0
    while True:
        number += 5
        source, target = empty_store(), empty_store()
        await put_small(source)
        await copied(source, target)
        await put_row(source, "3")
        await overwrite(source, names.MODELS, "loops/default/states/2.npz", b"state two")
        await overwrite(source, names.MODELS, POINTER, b"pointer to state two")
        await source.files(names.MODELS).delete("loops/default/states/1.npz")
        hook, _ = killing(number)
        try:
            await copied(source, Watched(target, hook))
            break
        except Killed:
            await overwrite(source, names.MODELS, POINTER, b"pointer to state two, later")  # and the source goes on
            await copied(source, target)
            assert await content(target) == await content(source)
            for each in (source, target):
                await each.close()
    assert number > 60


# --- a source that goes on ---------------------------------------------------------------------------------------------


async def test_a_pointer_is_never_copied_without_what_it_names(empty_store):
    """The source publishes and prunes at every call of the copy: what comes out is one moment of it."""
    source, target = empty_store(), empty_store()
    await put_small(source, state=b"0")
    versions = iter(range(1, 12))

    async def publish(told: str) -> None:
        number = next(versions, None)
        if number is None or not told.endswith("before"):
            return
        await overwrite(source, names.MODELS, f"loops/default/states/{number + 1}.npz", b"%d" % number)
        await overwrite(source, names.MODELS, POINTER, b"pointer to %d" % number)
        await source.files(names.MODELS).delete(f"loops/default/states/{number}.npz")

    await copied(Watched(source, publish), target)
    pointer = await target.files(names.MODELS).read(POINTER)
    assert pointer is not None
    states = [entry.name async for entry in target.files(names.MODELS).listing("loops/default/states/")]
    found = [await target.files(names.MODELS).read(name) for name in states]
    assert pointer.data.rpartition(b" ")[2] in [each.data for each in found if each]


async def test_a_commit_right_after_its_pointer_was_read_leaves_no_copy_without_the_files_that_the_pointer_names(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)
    numbers = iter(range(1, 4))

    async def commit(told: str) -> None:
        if told not in ("", f"read {POINTER} after") or (number := next(numbers, None)) is None:
            return
        name = f"{number:08d}-abc"
        pointer = Pointer(sequence=number, version="", published_at=EPOCH, watermark=EPOCH, figures=name, lookback=name)
        for place in (names.figures_file, names.lookback_file):
            await overwrite(source, names.MODELS, place("default", name), b"")
        await overwrite(source, names.MODELS, POINTER, write_pointer(pointer))
        for place in (names.figures_file, names.lookback_file):
            await source.files(names.MODELS).delete(place("default", f"{number - 1:08d}-abc"))

    await commit("")
    await copied(Watched(source, commit), target)
    assert await content(target) == await content(source)
    await source.files(names.MODELS).delete(names.lookback_file("default", "00000003-abc"))
    await copied(source, target)  # what is gone for good is no reason to wait
    assert await content(target) == await content(source)


async def test_a_source_that_never_rests_is_said_to_be_too_fast(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)

    numbers = iter(range(2, ROUNDS + 9))

    async def replace(told: str) -> None:
        if told.startswith("read loops/default/states") and told.endswith("before"):
            await source.files(names.MODELS).delete(told.split(" ")[1])
            await overwrite(source, names.MODELS, f"loops/default/states/{next(numbers)}.npz", b"new")

    with pytest.raises(StorageUnavailableError, match="changes faster than it can be copied"):
        await copied(Watched(source, replace), target)


async def test_each_reward_that_is_copied_has_its_decision(empty_store):
    """An event is decided and rewarded while tables are copied: whichever of its rows is there, its decision is."""
    source, target = empty_store(), empty_store()
    await put_small(source)
    observed = DAY.replace("d2", "o2")
    await put_row(source, "1", table=observed)
    told_of: list[str] = []

    async def decide_and_reward(told: str) -> None:
        if told.startswith("read rows") and told.endswith("before") and len(told_of) < 20:
            told_of.append(told)
            await put_row(source, f"9-{len(told_of):02d}")
            await put_row(source, f"9-{len(told_of):02d}", table=observed)

    await copied(Watched(source, decide_and_reward), target)
    there = await content(target)
    assert {row["RowKey"] for row in there[observed]} <= {row["RowKey"] for row in there[DAY]}


async def test_rows_that_the_copied_pointer_does_not_know_are_never_left_out_since_they_were_learned_meanwhile(empty_store):
    """A day is learned, joined and dropped while the loop's files are copied: its rows or a later pointer are in the copy."""
    source, target = empty_store(), empty_store()
    await put_small(source)
    learns = iter([True])

    async def learn(told: str) -> None:
        if told == "read loops/default/states/1.npz after" and next(learns, False):
            await overwrite(source, names.MODELS, POINTER, b"pointer that has learned the day")
            await source.rows.drop(DAY)

    await copied(Watched(source, learn), target)
    there = await content(target)
    assert DAY in there or there[f"{names.MODELS}/{POINTER}"][0] == b"pointer that has learned the day"


async def test_a_loop_that_is_made_meanwhile_is_copied_before_its_record(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)

    async def make(told: str) -> None:
        if told == f"read {POINTER} before":
            for name in ("loops/news/configuration.json", "loops/newsx0001/pointer.json", "loops/newsx0001/models/1.npz"):
                await overwrite(source, names.MODELS, name, b"new")

    await copied(Watched(source, make), target)
    there = await content(target)
    assert {f"{names.MODELS}/loops/newsx0001/{name}" for name in ("pointer.json", "models/1.npz")} <= there.keys()


async def test_an_analysis_under_way_is_copied_as_of_one_moment(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)
    board, lane = "loops/default/analyses/1/board", "loops/default/analyses/1/lane-0-0"
    steps = iter(range(1, 6))
    for name in (lane, board):
        await overwrite(source, names.MODELS, name, b"0")

    async def go_on(told: str) -> None:
        if told == f"read {lane} before":
            for step in steps:
                for name in (lane, board):
                    await overwrite(source, names.MODELS, name, b"%d" % step)
                return

    await copied(Watched(source, go_on), target)
    there = await content(target)
    assert there[f"{names.MODELS}/{board}"] == there[f"{names.MODELS}/{lane}"]


# --- the right place ---------------------------------------------------------------------------------------------------


async def test_a_target_that_holds_another_deployment_is_left_as_it_is(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)
    await put_row(target, "1")
    before = await content(target)
    with pytest.raises(SettingsError, match="holds a deployment already"):
        await copied(source, target)
    assert await content(target) == before


async def test_a_copy_of_another_storage_is_left_as_it_is(empty_store):
    one, two, target = empty_store(), empty_store(), empty_store()
    for each in (one, two):
        await put_small(each)
    await copied(one, target)
    with pytest.raises(SettingsError, match="a copy of another storage"):
        await copied(two, target, source_id="two")


@pytest.mark.parametrize("name", [POINTER, RECORD, "loops/default/usage/202605.json", "loops/own/configuration.json"])
async def test_a_copy_that_a_service_has_worked_with_is_never_written_over(empty_store, name):
    source, target = empty_store(), empty_store()
    await put_small(source)
    await copied(source, target)
    await overwrite(target, names.MODELS, name, b"of the service there")
    await overwrite(source, names.MODELS, POINTER, b"later")
    before = await content(target)
    with pytest.raises(SettingsError, match="a service has worked in the target"):
        await copied(source, target)
    assert await content(target) == before


async def test_a_row_that_only_the_target_has_tells_of_a_service_as_well(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)
    await copied(source, target)
    await put_row(target, "1a")
    with pytest.raises(SettingsError, match="a service works there"):
        await copied(source, target)
    assert "1a" in {row["RowKey"] for row in (await content(target))[DAY]}


@pytest.mark.parametrize("table", [DAY, DAY.replace("17", "18")])
async def test_a_copy_that_a_service_has_just_begun_to_work_with_is_left_whole(empty_store, table):
    """Nothing is learned there yet, so that only rows tell of it: the same day's, or the first ones of the next."""
    source, target = empty_store(), empty_store()
    await put_small(source)
    await copied(source, target)
    await put_row(target, "3", table=table)
    await put_row(source, "4")
    await overwrite(source, names.LOGS, "loops/default/log/two.json.gz", b"chunk")
    before = await content(target)
    with pytest.raises(SettingsError, match="a service works there"):
        await copied(source, target)
    assert await content(target) == before
    await check_whole(target)


async def test_an_empty_source_and_a_half_copied_one_are_refused(empty_store):
    source, target, third = empty_store(), empty_store(), empty_store()
    with pytest.raises(SettingsError, match="holds no deployment"):
        await copied(source, target)
    await put_small(source)
    hook, _ = killing(30)
    with pytest.raises(Killed):
        await copied(source, Watched(target, hook))
    with pytest.raises(StorageUnavailableError, match="a copy that is not whole"):
        await copied(target, third, source_id="target")


async def test_two_copies_to_one_place_at_the_same_time_are_told_apart(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)

    async def other(told: str) -> None:
        if told == f"put {MARK} before":
            watched.hook = lambda _: None
            await copied(source, target)

    watched = Watched(target, other)
    with pytest.raises(SettingsError, match="another copy"):
        await copied(source, watched)
    assert await content(target) == await content(source)


async def test_a_mark_of_a_later_release_is_refused(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)
    await copied(source, target)
    await overwrite(target, names.MODELS, MARK, b'{"format": 2, "source": "one", "whole": true, "last": {}, "more": 1}')
    with pytest.raises(NewerFormatError, match="the mark of a copy"):
        await copied(source, target)


# --- what cannot be copied ---------------------------------------------------------------------------------------------


async def test_a_row_of_a_foreign_kind_is_left_out_and_told(empty_store, account):
    target = empty_store()
    await put_small(account)
    await account.tables.get_table_client(DAY).upsert_entity({"PartitionKey": "p", "RowKey": "r", "At": datetime(2026, 5, 17, tzinfo=UTC)})
    done = await copied(account, target)
    assert list(done.foreign) == [f"{DAY}/p/r"]
    assert [row["RowKey"] for row in (await content(target))[DAY]] == ["1", "2"]


async def test_a_file_of_the_target_that_was_damaged_is_put_right(empty_store):
    source, target = empty_store(), empty_store()
    await put_small(source)
    await copied(source, target)
    await overwrite(target, names.LOGS, "loops/default/log/one.json.gz", b"CHUNK")
    done = await copied(source, target)
    assert (done.files, done.replaced) == (0, 1)
    assert await content(target) == await content(source)


async def test_a_target_whose_clock_is_behind_is_told(empty_store, new_store):
    """A store's time never goes back: the source's is an hour ahead, as after a clock that was set back."""
    folder = FolderSettings(Path(new_store()), make=True)
    made = EmbeddedStorage(folder, clock=SetClock(datetime.now(UTC) + timedelta(hours=1)))
    await put_small(made)
    await made.close()
    source = EmbeddedStorage(folder)
    assert (await copied(source, empty_store())).behind == pytest.approx(3600, abs=60)
    await source.close()
    right = empty_store()
    await put_small(right)
    assert (await copied(right, empty_store())).behind == 0
