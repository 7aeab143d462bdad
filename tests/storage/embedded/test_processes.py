"""Several event loops, threads, forks and processes on one store."""

import asyncio
import multiprocessing
import os
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop

from shared.domain.errors import SettingsError
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.ports import EVERYTHING, Storage
from shared.storage.settings import FolderSettings
from tests.patience import PATIENCE
from tests.ports import row


async def names(store: Storage, table: str = "day") -> list[str]:
    return [each["RowKey"] async for page in store.rows.read(table, EVERYTHING) for each in page]


async def put_some(folder: Path, writer: str, count: int = 20) -> None:
    store = EmbeddedStorage(FolderSettings(folder, make=True))
    await store.rows.create("day")
    for number in range(count):
        await store.rows.put("day", row("p", f"{writer}{number:03d}"))
        await store.files("models").put(f"{writer}/{number}", os.urandom(1_000), expected=None)
    await store.close()


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_event_loops_in_several_threads_share_a_store(folder, factory):
    errors: list[BaseException] = []

    def work(writer: str) -> None:
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(put_some(folder, writer))
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    store = EmbeddedStorage(FolderSettings(folder, make=True))
    assert len(asyncio.run(_read(store))) == 80


async def _read(store: EmbeddedStorage) -> list[str]:
    try:
        return await names(store)
    finally:
        await store.close()


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_that_was_forked_opens_the_store_itself_and_takes_nothing_from_its_parent(folder):
    """sqlite's locks do not go along in a fork: a child that counted on them would take the log from under its parent."""
    asyncio.run(put_some(folder, "before"))
    with asyncio.Runner() as runner:
        store = EmbeddedStorage(FolderSettings(folder, make=True))
        runner.run(store.rows.put("day", row("p", "parent")))
        context = multiprocessing.get_context("fork")
        for number in range(3):
            child = context.Process(target=_in_child, args=(store, folder, number))
            child.start()
            runner.run(store.rows.put("day", row("p", f"parent{number}")))
            child.join(30)
            assert child.exitcode == 0
        found = runner.run(names(store))
        runner.run(store.close())
    assert {name for name in found if not name.startswith("before")} == {
        "parent",
        *(f"{who}{number}" for who in ("parent", "child", "inherited") for number in range(3)),
    }
    for path in (folder / "rows").glob("*.db"):
        assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _in_child(inherited: EmbeddedStorage, folder: Path, number: int) -> None:
    async def work() -> None:
        own = EmbeddedStorage(FolderSettings(folder, make=True))
        await own.rows.put("day", row("p", f"child{number}"))
        await inherited.rows.put("day", row("p", f"inherited{number}"))
        await own.close()
        await inherited.close()

    with asyncio.Runner() as runner:
        runner.run(work())


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_parent_that_closes_the_store_takes_no_log_from_under_a_child_that_was_forked(folder):
    """Whoever closes a database last removes its log: that others have it open is told by locks, which a fork does not copy."""
    context = multiprocessing.get_context("fork")
    has_put, has_closed, has_put_again, may_end = (context.Event() for _ in range(4))

    def child() -> None:
        with asyncio.Runner() as runner:
            own = EmbeddedStorage(FolderSettings(folder, make=True))
            runner.run(own.rows.put("day", row("p", "first")))
            has_put.set()
            has_closed.wait(PATIENCE)
            runner.run(own.rows.put("day", row("p", "second")))
            has_put_again.set()
            may_end.wait(PATIENCE)
            runner.run(own.close())

    with asyncio.Runner() as runner:
        store = EmbeddedStorage(FolderSettings(folder, make=True))
        runner.run(store.rows.create("day"))
        runner.run(store.rows.put("day", row("p", "before")))
        process = context.Process(target=child)
        process.start()
        assert has_put.wait(PATIENCE)
        runner.run(store.close())
        has_closed.set()
        assert has_put_again.wait(PATIENCE)
        assert runner.run(names(store)) == ["before", "first", "second"]
        may_end.set()
        process.join(30)
        assert runner.run(names(store)) == ["before", "first", "second"]
        runner.run(store.close())


async def test_a_store_that_is_closed_has_no_database_open(folder):
    await put_some(folder, "x")
    assert [link for link in _open_files(folder) if ".db" in link] == []
    assert not [path for path in folder.rglob("*") if path.name.endswith(("-wal", "-shm"))]


def _open_files(folder: Path) -> list[str]:
    links = []
    for each in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(each.readlink()))
        except FileNotFoundError:
            continue
    return [link for link in links if link.startswith(str(folder))]


# --- copies ----------------------------------------------------------------------------------------------------------------------


async def test_a_copy_is_a_store_of_its_own_with_all_that_was_there(store, tmp_path):
    await store.rows.create("day")
    await store.rows.put("day", row("p", "1"))
    etag = await store.files("models").put("large", b"x" * 100_000, expected=None, metadata={"kind": "model"})
    await store.files("models").put("small", b"x", expected=None)
    await store.queue("jobs").send("job")
    await store.snapshot(tmp_path / "copy")
    await store.files("models").put("large", b"y" * 100_000, expected=etag)
    await store.rows.put("day", row("p", "2"))
    copy = EmbeddedStorage(FolderSettings(tmp_path / "copy"))
    assert await names(copy) == ["1"]
    found = await copy.files("models").read("large")
    assert found is not None
    assert (found.data, found.etag, found.metadata) == (b"x" * 100_000, etag, {"kind": "model"})
    await copy.files("models").put("large", b"z" * 100_000, expected=etag)
    await copy.rows.put("day", row("p", "3"))
    assert [message.text for message in await copy.queue("jobs").receive(most=1, hidden_for=timedelta(minutes=1))] == ["job"]
    assert await _data(store, "large") == b"y" * 100_000
    assert await names(store) == ["1", "2"]
    await copy.close()


async def test_a_copy_of_a_store_in_use_never_knows_more_than_its_rows(store, tmp_path):
    """Whoever commits writes rows first, and then a pointer that counts them, with a large file beside."""
    await store.rows.create("day")
    files = store.files("models")
    is_over = False

    async def work() -> None:
        number, etag, state = 0, None, None
        while not is_over:
            await store.rows.put("day", row("p", f"{number:05d}"))
            state = await files.put("state", str(number).encode() * 50_000, expected=state)
            etag = await files.put("pointer", str(number).encode(), expected=etag)
            number += 1

    working = asyncio.create_task(work())
    for number in range(5):
        await asyncio.sleep(0.2)
        await store.snapshot(tmp_path / f"copy{number}")
    is_over = True
    await working
    learned = []
    for number in range(5):
        copy = EmbeddedStorage(FolderSettings(tmp_path / f"copy{number}"))
        learned.append(int(await _data(copy, "pointer")))
        assert await _data(copy, "state") in {str(each).encode() * 50_000 for each in (learned[-1], learned[-1] + 1)}
        rows = await names(copy)
        assert rows == [f"{each:05d}" for each in range(len(rows))]
        assert len(rows) > learned[-1]
        await copy.close()
    assert learned == sorted(set(learned))


async def _data(store: Storage, name: str) -> bytes:
    found = await store.files("models").read(name)
    assert found is not None
    return found.data


async def test_a_copy_goes_into_no_folder_that_holds_something(store, tmp_path):
    await store.areas()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").touch()
    (tmp_path / "file").touch()
    for name in ("full", "file"):
        with pytest.raises(SettingsError, match="must be a folder that is not there, or empty"):
            await store.snapshot(tmp_path / name)
