"""What goes wrong with a folder is said in a sentence; nothing is acknowledged that is not stored; and it goes on by itself."""

import asyncio
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.errors import SettingsError, StorageUnavailableError
from shared.storage.embedded.folder import file_system, held_by_one_service
from shared.storage.embedded.storage import EmbeddedStorage, check_store
from shared.storage.ports import EVERYTHING, Storage
from shared.storage.settings import FolderSettings
from tests.patience import PATIENCE
from tests.ports import row

REPOSITORY = Path(__file__).resolve().parents[3]


async def names(store: Storage, table: str = "day") -> list[str]:
    return [each["RowKey"] async for page in store.rows.read(table, EVERYTHING) for each in page]


async def filled(folder: Path) -> None:
    """Make a store with two days, a large file, a small one, and a message."""
    store = EmbeddedStorage(FolderSettings(folder, make=True))
    for table in ("day", "other"):
        await store.rows.create(table)
        for number in range(50):
            await store.rows.put(table, row("p", f"{number:02d}", Payload=os.urandom(3_000)))
    await store.files("models").put("large", b"x" * 1_000_000, expected=None)
    await store.files("models").put("small", b"x", expected=None)
    await store.queue("jobs").send("x")
    await store.close()


@pytest.fixture
async def full(folder: Path) -> Path:
    await filled(folder)
    return folder


def day_file(folder: Path, table: str = "day") -> Path:
    [path] = (folder / "rows").glob(f"{table}-*.db")
    return path


# --- who may read it ---------------------------------------------------------------------------------------------------------


def test_only_its_owner_reads_a_new_store_and_a_folder_that_is_there_keeps_its_mode(tmp_path):
    new, there = tmp_path / "above" / "new", tmp_path / "there"
    there.mkdir(mode=0o750)
    before = os.umask(0o022)
    try:
        for folder in (new, there):
            check_store(FolderSettings(folder, make=True))
    finally:
        os.umask(before)
    assert [folder.stat().st_mode & 0o777 for folder in (new, there, new.parent)] == [0o700, 0o750, 0o755]


# --- what a person has to mend -----------------------------------------------------------------------------------------------


async def refused(folder: Path, sentence: str) -> None:
    """At the start the sentence is said, and a call that comes later is answered with it as well."""
    settings = FolderSettings(folder, make=not sentence.startswith("there is no"))
    with pytest.raises(SettingsError, match=sentence) as told:
        await asyncio.to_thread(check_store, settings)
    assert "\n" not in str(told.value)
    store = EmbeddedStorage(settings)
    with pytest.raises(StorageUnavailableError, match=sentence):
        await store.rows.tables()
    await store.close()


async def test_a_store_that_is_a_file_is_refused(folder):
    folder.write_text("not a folder")
    await refused(folder, "must be a folder")


async def test_a_folder_of_other_things_is_refused_and_nothing_is_done_in_it(folder):
    folder.mkdir()
    (folder / "letters").mkdir()
    await refused(folder, "holds other things")
    assert [path.name for path in folder.iterdir()] == ["letters"]


async def test_an_empty_folder_becomes_a_store_also_if_it_is_a_disks_own(folder):
    (folder / "lost+found").mkdir(parents=True)
    await asyncio.to_thread(check_store, FolderSettings(folder, make=True))
    assert (folder / "store.json").exists()


async def test_a_store_is_made_only_where_one_may_be(folder):
    await refused(folder, "there is no store in")
    assert not folder.exists()


async def test_a_store_of_a_newer_release_is_refused(full):
    about = json.loads((full / "store.json").read_text())
    (full / "store.json").write_text(json.dumps({**about, "format": 2}))
    await refused(full, "format version 2; this release reads up to 1: upgrade")


@pytest.mark.parametrize("name", ["tables.db", "files.db", "queue.db"])
async def test_a_database_of_a_newer_release_is_refused(full, name):
    connection = sqlite3.connect(full / name)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    await refused(full, "format version 2; this release reads up to 1: upgrade")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "x"}', "{}"])
async def test_a_store_whose_description_is_damaged_is_refused(full, text):
    (full / "store.json").write_text(text)
    await refused(full, "store.json is damaged")


@pytest.mark.parametrize("name", ["tables.db", "files.db", "queue.db"])
async def test_a_database_that_is_missing_is_not_made_anew(full, name):
    (full / name).unlink()
    await refused(full, f"{name} is missing")
    assert not (full / name).exists()


@pytest.mark.parametrize("name", ["tables.db", "files.db", "queue.db"])
async def test_a_file_that_is_no_database_is_refused(full, name):
    (full / name).write_bytes(b"no database at all" * 1_000)
    await refused(full, f"{name} is damaged: file is not a database")


async def test_a_database_of_somebody_else_is_refused(full):
    (full / "files.db").unlink()
    connection = sqlite3.connect(full / "files.db")
    connection.execute("CREATE TABLE theirs(id)")
    connection.close()
    await refused(full, "files.db is not the catalogue of a store's files")


@pytest.mark.parametrize(
    ("kind", "place"),
    [("nfs4", "/mnt/share"), ("cifs", "/mnt"), ("fuse.sshfs", "/mnt/share/with\\040space"), ("9p", "/mnt/c")],
)
def test_the_kind_of_a_file_system_is_told_by_the_nearest_mount(tmp_path, kind, place):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        f"30 22 0:35 / {place} rw shared:2 - {kind} server:/export rw\n"
        "31 22 0:36 / /tmp rw - tmpfs tmpfs rw\n"
        "odd line\n"
    )
    assert file_system(Path(place.replace("\\040", " ")) / "store", mounts=mounts) == kind
    assert file_system(Path("/srv/store"), mounts=mounts) == "ext4"
    assert file_system(Path("/tmpdir"), mounts=mounts) == "ext4"
    assert file_system(Path("/srv"), mounts=tmp_path / "none") == ""


def test_this_machines_disk_is_no_network(tmp_path):
    assert file_system(tmp_path) not in ("", "nfs", "cifs")


AS_NOBODY = """
import encodings.ascii, os, sys
sys.path.insert(0, "")
from pathlib import Path
from shared.storage.embedded.storage import check_store
from shared.domain.errors import SettingsError
from shared.storage.settings import FolderSettings
if os.getuid() == 0:
    os.setuid(65534)
try:
    check_store(FolderSettings(Path(sys.argv[1]), make=True))
except SettingsError as error:
    print(error)
"""


@pytest.mark.parametrize("what", ["folder", "rows", "files.db", "new"])
def test_a_store_that_may_not_be_written_is_refused(tmp_path, what):
    os.chmod(tmp_path, 0o755)  # noqa: PTH101
    for parent in tmp_path.parents[:2]:
        os.chmod(parent, 0o755)  # noqa: PTH101
    folder = tmp_path / "store"
    if what == "new":
        os.chmod(tmp_path, 0o555)  # noqa: PTH101
    else:
        asyncio.run(filled(folder))
        for path in [folder, *folder.rglob("*")]:
            os.chmod(path, 0o777 if path.is_dir() else 0o666)  # noqa: PTH101
        chosen = folder if what == "folder" else folder / what
        os.chmod(chosen, 0o555 if chosen.is_dir() else 0o444)  # noqa: PTH101
    command = [sys.executable, "-c", AS_NOBODY, str(folder)]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "cannot be" in told.stdout, told.stdout + told.stderr
    assert str(folder) in told.stdout


# --- one service ---------------------------------------------------------------------------------------------------------------


def test_a_second_service_is_refused_until_the_first_has_ended(folder):
    with held_by_one_service(folder):
        with (
            pytest.raises(SettingsError, match=rf"another service uses the store .* \(process {os.getpid()}\)"),
            held_by_one_service(folder),
        ):
            pass
        asyncio.run(filled(folder))  # commands and processes of the same service may
    with held_by_one_service(folder):
        pass


def test_a_service_that_was_killed_holds_nothing(folder):
    holding = (
        "import sys, time; from pathlib import Path; from shared.storage.embedded.folder import held_by_one_service\n"
        "with held_by_one_service(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holding, str(folder)], cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(SettingsError, match=f"process {process.pid}"), held_by_one_service(folder):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    with held_by_one_service(folder):
        pass


# --- one damaged file ------------------------------------------------------------------------------------------------------------


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)


async def test_a_damaged_day_stops_no_other(full, store):
    damage(day_file(full))
    with pytest.raises(StorageUnavailableError, match=r"rows/day-\w+\.db is damaged"):
        await names(store)
    with pytest.raises(StorageUnavailableError, match="is damaged"):
        await store.rows.put("day", row("p", "new"))
    assert len(await names(store, "other")) == 50
    await store.rows.put("other", row("p", "new"))
    assert (await store.files("models").read("small")) is not None
    await store.rows.drop("day")
    assert await store.rows.tables() == ["other"]
    await store.rows.create("day")
    assert await names(store) == []


@pytest.mark.parametrize("data", [b"", b"foreign" * 1_000], ids=["empty", "foreign"])
async def test_a_day_that_is_another_file_is_refused_and_stops_no_other(full, store, data):
    day_file(full).write_bytes(data)
    with pytest.raises(StorageUnavailableError, match=r"is damaged|is not a table of a store"):
        await names(store)
    assert len(await names(store, "other")) == 50


async def test_a_day_whose_file_is_missing_is_not_taken_for_an_empty_one(full, store):
    day_file(full).unlink()
    for asking in (names(store), store.rows.put("day", row("p", "new"))):
        with pytest.raises(StorageUnavailableError, match="is missing"):
            await asking
    assert len(await names(store, "other")) == 50


async def test_a_day_of_a_newer_release_is_refused(full, store):
    connection = sqlite3.connect(day_file(full))
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(StorageUnavailableError, match="upgrade the app"):
        await names(store)
    with pytest.raises(StorageUnavailableError, match="upgrade the app"):
        await store.rows.drop("day")
    assert sorted(await store.rows.tables()) == ["day", "other"]


async def test_a_content_that_is_missing_or_cut_short_is_not_taken_for_a_file(full, store):
    [content] = (full / "content").glob("*/*")
    os.truncate(content, 500_000)
    for asking in (store.files("models").read("large"), _whole(store, "large")):
        with pytest.raises(StorageUnavailableError, match="shorter than it was written"):
            await asking
    content.unlink()
    with pytest.raises(StorageUnavailableError, match="is missing"):
        await store.files("models").read("large")
    assert (await store.files("models").read("small")).data == b"x"


async def _whole(store: Storage, name: str) -> bytes:
    return b"".join([block async for block in store.files("models").blocks(name)])


# --- a full disk -----------------------------------------------------------------------------------------------------------------


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_stored_and_it_goes_on_when_there_is_room(store):
    await store.rows.create("day")
    acknowledged = []
    with no_file_beyond(400_000):
        for number in range(60):
            try:
                await store.rows.put("day", row("p", f"{number:02d}", Payload=os.urandom(20_000)))
            except StorageUnavailableError:
                continue
            acknowledged.append(f"{number:02d}")
        refused = 60 - len(acknowledged)
        with pytest.raises(StorageUnavailableError, match="the disk of the store is full"):
            await store.files("models").put("large", b"x" * 1_000_000, expected=None)
        assert await names(store) == acknowledged
    assert refused > 10
    assert acknowledged
    await store.rows.put("day", row("p", "after"))
    await store.files("models").put("large", b"x" * 1_000_000, expected=None)
    assert await names(store) == [*acknowledged, "after"]


async def test_nothing_is_left_of_a_file_that_found_no_room(store, folder):
    await store.areas()
    with no_file_beyond(400_000), pytest.raises(StorageUnavailableError, match="the disk of the store is full"):
        await store.files("models").put("large", b"x" * 1_000_000, expected=None)
    assert list((folder / "content").glob("*/*")) == []
    assert await store.files("models").read("large") is None


@pytest.mark.skipif(os.getuid() != 0, reason="a disk of a size of its own is mounted by root only")
async def test_a_disk_that_is_full_is_said_to_be_and_used_again_when_there_is_room(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if await _ran("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)):
        pytest.skip("no disk can be mounted here")
    store = EmbeddedStorage(FolderSettings(disk / "store", make=True))
    try:
        await store.rows.create("day")
        (disk / "ballast").write_bytes(b"x" * 1_500_000)
        acknowledged, refused = [], set()
        for number in range(60):
            try:
                await store.rows.put("day", row("p", f"{number:02d}", Payload=os.urandom(40_000)))
            except StorageUnavailableError as error:
                refused.add(str(error))
                continue
            acknowledged.append(f"{number:02d}")
        assert 0 < len(acknowledged) < 60
        assert [each.startswith("the disk of the store is full") for each in refused] == [True]
        with pytest.raises(StorageUnavailableError, match="the disk of the store is full"):
            await store.files("models").put("large", b"x" * 1_500_000, expected=None)
        assert await names(store) == acknowledged
        (disk / "ballast").unlink()
        await store.rows.put("day", row("p", "after", Payload=os.urandom(40_000)))
        await store.files("models").put("large", b"x" * 500_000, expected=None)
        assert await names(store) == [*acknowledged, "after"]
        await store.close()
        assert await names(store) == [*acknowledged, "after"]
    finally:
        await store.close()
        assert await _ran("umount", "--lazy", str(disk)) == 0  # the store's time stays in memory as long as its object


async def _ran(*command: str) -> int:
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
    return await process.wait()


# --- others ------------------------------------------------------------------------------------------------------------------------


async def test_who_waits_for_a_writer_that_does_not_end_is_told_in_time_and_later_writes(full, store):
    await store.rows.put("day", row("p", "before"))
    holder = sqlite3.connect(day_file(full), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    begin = asyncio.get_running_loop().time()
    with pytest.raises(StorageUnavailableError, match="the store is busy"):
        await store.rows.put("day", row("p", "meanwhile"))
    assert asyncio.get_running_loop().time() - begin < 8
    assert "meanwhile" not in await names(store)
    await store.rows.put("other", row("p", "beside"))
    holder.execute("ROLLBACK")
    holder.close()
    await store.rows.put("day", row("p", "after"))
    assert "after" in await names(store)


async def test_no_row_waits_behind_files_that_another_holds(full, store):
    """However many do: Rank goes on while the catalogue of files is held, as by a disk that is slow to copy one."""
    await store.rows.put("day", row("p", "before"))
    holder = sqlite3.connect(full / "files.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    waiting = [asyncio.create_task(store.files("models").put(f"small{number}", b"x", expected=None)) for number in range(40)]
    await asyncio.sleep(0.2)
    async with asyncio.timeout(3):
        await store.rows.put("day", row("p", "meanwhile"))
    assert not any(each.done() for each in waiting)
    holder.execute("ROLLBACK")
    holder.close()
    await asyncio.gather(*waiting)


async def test_a_write_that_ends_too_late_is_not_stored(full, store):
    """Its caller was told that it failed; whoever comes later must not find it."""
    await store.rows.put("day", row("p", "before"))
    holder = sqlite3.connect(day_file(full), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with store.time.sending_within(timedelta(seconds=0.3)):
        late = asyncio.create_task(store.rows.put("day", row("p", "late")))
        await asyncio.sleep(0)
    await asyncio.sleep(0.6)
    holder.execute("ROLLBACK")
    holder.close()
    with pytest.raises(StorageUnavailableError):
        await late
    await asyncio.sleep(0.2)
    assert "late" not in await names(store)


async def test_a_store_that_vanished_is_said_to_be_missing_and_not_made_anew_meanwhile(full, store):
    assert len(await names(store)) == 50
    shutil.rmtree(full)
    with pytest.raises(StorageUnavailableError):
        await store.rows.create("new")
    assert not (full / "files.db").exists()


async def test_nothing_is_acknowledged_once_the_folder_was_removed_or_another_put_in_its_place(full, store, tmp_path):
    """A database that is open goes on without its name, and what is written to it then is nowhere."""
    etag = await store.files("models").put("pointer", b"1", expected=None)
    await store.rows.put("day", row("p", "before"))
    aside = tmp_path / "aside"
    shutil.copytree(full, aside)
    shutil.rmtree(full)
    for what in ("is missing", "is another than the one that was opened: start the service again"):
        with pytest.raises(StorageUnavailableError, match=what):
            await store.rows.put("day", row("p", "lost"))
        with pytest.raises(StorageUnavailableError, match=what):
            await names(store)
        with pytest.raises(StorageUnavailableError, match=what):
            await store.files("models").put("pointer", b"2", expected=etag)
        with pytest.raises(StorageUnavailableError, match=what):
            await store.queue("jobs").send("lost")
        if not full.exists():
            with pytest.raises(StorageUnavailableError, match="is missing"):
                await store.files("models").put("large", b"x" * 100_000, expected=None)
            assert not full.exists()
            aside.rename(full)
    await store.close()
    await store.rows.put("day", row("p", "after"))
    assert {"before", "after"} <= set(await names(store))
