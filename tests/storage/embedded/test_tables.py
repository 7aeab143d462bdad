"""Tables are files of their own: what is dropped is gone, whoever dies on the way."""

import asyncio
import math
import os
import random
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import StorageUnavailableError
from shared.storage.embedded.catalogue import Catalogue
from shared.storage.embedded.database import Database
from shared.storage.embedded.engine import Engine
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.embedded.tables import PAGE_BYTES, TABLE, Asked, Limits, Tables
from shared.storage.embedded.times import FolderTime
from shared.storage.ports import CELL_BYTES, EVERYTHING, ROW_BYTES, AbsentError
from shared.storage.settings import FolderSettings
from tests.ports import row

SOON = 30.0


def due() -> float:
    return time.monotonic() + SOON


def ignore(job: Callable[[], None]) -> None:
    """Do no maintenance."""


async def read(store: EmbeddedStorage, table: str = "day") -> list[Any]:
    return [dict(each) async for page in store.rows.read(table, EVERYTHING) for each in page]


def tree(folder: Path) -> set[str]:
    return {path.name for path in (folder / "rows").iterdir()}


@pytest.mark.parametrize("value", [b"", b"\0", "", "caf\u00e9\0", 0, -1, 2**62, 1.5, -0.0, math.inf, True, False])
async def test_a_value_comes_back_as_what_it_was(store, value):
    await store.rows.create("day")
    await store.rows.put("day", row("p", "r", Value=value))
    [found] = await read(store)
    assert (type(found["Value"]), repr(found["Value"])) == (type(value), repr(value))


async def test_no_number_comes_back_as_none_and_nothing_is_no_column(store):
    await store.rows.create("day")
    await store.rows.put("day", row("p", "r", Nan=math.nan, Nothing=None))
    [found] = await read(store)
    assert math.isnan(found["Nan"])
    assert found.get("Nothing") is None


@pytest.mark.parametrize(
    "wrong",
    [
        row("p", "r", A=b"x" * (CELL_BYTES + 1)),
        row("p", "r", **{f"C{number}": b"x" * CELL_BYTES for number in range(ROW_BYTES // CELL_BYTES + 1)}),
        row("p", "r", **{f"C{number}": 1 for number in range(256)}),
        row("p", "r", A=object()),
        row("p", "r", A=2**63),
        row("p", "\ud800"),
        {"PartitionKey": "p"},
        {"PartitionKey": 1, "RowKey": "r"},
    ],
    ids=["cell", "row", "columns", "object", "number", "half a character", "no key", "key"],
)
async def test_a_row_that_cannot_be_kept_as_it_is_is_refused_and_leaves_nothing(store, wrong):
    await store.rows.create("day")
    with pytest.raises(StorageUnavailableError):
        await store.rows.put("day", wrong)
    assert await read(store) == []
    await store.rows.put("day", row("p", "good"))
    assert len(await read(store)) == 1


async def test_a_page_is_bounded_in_bytes(store):
    await store.rows.create("day")
    for number in range(40):
        await store.rows.put("day", row("p", f"{number:02d}", **{f"C{each}": b"x" * CELL_BYTES for each in range(6)}))
    pages = [page async for page in store.rows.read("day", EVERYTHING)]
    sizes = [sum(len(value) for each in page for value in each.values() if isinstance(value, bytes)) for page in pages]
    assert len(pages) > 1
    assert max(sizes) <= PAGE_BYTES
    assert [each["RowKey"] for page in pages for each in page] == [f"{number:02d}" for number in range(40)]


async def test_keys_and_chosen_columns_are_read_without_the_others(store, folder):
    """A damaged payload is not noticed by who does not read it: its pages are not looked at."""
    await store.rows.create("day")
    for number in range(50):
        await store.rows.put("day", row("p", f"{number:02d}", Payload=b"payload!" * 8_000, Sightings=b"small"))
    await store.close()
    [file] = (folder / "rows").iterdir()
    file.write_bytes(file.read_bytes().replace(b"payload!", b"damaged!"))
    keys = [each async for page in store.rows.read("day", EVERYTHING, select=["PartitionKey", "RowKey"]) for each in page]
    sighted = [each async for page in store.rows.read("day", EVERYTHING, select=["RowKey", "Sightings"]) for each in page]
    assert len(keys) == len(sighted) == 50
    assert {each["Sightings"] for each in sighted} == {b"small"}
    reading = bytes_read(lambda: asyncio.run(_keys(folder)))
    assert reading < file.stat().st_size / 10


async def _keys(folder: Path) -> None:
    storage = EmbeddedStorage(FolderSettings(folder, make=True))
    async for _ in storage.rows.read("day", EVERYTHING, select=["PartitionKey", "RowKey", "Sightings"]):
        pass
    await storage.close()


def bytes_read(work: Callable[[], None]) -> int:
    """Tell how many bytes the process asks the system for meanwhile, in a thread that has no event loop."""

    def told() -> int:
        return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])

    before = told()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(work).result()
    return told() - before


async def test_nothing_is_left_of_what_was_dropped(store, folder):
    for number in range(5):
        await store.rows.create(f"day{number}")
        await store.rows.put(f"day{number}", row("p", "r", Payload=os.urandom(60_000)))
        await store.rows.drop(f"day{number}")
    assert tree(folder) == set()
    assert await store.rows.tables() == []


async def test_another_process_lets_go_of_a_dropped_file_when_it_is_next_asked(store, folder):
    limits = Limits(looked_after=0.5)
    other = Tables(folder, maintain=ignore, limits=limits)
    await store.rows.create("day")
    await store.rows.create("kept")
    for table in ("day", "kept"):
        other.put(table, row("p", "r"), due=due())
    await store.rows.drop("day")
    assert gone_but_open(folder) > 0
    await asyncio.sleep(limits.looked_after)
    other.put("kept", row("p", "s"), due=due())
    assert gone_but_open(folder) == 0
    other.close()


def gone_but_open(folder: Path) -> int:
    """Count this process's open files of the store that have no name any more."""
    links = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return sum(link.startswith(str(folder)) and link.endswith("(deleted)") for link in links)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_files_that_are_open_at_a_time_are_bounded(store, folder):
    few = Tables(folder, maintain=ignore, limits=Limits(open=3))
    for number in range(12):
        await store.rows.create(f"day{number}")
    await store.close()
    few.put("day0", row("p", "r"), due=due())
    before = open_files()
    for number in range(1, 12):
        few.put(f"day{number}", row("p", "r"), due=due())
    assert open_files() - before < 3 * 6
    few.close()
    for number in range(12):
        assert len(await read(store, f"day{number}")) == 1


class DiedError(Exception):
    pass


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("then", ["put", "create", "drop", "open"])
async def test_a_drop_that_died_half_way_is_finished_by_whoever_comes_next(folder, step, then):
    """However far it came, the table is either still there as it was, or it is on its way out and nothing of it comes back."""
    first = EmbeddedStorage(FolderSettings(folder, make=True))
    await first.rows.create("day")
    await first.rows.put("day", row("p", "old"))
    await first.close()
    dying = Dying(folder, step)
    with pytest.raises(DiedError):
        dying.drop("day", due=due())
    dying.close()
    store = EmbeddedStorage(FolderSettings(folder, make=True))
    if step == 0:
        assert await read(store) == [row("p", "old")]
        await store.rows.drop("day")
    if then == "put":
        with pytest.raises(AbsentError):
            await store.rows.put("day", row("p", "late"))
        assert await read(store) == []
    if then in ("put", "create"):
        await store.rows.create("day")
        assert await read(store) == []
        await store.rows.put("day", row("p", "new"))
        assert await read(store) == [row("p", "new")]
        await store.rows.drop("day")
    if then == "drop":
        await store.rows.drop("day")
    if then == "open":
        assert await store.rows.tables() == []
    await store.close()
    await sweep(folder)
    assert tree(folder) == set()


class Dying(Tables):
    """Dies before the step of this number: of those that are written, and then of those that remove files."""

    def __init__(self, folder: Path, step: int) -> None:
        super().__init__(folder, maintain=ignore)
        self._steps = step
        self.catalogue.write = self._dying(self.catalogue.write)  # type: ignore[method-assign]

    def _dying(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            self._step()
            return work(*arguments, **options)

        return step

    def _step(self) -> None:
        if self._steps == 0:
            raise DiedError
        self._steps -= 1

    def _finish(self, table: str, file: str, due: float) -> None:
        self._step()
        super()._finish(table, file, due)

    def _unlink(self, file: str) -> None:
        self._step()
        (self._folder / file).unlink()
        self._step()


async def sweep(folder: Path) -> None:
    """Open the store once more when all that was left is old."""
    for path in (folder / "rows").iterdir():
        os.utime(path, (0, 0))
    (folder / "swept").unlink(missing_ok=True)
    store = EmbeddedStorage(FolderSettings(folder, make=True))
    await store.areas()
    await store.close()


async def test_a_file_that_was_made_and_never_named_goes_when_it_is_old(store, folder):
    await store.rows.create("day")
    await store.close()
    orphan = Database(folder / "rows" / "day-0123456789ab.db", TABLE)
    orphan.make(due=due())
    orphan.close()
    await store.areas()
    await store.close()
    assert "day-0123456789ab.db" in tree(folder)  # it may be one that another process is about to name
    await sweep(folder)
    assert [name.startswith("day-") and name != "day-0123456789ab.db" for name in tree(folder)] == [True]


async def test_a_writer_that_has_a_dropped_file_open_is_told(store, folder):
    other = Tables(folder, maintain=ignore)
    await store.rows.create("day")
    other.put("day", row("p", "1"), due=due())
    await store.rows.drop("day")
    with pytest.raises(AbsentError):
        other.put("day", row("p", "2"), due=due())
    await store.rows.create("day")
    other.put("day", row("p", "3"), due=due())
    other.close()
    assert [each["RowKey"] for each in await read(store)] == ["3"]


async def test_the_write_ahead_log_stays_short_while_a_table_is_written(store, folder):
    await store.rows.create("day")
    for number in range(300):
        await store.rows.put("day", row("p", f"{number:04d}", Payload=os.urandom(60_000)))
    [log] = [path for path in (folder / "rows").iterdir() if path.name.endswith("-wal")]
    assert log.stat().st_size <= 16 * 1024 * 1024  # of 18 that were written; a busy machine looks after it late, and cuts it to this


async def test_a_copy_of_the_folder_at_any_moment_opens_with_all_that_was_acknowledged_before(store, folder, tmp_path):
    """The files are copied one after another, as they are at a power cut between two writes: while nothing is written."""
    await store.rows.create("day")
    chance = random.Random(3)
    written = []
    for number in range(30):
        written.append(f"{number:02d}")
        await store.rows.put("day", row("p", written[-1], Payload=os.urandom(chance.randrange(60_000))))
        etag = await store.files("models").put(f"f{number}", os.urandom(chance.randrange(200_000)), expected=None)
        await store.queue("jobs").send(str(number))
        if number % 5 == 4:
            image = tmp_path / f"image{number}"
            shutil.copytree(folder, image)
            copied = EmbeddedStorage(FolderSettings(image))
            assert [each["RowKey"] for each in await read(copied)] == written
            found = await copied.files("models").read(f"f{number}")
            assert found is not None
            assert found.etag == etag
            await copied.close()


async def test_a_content_that_no_file_has_goes_when_it_is_old(store, folder):
    """As a process leaves it that died before the catalogue named it, or after the catalogue named another."""
    await store.files("models").put("kept", b"x" * 100_000, expected=None)
    await store.close()
    [kept] = (folder / "content").glob("*/*")
    for name, age in (("0" * 32, 7_200), ("1" * 32, 0)):
        orphan = folder / "content" / name[:2] / name
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_bytes(b"x" * 100_000)
        os.utime(orphan, (time.time() - age, time.time() - age))
    os.utime(kept, (0, 0))
    await sweep(folder)
    assert {path.name for path in (folder / "content").glob("*/*")} == {kept.name, "1" * 32}
    found = await store.files("models").read("kept")
    assert found is not None
    assert len(found.data) == 100_000


@pytest.mark.parametrize("what", ["table", "file"])
async def test_what_was_written_is_not_swept_before_it_has_its_name_though_the_clock_is_set_far_ahead(store, folder, what):
    """It is named after all, or it is refused: what is named is there."""
    await store.areas()
    await store.close()
    tables, files = Swept(folder), SweptFiles(folder, FolderTime(folder), maintain=ignore)
    written = {
        "table": lambda: tables.create("day", due=due()),
        "file": lambda: files.put("models", "large", b"x" * 100_000, expected=None, metadata={}, due=due()),
    }
    with pytest.raises(StorageUnavailableError, match="gone before it has its name"):
        written[what]()
    tables.close()
    files.close()
    await store.rows.create("day")
    await store.rows.put("day", row("p", "r"))
    await store.files("models").put("large", b"x" * 100_000, expected=None)


class Swept(Tables):
    """Its folder is swept by a process whose clock is far ahead, just before a table is named."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, maintain=ignore)
        self.catalogue.write = swept_before(self.catalogue.write, folder)  # type: ignore[method-assign]


class SweptFiles(Catalogue):
    """Its folder is swept by a process whose clock is far ahead, just before a content is named."""

    def __init__(self, folder: Path, at: FolderTime, *, maintain: Callable[[Callable[[], None]], None]) -> None:
        super().__init__(folder, at, maintain=maintain)
        self.database.write = swept_before(self.database.write, folder)  # type: ignore[method-assign]


def swept_before(write: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    def swept_and_written(*arguments: Any, **options: Any) -> Any:
        for path in [*(folder / "rows").iterdir(), *(folder / "content").glob("*/*")]:
            os.utime(path, (0, 0))
        tables, files = Tables(folder, maintain=ignore), Catalogue(folder, FolderTime(folder), maintain=ignore)
        tables.sweep(due=due())
        files.sweep(due=due())
        tables.close()
        files.close()
        return write(*arguments, **options)

    return swept_and_written


async def test_what_the_dead_have_left_is_looked_for_though_a_clock_was_years_ahead_when_that_was_last_done(store, folder):
    await store.areas()
    await store.close()
    orphan = folder / "content" / "00" / ("0" * 32)
    orphan.parent.mkdir()
    orphan.write_bytes(b"x")
    for path in (folder / "swept", orphan):
        os.utime(path, (time.time() + 1e8, time.time() + 1e8))
    await store.areas()
    await store.close()
    assert not orphan.exists()


async def test_what_the_dead_have_left_goes_while_a_service_runs_for_long(folder):
    engine = Engine(folder, FolderTime(folder), swept_every=0.0)
    engine.may_make = True
    orphan = folder / "content" / "00" / ("0" * 32)
    await engine.run("make the store", lambda engine, due: engine.files.areas(due=due))
    orphan.parent.mkdir()
    orphan.write_bytes(b"x")
    os.utime(orphan, (0, 0))
    async with asyncio.timeout(10):
        while orphan.exists():
            await engine.run("go on", lambda engine, due: engine.files.areas(due=due))
    engine.close()


async def test_a_lease_that_would_last_longer_than_any_is_of_an_earlier_start_of_the_machine(store, folder):
    """So it is where nothing tells one start from another: the seconds since the start began again."""
    await store.files("models").put("lease", b"", expected=None)
    assert await store.files("models").acquire("lease", seconds=15)
    await store.close()
    files = Catalogue(folder, FolderTime(folder), maintain=ignore)
    files.database.write(lambda connection: connection.execute("UPDATE leases SET until = until + 864000"), due=due())
    files.close()
    assert await store.files("models").acquire("lease", seconds=15)
    assert await store.files("models").acquire("lease", seconds=15) is None


async def test_a_refused_content_goes_once_another_write_has_succeeded(store, folder):
    await store.files("models").put("kept", b"x" * 100_000, expected=None)
    await store.close()
    files = Catalogue(folder, FolderTime(folder), maintain=ignore)
    write = files.database.write

    def broken(job: Callable[[Any], Any], **options: Any) -> Any:
        def refused(connection: Any) -> Any:
            job(connection)
            raise StorageUnavailableError("the disk broke at the end")

        return write(refused, **options)

    files.database.write = broken  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailableError):
        files.put("models", "large", b"x" * 100_000, expected=None, metadata={}, due=due())
    assert len(list((folder / "content").glob("*/*"))) == 2
    files.database.write = write  # type: ignore[method-assign]
    files.put("models", "small", b"x", expected=None, metadata={}, due=due())
    assert len(list((folder / "content").glob("*/*"))) == 1
    files.close()


async def test_a_table_that_others_close_again_and_again_is_not_taken_for_an_empty_one(store, folder):
    """A reader that is told of no rows goes on, and does not come back."""
    await store.rows.create("day")
    await store.rows.put("day", row("p", "r"))
    await store.close()
    tables = Closed(folder, maintain=ignore)
    with pytest.raises(StorageUnavailableError, match="faster than it can be used"):
        tables.page("day", Asked(EVERYTHING, None, None, 10), due=due())
    tables.close()


class Closed(Tables):
    """Each of its tables is closed by others before it is used."""

    def _opened(self, table: str, due: float) -> Any:
        used = super()._opened(table, due)
        used.database.close()
        return used


async def test_nothing_is_left_of_the_contents_of_files_that_were_replaced_or_deleted(store, folder):
    files = store.files("models")
    etag = None
    for number in range(5):
        etag = await files.put("state", str(number).encode() * 100_000, expected=etag)
    assert len(list((folder / "content").glob("*/*"))) == 1
    await files.delete("state")
    assert list((folder / "content").glob("*/*")) == []


async def test_several_processes_that_write_one_table_keep_its_log_short(store, folder):
    """Each empties it, also while others write."""
    other = Tables(folder, maintain=lambda job: job())
    await store.rows.create("day")
    row_of = {"Payload": os.urandom(60_000)}
    for number in range(0, 400, 2):
        other.put("day", row("p", f"{number:04d}", **row_of), due=due())
        await store.rows.put("day", row("p", f"{number + 1:04d}", **row_of))
    [log] = [path for path in (folder / "rows").iterdir() if path.name.endswith("-wal")]
    assert log.stat().st_size < 16 * 1024 * 1024  # of 25 that were written
    other.close()
