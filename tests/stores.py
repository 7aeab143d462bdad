"""Storage as tests open it, and what they do to it behind the service's back."""

import base64
import itertools
import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from shared.storage import names
from shared.storage.opening import is_connection_string, named, open_storage
from shared.storage.ports import EVERYTHING, Row, Storage
from shared.storage.settings import AccountSettings, FolderSettings
from tests.simulation.engine import MemoryStorage, Stored

NewStorage = Callable[[], str]
"""Makes place for an empty storage that nobody else uses, and names it: a folder's path, or an account's connection string."""

ENGINES: Final = ("embedded", pytest.param("azurite", marks=pytest.mark.azurite))
"""Parameters of a fixture `engine` that has a file's tests run on each engine of storage."""

_MEMORY: Final = Path("/dev/shm")  # a folder of the tests' own is made in it
_AZURITE_LATER: Final = pytest.param("azurite", marks=[pytest.mark.azurite, pytest.mark.exhaustive])
FEW_ON_AZURITE: Final = ("embedded", pytest.param("azurite", marks=[pytest.mark.azurite, pytest.mark.sweep(keep=2, of_file=True)]))
"""The same for what stands on the ports, of which `tests/storage/ports` proves that the engines keep them alike: of all tests of a file
two run on Azurite, and in `make exhaustive` the others."""

on_both = pytest.mark.parametrize("engine", ENGINES)
embedded_first = pytest.mark.parametrize("engine", ["embedded", _AZURITE_LATER])
"""For tests that kill a process at many calls: by way of a proxy and the emulator that takes five times as long."""

in_memory_first = pytest.mark.parametrize("engine", ["memory", _AZURITE_LATER])
"""For tests of what becomes of the service when a call fails: on the wire they say the same, and take longer."""

memory_and_once_azurite = pytest.mark.parametrize(
    "engine", ["memory", pytest.param("azurite", marks=[pytest.mark.azurite, pytest.mark.sweep(keep=1)])]
)
"""For a sweep that takes no time in memory: all of it there, and one of its places on Azurite; `make exhaustive` has the others."""

on_azurite = pytest.mark.parametrize("engine", ENGINES[1:])
"""For one test of a file."""

_in_memory: Final[dict[str, Stored]] = {}
_numbers: Final = itertools.count()

_ROOM: Final = 1024**3
_TRIES: Final = 5
_FAILED: Final = 500

SHORT_PAUSES = {"retry_total": 3, "initial_backoff": 0.01, "increment_base": 0.1, "random_jitter_range": 0}
"""As many tries as the app makes, and hardly a pause between them."""


def quick_folder() -> Path | None:
    """Find a place in memory for stores that nobody needs after the tests: syncing them takes no time. None where there is not much."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM else None


def new_place(engine: str, request: pytest.FixtureRequest) -> str:
    """Make place for an empty storage on this engine; the fixtures for it are asked for only then.

    One in this process' memory takes no threads and no file, so it suits tests that say nothing of the engine and start no process.
    """
    if engine == "memory":
        return kept_in_memory(Stored())
    new: NewStorage = request.getfixturevalue("new_store" if engine == "embedded" else "new_account")
    return new()


def kept_in_memory(stored: Stored) -> str:
    """Give the place of what is stored in memory."""
    place = f"memory://{next(_numbers)}"  # no folder has such a name
    _in_memory[place] = stored
    return place


def in_memory(place: str) -> Stored:
    """Give what is stored in a place in memory."""
    return _in_memory[place]


def left(engine: str, place: str) -> None:
    """Let go of a place that no test needs any more; Azurite keeps its accounts."""
    _in_memory.pop(place, None)
    if engine == "embedded":
        shutil.rmtree(place, ignore_errors=True)


def opened(place: str) -> Storage:
    """Open what a test was given: an account by its connection string, with short pauses between tries, a folder, or memory."""
    if place in _in_memory:
        return MemoryStorage(_in_memory[place])
    settings = named(place)
    if isinstance(settings, AccountSettings):
        from shared.storage.azure.storage import AzureStorage

        return AzureStorage(settings, retries=SHORT_PAUSES)
    return open_storage(FolderSettings(settings.path, make=True))


def settings_of(place: str) -> dict[str, str]:
    """Give the app's settings that name this storage."""
    return {"AzureWebJobsStorage" if is_connection_string(place) else "PERSONALIZER_STORE": place}


async def received(storage: Storage, *, queue: str = names.JOBS, hidden_for: timedelta = timedelta(seconds=30)) -> bytes | None:
    """Take a message out of a queue; None if there is none to be had."""
    messages = storage.queue(queue)
    found = await messages.receive(most=1, hidden_for=hidden_for)
    if not found:
        return None
    await messages.delete(found[0])
    return base64.b64decode(found[0].text)


async def overwrite(storage: Storage, area: str, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write a file whatever is there; the metadata stay if none are given."""
    files = storage.files(area)
    present = await files.head(name, size=0)
    labels = metadata if metadata is not None else present and present.metadata
    await files.put(name, data, expected=present.etag if present else None, metadata=labels or None)


async def end_lease(storage: Storage, area: str, name: str) -> None:
    """Do what 15 seconds would: a lease that its holder cannot give back ends."""
    if isinstance(storage, MemoryStorage):
        storage.stored.areas[area][name].lease = ""
        return
    from shared.storage.embedded.storage import EmbeddedStorage

    if isinstance(storage, EmbeddedStorage):
        of_file = "file = (SELECT id FROM files WHERE area = ? AND name = ?)"
        await storage.run(
            "end a lease",
            lambda engine, due: engine.files.database.write(
                lambda connection: connection.execute(f"DELETE FROM leases WHERE {of_file}", (area, name)), due=due
            ),
        )
        return
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob.aio import BlobLeaseClient

    from shared.storage.azure.storage import AzureStorage

    assert isinstance(storage, AzureStorage)
    lease = BlobLeaseClient(storage.blobs.get_blob_client(area, name))
    for _ in range(_TRIES):  # a busy emulator refuses now and then
        try:
            await lease.break_lease(lease_break_period=0)
        except HttpResponseError as refused:
            if refused.status_code is not None and refused.status_code < _FAILED:  # nobody holds it
                return
        else:
            return
    raise AssertionError(f"the lease of {name} could not be ended")


async def listed(storage: Storage, area: str, prefix: str = "") -> set[str]:
    """Give the names of an area's files."""
    return {entry.name async for entry in storage.files(area).listing(prefix)}


async def rows_of(storage: Storage, table: str) -> list[dict[str, Any]]:
    """Give all rows of a table, in their order."""
    return [dict(row) async for page in storage.rows.read(table, EVERYTHING) for row in page]


async def first_row(storage: Storage, table: str) -> dict[str, Any]:
    """Give the first row of a table."""
    return (await rows_of(storage, table))[0]


async def rewrite(storage: Storage, table: str, rows: Iterable[Row]) -> None:
    """Have a table hold these rows and no others."""
    await storage.rows.drop(table)
    await storage.rows.create(table)
    await put_rows(storage, table, rows)


async def put_rows(storage: Storage, table: str, rows: Iterable[Row]) -> None:
    """Write rows past the log."""
    for row in rows:
        await storage.rows.put(table, row)
