"""The laws of files, for every engine."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.errors import ConflictError, StorageUnavailableError
from shared.domain.patience import patience
from shared.storage.embedded import catalogue
from shared.storage.embedded.times import since_start
from shared.storage.ports import Content, FileStore, NotModified, Storage
from tests.ports import count_up, in_processes, take_lease, write_once
from tests.storage.ports.conftest import Wait

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),  # Azure's client does, and is as fast so
]

SMALL = b"small"
LARGE = bytes(range(256)) * 4 * 4096  # 4 MiB


@pytest.fixture
def files(store: Storage) -> FileStore:
    return store.files("models")


async def names(files: FileStore, prefix: str = "") -> list[str]:
    return [entry.name async for entry in files.listing(prefix)]


async def whole(files: FileStore, name: str) -> bytes:
    return b"".join([block async for block in files.blocks(name)])


async def test_an_area_without_a_file_has_nothing(store, files):
    assert await files.read("a") is None
    assert await files.head("a", size=10) is None
    assert await files.head("a", size=0) is None
    assert await whole(files, "a") == b""
    assert await names(files) == []
    assert list(await files.folders("")) == []
    await files.delete("a")
    assert list(await store.areas()) == []


@pytest.mark.parametrize("data", [b"", SMALL, b"x" * 64 * 1024, b"x" * (64 * 1024 + 1), LARGE], ids=len)
async def test_a_file_is_read_as_it_was_written(files, data):
    etag = await files.put("folder/a file", data, expected=None, metadata={"kind": "model", "size": "3"})
    assert (await files.read("folder/a file")).data == data
    assert (await files.read("folder/a file")).etag == etag
    assert (await files.read("folder/a file")).metadata.items() >= {("kind", "model"), ("size", "3")}
    assert (await files.head("folder/a file", size=10)).data == data[:10]
    assert (await files.head("folder/a file", size=10)).metadata.items() >= {("kind", "model"), ("size", "3")}
    assert await whole(files, "folder/a file") == data


async def test_a_look_at_a_file_of_size_nothing_brings_its_metadata_alone(files):
    etag = await files.put("a", LARGE, expected=None, metadata={"kind": "model"})
    found = await files.head("a", size=0)
    assert (found.data, found.etag, found.metadata["kind"]) == (b"", etag, "model")


@pytest.mark.parametrize(("first", "second"), [(SMALL, LARGE), (LARGE, SMALL), (SMALL, b"other"), (LARGE, LARGE[::-1])])
async def test_a_file_is_replaced_if_its_etag_is_still_that(files, first, second):
    etag = await files.put("a", first, expected=None, metadata={"kind": "old", "more": "yes"})
    newer = await files.put("a", second, expected=etag, metadata={"kind": "new"})
    assert newer != etag
    found = await files.read("a")
    assert (found.data, found.etag, found.metadata["kind"], "more" in found.metadata) == (second, newer, "new", False)


async def test_the_same_bytes_written_again_have_another_etag(files):
    etag = await files.put("a", SMALL, expected=None)
    assert await files.put("a", SMALL, expected=etag) != etag


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=len)
async def test_a_write_that_goes_by_an_old_state_is_a_conflict_and_changes_nothing(files, data):
    old = await files.put("a", b"1", expected=None)
    present = await files.put("a", b"2", expected=old)
    for expected in (old, None, '"0x0"'):
        with pytest.raises(ConflictError):
            await files.put("a", data, expected=expected)
    with pytest.raises(ConflictError):
        await files.put("b", data, expected=present)
    assert await files.read("a") == Content(b"2", present, (await files.read("a")).metadata)
    assert await files.read("b") is None


async def test_the_etag_of_a_file_that_was_deleted_is_not_that_of_its_successor(files):
    old = await files.put("a", SMALL, expected=None)
    await files.delete("a")
    assert await files.put("a", SMALL, expected=None) != old
    with pytest.raises(ConflictError):
        await files.put("a", b"other", expected=old)


async def test_a_file_that_has_still_the_known_etag_is_not_read_again(files):
    etag = await files.put("a", SMALL, expected=None)
    with pytest.raises(NotModified):
        await files.read("a", unless=etag)
    await files.put("a", b"other", expected=etag)
    assert (await files.read("a", unless=etag)).data == b"other"
    assert await files.read("none", unless=etag) is None


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=len)
async def test_a_deleted_file_is_gone(files, data):
    await files.put("a", data, expected=None)
    await files.delete("a")
    await files.delete("a")
    assert await files.read("a") is None
    assert await names(files) == []


async def test_a_file_is_deleted_on_condition(files):
    old = await files.put("a", SMALL, expected=None)
    present = await files.put("a", LARGE, expected=old)
    await files.delete("a", expected=old)
    assert (await files.read("a")).etag == present
    await files.delete("a", expected=present)
    assert await files.read("a") is None
    await files.delete("a", expected=present)


async def test_files_are_listed_in_the_order_of_their_names_with_what_they_are(files):
    before = datetime.now(UTC) - timedelta(seconds=2)
    for name in ("b", "a/2", "a/10", "a-1", "a/1", "c/d/e"):
        await files.put(name, name.encode(), expected=None, metadata={"kind": "x"})
    assert await names(files) == ["a-1", "a/1", "a/10", "a/2", "b", "c/d/e"]
    assert await names(files, "a/") == ["a/1", "a/10", "a/2"]
    assert await names(files, "a/1") == ["a/1", "a/10"]
    assert await names(files, "d") == []
    entries = [entry async for entry in files.listing("c")]
    assert [(entry.size, entry.metadata["kind"]) for entry in entries] == [(5, "x")]
    assert all(before <= entry.modified <= datetime.now(UTC) + timedelta(seconds=2) for entry in entries)


async def test_folders_are_the_parts_of_names_up_to_the_next_slash(files):
    for name in ("loops/a/1", "loops/a/2/3", "loops/b/1", "loops/c", "loops/a-b/1", "loops/a0/1", "other/x"):
        await files.put(name, b"", expected=None)
    assert await files.folders("loops/") == ["a", "a-b", "a0", "b"]
    assert await files.folders("") == ["loops", "other"]
    assert await files.folders("loops/a/") == ["2"]
    assert list(await files.folders("none/")) == []


async def test_areas_know_nothing_of_each_others_files_and_are_listed(store):
    for area in ("models", "logs"):
        await store.files(area).put("a", area.encode(), expected=None)
    assert (await store.files("logs").read("a")).data == b"logs"
    await store.files("logs").delete("a")
    assert (await store.files("models").read("a")).data == b"models"
    assert sorted(await store.areas()) == ["logs", "models"]


async def test_files_are_there_after_all_is_closed(store, opened):
    await store.files("models").put("a", SMALL, expected=None)
    etag = await store.files("models").put("b", LARGE, expected=None)
    await store.close()
    again = opened().files("models")
    assert (await again.read("a")).data == SMALL
    assert ((await again.read("b")).data, (await again.read("b")).etag) == (LARGE, etag)


async def test_a_file_that_is_replaced_while_its_blocks_are_read_is_one_state_or_none(files):
    etag = await files.put("a", b"1" * 9_000_000, expected=None)
    blocks = files.blocks("a")
    read = [await anext(blocks)]
    await files.put("a", b"2" * 9_000_000, expected=etag)
    try:
        read += [block async for block in blocks]
    except StorageUnavailableError:
        return
    assert b"".join(read) == b"1" * 9_000_000


async def test_of_many_who_write_on_the_same_condition_one_does(files):
    etag = await files.put("a", b"0", expected=None)
    writes = await asyncio.gather(
        *(files.put("a", b"%d" % number * (1 if number % 2 else 100_000), expected=etag) for number in range(1, 9)), return_exceptions=True
    )
    written = [each for each in writes if isinstance(each, str)]
    assert len(written) == 1
    assert (await files.read("a")).etag == written[0]
    assert all(isinstance(each, ConflictError) for each in writes if not isinstance(each, str))


async def test_who_has_no_time_left_hears_so_at_once(files):
    with patience(timedelta(0)), pytest.raises(StorageUnavailableError):
        await files.read("a")


async def test_processes_that_count_in_one_file_lose_no_number(deployment, store):
    await in_processes(count_up, *((deployment, "n", 12) for _ in range(3)))
    assert (await store.files("counters").read("n")).data == b"36"


async def test_of_several_processes_that_write_a_file_once_one_does(deployment, store):
    wrote = await in_processes(write_once, *((deployment, "m", writer) for writer in ("abcd", "efgh", "ijkl")))
    assert wrote.count(True) == 1
    data = (await store.files("models").read("m")).data
    assert data in {each.encode() * 500_000 for each in ("abcd", "efgh", "ijkl")}


# --- leases ------------------------------------------------------------------------------------------------------------------


async def test_a_lease_is_one_holders_until_it_lets_go(files, opened):
    await files.put("lease", b"", expected=None)
    other = opened().files("models")
    lease = await files.acquire("lease", seconds=15)
    assert lease
    assert await other.acquire("lease", seconds=15) is None
    await files.renew("lease", lease)
    await files.release("lease", lease)
    theirs = await other.acquire("lease", seconds=15)
    assert theirs
    with pytest.raises(StorageUnavailableError):
        await files.renew("lease", lease)


async def test_letting_go_of_a_lease_that_is_anothers_by_now_takes_it_from_nobody(files):
    await files.put("lease", b"", expected=None)
    ours = await files.acquire("lease", seconds=15)
    await files.release("lease", ours)
    theirs = await files.acquire("lease", seconds=15)
    await files.release("lease", ours)
    assert await files.acquire("lease", seconds=15) is None
    await files.renew("lease", theirs)


@pytest.fixture
def wait(wait: Wait, engine: str, monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Let so many seconds pass: of a store of this machine without a wait, since it counts them by the machine's clock."""
    if engine != "embedded":
        return wait
    waited: list[float] = []
    monkeypatch.setattr(catalogue, "since_start", lambda: since_start() + sum(waited))

    async def at_once(seconds: float) -> None:
        waited.append(seconds)

    return at_once


@pytest.mark.slow
async def test_a_lease_ends_with_its_time_unless_it_is_renewed(files, wait):
    for name in ("left", "renewed"):
        await files.put(name, b"", expected=None)
    left, renewed = [await files.acquire(name, seconds=15) for name in ("left", "renewed")]
    await wait(8)
    await files.renew("renewed", renewed)
    assert await files.acquire("left", seconds=15) is None
    await wait(8)
    assert await files.acquire("renewed", seconds=15) is None
    theirs = await files.acquire("left", seconds=15)
    assert theirs
    with pytest.raises(StorageUnavailableError):
        await files.renew("left", left)


async def test_a_file_that_is_not_there_cannot_be_leased(files):
    with pytest.raises(StorageUnavailableError):
        await files.acquire("none", seconds=15)


async def test_of_several_processes_one_takes_the_lease(deployment, files):
    await files.put("lease", b"", expected=None)
    taken = await in_processes(take_lease, *((deployment, "lease", "") for _ in range(3)))
    assert taken.count(True) == 1
