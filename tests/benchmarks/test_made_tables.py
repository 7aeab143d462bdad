"""The file that takes the place of the Table service in a benchmark gives what the service gives."""

import random
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from benchmarks.made_tables import MadeAccount, MadeTables
from shared.storage.azure.storage import AzureStorage
from shared.storage.settings import AccountSettings
from tests.builders import T0, after, decision, observation
from tests.clocks import SetClock
from tests.reliability.world import event_log
from tests.stores import on_azurite


async def write_and_read(account: AzureStorage) -> tuple:
    """Append to a new log over some minutes, and read all of it back in each way."""
    clock, chance = SetClock(T0), random.Random(5)
    log = event_log(account, clock)
    for number in range(30):
        clock.at = after(number * 7)
        await log.append_decisions([decision(f"e{number}-{each}", at=clock.at) for each in range(chance.randint(1, 5))])
        await log.append_observations([observation(f"e{number}-0", chance.random(), at=clock.at)])
    until = after(24 * 3600)
    heads = [head async for minute in log.decision_heads(after(20), until) for head in minute]
    opened = await log.decisions(heads[3:9])
    found = await log.search("e7-0", T0, until, limit=1_000)
    return (
        [(head.key.sealed_at, head.count) for head in heads],
        [segment.events for segment in opened],
        [(head.key.sealed_at, head.count) for head in found.heads],
        await log.earliest(),
    )


@on_azurite
async def test_a_log_reads_the_same_from_the_file_as_from_the_service(storage, tmp_path):
    made, real = MadeAccount(storage, tmp_path / "tables"), AzureStorage(AccountSettings(connection_string=storage))
    try:
        assert await write_and_read(made) == await write_and_read(real)
    finally:
        await made.close()
        await real.close()


async def test_what_is_written_is_there_for_the_next_process(tmp_path):
    service = MadeTables(tmp_path / "tables")
    table = service.get_table_client("one")
    with pytest.raises(ResourceNotFoundError):
        await table.upsert_entity({"PartitionKey": "p", "RowKey": "r"})
    await table.create_table()
    with pytest.raises(ResourceExistsError):
        await table.create_table()
    await table.upsert_entity({"PartitionKey": "p", "RowKey": "r", "Payload00": b"x", "Number": 1})
    await service.close()
    assert await rows(tmp_path / "tables", "PartitionKey eq 'p'") == [{"PartitionKey": "p", "RowKey": "r", "Payload00": b"x", "Number": 1}]


async def test_pages_hold_no_more_rows_than_asked_for_and_of_each_what_was_selected(tmp_path):
    service = MadeTables(tmp_path / "tables")
    table = service.get_table_client("one")
    await table.create_table()
    for number in range(10):
        await table.upsert_entity({"PartitionKey": "p", "RowKey": f"{number}", "Payload00": b"x"})
    found = table.query_entities("PartitionKey ge 'p' and RowKey lt '7'", select=["PartitionKey", "RowKey"], results_per_page=3)
    pages = [[row async for row in page] async for page in found.by_page()]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert pages[2] == [{"PartitionKey": "p", "RowKey": "6"}]
    with pytest.raises(ValueError, match="not understood"):
        table.query_entities("RowKey eq '1' or RowKey eq '2'")
    await service.close()


async def rows(path: Path, chosen: str) -> list[dict]:
    service = MadeTables(path)
    found = [dict(row) async for page in service.get_table_client("one").query_entities(chosen).by_page() async for row in page]
    await service.close()
    return found
