"""What the engine in memory has beside the laws of the ports (`tests/storage/ports`)."""

from datetime import timedelta

import pytest

from shared.domain.errors import StorageUnavailableError
from tests.ports import row
from tests.simulation.engine import MemoryStorage, Stored


async def test_calls_and_bytes_are_counted():
    stored = Stored()
    storage = MemoryStorage(stored)
    await storage.rows.create("day")
    await storage.rows.put("day", row("p", "r", Payload00=b"x" * 100))
    await storage.files("models").put("a", b"x" * 1_000, expected=None)
    await storage.files("models").read("a")
    assert stored.traffic.calls == {"create": 1, "put": 1, "write": 1, "read": 1}
    assert stored.traffic.bytes == 100 + len("p") + len("r") + 1_000


async def test_a_table_that_was_dropped_keeps_its_name_for_a_while_as_in_azure():
    stored = Stored(name_is_kept=timedelta(hours=1))
    rows = MemoryStorage(stored).rows
    await rows.create("day")
    await rows.drop("day")
    with pytest.raises(StorageUnavailableError):
        await rows.create("day")
    stored.name_is_kept = timedelta(0)
    await rows.create("day")
