"""The laws of tables, for every engine."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from shared.domain.errors import StorageUnavailableError
from shared.domain.patience import patience
from shared.storage.ports import EVERYTHING, AbsentError, KeyRange, Row, RowStore, Storage
from tests.ports import Deployment, drop_or_put, in_processes, put_rows, row

KEYS = ["PartitionKey", "RowKey"]


async def rows_of(rows: RowStore, table: str, chosen: KeyRange = EVERYTHING, select: Sequence[str] | None = None) -> list[Row]:
    return [dict(each) async for page in rows.read(table, chosen, select=select) for each in page]


async def keys_of(rows: RowStore, table: str, chosen: KeyRange = EVERYTHING) -> list[tuple[str, str]]:
    return [(each["PartitionKey"], each["RowKey"]) for each in await rows_of(rows, table, chosen, KEYS)]


@pytest.fixture
async def rows(store: Storage) -> RowStore:
    await store.rows.create("day")
    return store.rows


async def test_rows_come_in_the_order_of_their_partitions_and_then_of_their_names(rows):
    keys = [("b", "1"), ("a", "2"), ("a", "10"), ("B", "1"), ("a", "é"), ("a", "~"), ("10", "x"), ("9", "x")]
    for key in keys:
        await rows.put("day", row(*key))
    assert await keys_of(rows, "day") == sorted(keys)


async def test_what_was_put_is_read_back_whole(rows):
    columns = {"Payload00": bytes(range(256)) * 256, "Payload01": b"", "Sightings": b"\0\xff"}
    await rows.put("day", row("p", "r", **columns))
    assert await rows_of(rows, "day") == [row("p", "r", **columns)]


async def test_the_largest_row_of_ours_fits(rows):
    columns = {f"Payload{number:02d}": bytes([number]) * 64 * 1024 for number in range(11)}
    await rows.put("day", row("p", "r", **columns))
    assert await rows_of(rows, "day") == [row("p", "r", **columns)]


@pytest.mark.parametrize("is_closed", [False, True])
async def test_a_range_is_of_both_keys_and_its_upper_ends_belong_to_it_if_it_is_closed(rows, is_closed):
    keys = [(partition, name) for partition in "abcd" for name in "1234"]
    for key in keys:
        await rows.put("day", row(*key))
    lasts = ("abc", "23") if is_closed else ("ab", "2")
    expected = [(partition, name) for partition, name in keys if partition in lasts[0][1:] and name in lasts[1]]
    assert await keys_of(rows, "day", KeyRange("b", "c", "2", "3", closed=is_closed)) == expected


async def test_one_row_is_chosen_by_a_closed_range_of_itself(rows):
    for name in ("1", "2", "3"):
        await rows.put("day", row("p", name))
    assert await keys_of(rows, "day", KeyRange("p", "p", "2", "2", closed=True)) == [("p", "2")]
    assert await keys_of(rows, "day", KeyRange("p", "p", "2", "2")) == []
    assert await keys_of(rows, "day", KeyRange("p", "p", "2", "3", closed=True)) == [("p", "2"), ("p", "3")]


async def test_only_the_columns_that_are_named_are_brought(rows):
    await rows.put("day", row("p", "1", Payload00=b"large", Sightings=b"small"))
    await rows.put("day", row("p", "2", Payload00=b"large"))
    found = await rows_of(rows, "day", select=[*KEYS, "Sightings"])
    present = [{name: value for name, value in each.items() if value is not None} for each in found]
    assert present == [row("p", "1", Sightings=b"small"), {"PartitionKey": "p", "RowKey": "2"}]


async def test_a_row_takes_the_place_of_the_one_of_its_keys_with_all_its_columns(rows):
    await rows.put("day", row("p", "1", Payload00=b"old", Payload01=b"old"))
    await rows.put("day", row("p", "2", Payload00=b"other"))
    await rows.put("day", row("p", "1", Payload00=b"new"))
    assert await rows_of(rows, "day") == [row("p", "1", Payload00=b"new"), row("p", "2", Payload00=b"other")]


async def test_pages_are_as_small_as_is_asked_and_each_row_is_on_one_of_them(rows):
    keys = [(partition, f"{number}") for partition in "ab" for number in range(5)]
    for key in keys:
        await rows.put("day", row(*key))
    pages = [page async for page in rows.read("day", EVERYTHING, page=3)]
    assert all(1 <= len(page) <= 3 for page in pages)
    assert [(each["PartitionKey"], each["RowKey"]) for page in pages for each in page] == keys


async def test_rows_that_come_while_pages_are_read_disturb_no_others(rows):
    for number in range(0, 20, 2):
        await rows.put("day", row("p", f"{number:02d}"))
    found = []
    async for page in rows.read("day", EVERYTHING, page=2):
        found += [each["RowKey"] for each in page]
        await rows.put("day", row("p", f"{len(found) * 2 - 1:02d}"))
    assert sorted(set(found)) == found
    assert {f"{number:02d}" for number in range(0, 20, 2)} <= set(found)


async def test_a_table_that_is_not_there_takes_no_row_and_has_none(rows):
    with pytest.raises(AbsentError):
        await rows.put("other", row("p", "1"))
    assert await rows_of(rows, "other") == []
    await rows.drop("other")
    assert await rows.tables() == ["day"]


async def test_making_a_table_that_is_there_changes_nothing(rows):
    await rows.put("day", row("p", "1"))
    await rows.create("day")
    assert await keys_of(rows, "day") == [("p", "1")]


async def test_tables_are_listed(rows):
    await rows.create("another")
    assert sorted(await rows.tables()) == ["another", "day"]


async def test_a_dropped_table_is_gone_and_one_made_later_is_empty(rows):
    await rows.put("day", row("p", "1"))
    await rows.drop("day")
    assert await rows.tables() == []
    assert await rows_of(rows, "day") == []
    with pytest.raises(AbsentError):
        await rows.put("day", row("p", "2"))
    await rows.create("day")
    assert await rows_of(rows, "day") == []
    await rows.put("day", row("p", "3"))
    assert await keys_of(rows, "day") == [("p", "3")]


async def test_what_another_has_dropped_and_made_anew_is_written_and_read_as_it_is_now(rows, opened):
    await rows.put("day", row("p", "old"))
    other = opened()
    await other.rows.drop("day")
    await other.rows.create("day")
    assert await rows_of(rows, "day") == []
    await rows.put("day", row("p", "new"))
    assert await keys_of(other.rows, "day") == [("p", "new")]


async def test_what_was_put_is_there_after_all_is_closed(store, opened):
    await store.rows.create("day")
    await store.rows.put("day", row("p", "1"))
    await store.close()
    assert await keys_of(opened().rows, "day") == [("p", "1")]
    assert await keys_of(store.rows, "day") == [("p", "1")]


async def test_many_writers_of_one_loop_disturb_each_other_not(rows):
    await asyncio.gather(*(rows.put("day", row(f"p{number % 3}", f"{number:03d}")) for number in range(60)))
    assert len(await keys_of(rows, "day")) == 60


async def test_a_row_is_not_written_after_it_had_to_be_sent(store, rows):
    with store.time.sending_within(timedelta(seconds=-1)), pytest.raises(StorageUnavailableError):
        await rows.put("day", row("p", "late"))
    with store.time.sending_within(timedelta(seconds=30)):
        await rows.put("day", row("p", "in time"))
    assert await keys_of(rows, "day") == [("p", "in time")]


async def test_who_has_no_time_left_hears_so_at_once(rows):
    with patience(timedelta(0)), pytest.raises(StorageUnavailableError):
        await rows_of(rows, "day")


def test_threads_that_wait_ask_the_same_storage(deployment):
    storage = deployment.open()
    deadline = timedelta(seconds=30)
    storage.waiter.ask(lambda asked: asked.rows.create("day"), deadline=deadline)
    storage.waiter.ask(lambda asked: asked.rows.put("day", row("p", "1")), deadline=deadline)
    assert storage.waiter.ask(lambda asked: keys_of(asked.rows, "day"), deadline=deadline) == [("p", "1")]
    asyncio.run(storage.close())


async def test_several_processes_write_one_table_which_the_first_of_them_makes(deployment: Deployment, store: Storage):
    acknowledged = await in_processes(put_rows, *((deployment, "shared", writer, 15) for writer in "abc"))
    assert sorted(name for _, name in await keys_of(store.rows, "shared")) == sorted(name for names in acknowledged for name in names)


async def test_what_several_processes_put_while_a_table_is_dropped_is_not_in_a_later_one(deployment, store, rows):
    counts = await in_processes(drop_or_put, *((deployment, "day", writer) for writer in ("a", "b", "")))
    assert sum(counts) > 0
    await rows.create("day")
    assert await keys_of(rows, "day") == []
