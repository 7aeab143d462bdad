"""A deployment is copied, backed up and restored by the command line, beside a running service, and goes on where it was."""

import asyncio
import gzip
import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.archive import pack, unpack
from cli.backups import _aside
from shared.domain.clock import EPOCH
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.storage import names
from shared.storage.embedded.folder import held_by_one_service
from shared.storage.ports import Storage
from tests.cli.running import Done, run
from tests.deployments import content, put_release
from tests.http.building import KEY, rank_body
from tests.patience import PATIENCE
from tests.running import RunningApp
from tests.stores import NewStorage, opened, overwrite

pytestmark = pytest.mark.long

REPOSITORY = Path(__file__).resolve().parents[2]
ADMIN = "the administrator's own key"
SETTINGS = {"PERSONALIZER_REWARD_WAIT_TIME": "PT1S", "PERSONALIZER_INGEST_GRACE": "PT0S", "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two loops of an older release, which tests only read."""
    folder = tmp_path_factory.mktemp("kept") / "store"
    asyncio.run(_put(folder))
    return folder


async def _put(folder: Path) -> None:
    storage = opened(str(folder))
    await put_release(storage, loops=["default", "pages", "pagesx0001"])
    await storage.close()


@pytest.fixture
def account(new_account: NewStorage) -> str:
    return new_account()


@pytest.fixture
def store(kept: Path, tmp_path: Path) -> Path:
    """The same for one test, which may change it."""
    return Path(shutil.copytree(kept, tmp_path / "store"))


def held(place: Path | str) -> dict:
    async def read() -> dict:
        storage = opened(str(place))
        try:
            return await content(storage)
        finally:
            await storage.close()

    return asyncio.run(read())


def change(place: Path | str, name: str, data: bytes) -> None:
    async def write() -> None:
        storage: Storage = opened(str(place))
        await overwrite(storage, names.MODELS, name, data)
        await storage.close()

    asyncio.run(write())


def listed(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def done(answer: Done) -> Done:
    assert (answer.code, answer.errors) == (0, ""), answer
    return answer


# --- copy --------------------------------------------------------------------------------------------------------------


def test_a_store_is_copied_to_an_account_and_the_account_to_a_folder(store, account, tmp_path):
    told = done(run("copy", "--from", str(store), "--to", account, "--json")).json
    assert (told["isNothingNew"], told["files"]["copied"], told["leftOut"]) == (False, told["equal"]["files"], [])
    assert "AccountKey" not in json.dumps(told)
    assert held(account) == held(store)
    back = tmp_path / "back"
    shown = done(run("copy", "--to", str(back), environment={"AzureWebJobsStorage": account})).text
    assert f"PERSONALIZER_STORE={back}" in shown
    assert held(back) == held(store)
    assert "Nothing was new" in done(run("copy", "--from", str(store), "--to", account, "--check")).text


def test_a_place_that_cannot_be_copied_to_is_told_in_one_line(store, tmp_path):
    assert "--from or --to" in run("copy").told
    assert "there is no store in" in run("copy", "--from", str(tmp_path / "nobody"), "--to", str(tmp_path / "new")).told
    assert "both places are the same" in run("copy", "--from", str(store), "--to", str(store)).told
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("")
    assert "holds other things (letter.txt)" in run("copy", "--from", str(store), "--to", str(tmp_path / "full")).told
    assert listed(tmp_path / "full") == ["letter.txt"]
    other = tmp_path / "other"
    asyncio.run(_put(other))
    assert "holds a deployment already" in run("copy", "--from", str(store), "--to", str(other)).told
    with held_by_one_service(other):
        assert "another service uses the store" in run("copy", "--from", str(store), "--to", str(other)).told
    assert "cannot be used" in run("copy", "--from", "AccountKey=x", "--to", str(tmp_path / "new")).told


def test_a_file_of_the_source_that_is_missing_is_named_and_nothing_is_taken_for_whole(store, tmp_path):
    change(store, "loops/default/models/large.npz", bytes(100_000))
    next((store / "content").rglob("*/*")).unlink()
    new = tmp_path / "new"
    assert (
        "is missing: it is the content of personalizer-models/loops/default/models/large.npz"
        in run("copy", "--from", str(store), "--to", str(new)).told
    )
    assert f"{names.MODELS}/loops/default/pointer.json" not in held(new)
    assert "a copy that is not whole" in run("stats", "--storage", str(new)).told
    assert "a copy that is not whole" in run("backup", str(tmp_path / "x"), "--storage", str(new)).told


def test_a_copy_that_is_killed_is_finished_by_the_same_command(store, tmp_path):
    """kill -9, a little later each time, until one run comes to its end by itself."""
    new, kills = tmp_path / "new", 0
    command = [sys.executable, "-m", "cli", "copy", "--from", str(store), "--to", str(new), "--json"]
    for number in range(10):
        with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            until = time.monotonic() + PATIENCE
            while not (new / "store.json").exists() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.2 * 2**number)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
            output, errors = process.communicate(timeout=PATIENCE)
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, errors
            break
    assert kills
    assert json.loads(output)["equal"]["files"] > 20
    assert held(new) == held(store)


@pytest.mark.parametrize("place", ["https://x.blob.core.windows.net/?sv=1&sig=secret", "http://127.0.0.1:10000/secret", "az://secret"])
@pytest.mark.parametrize("command", [["copy", "--to"], ["restore", "backup", "--to"], ["stats", "--storage"]], ids=lambda each: each[0])
def test_an_address_of_another_kind_is_no_folder_and_a_signature_in_it_is_not_repeated(store, tmp_path, monkeypatch, command, place):
    monkeypatch.chdir(tmp_path)
    told = run(*command, place, environment={"PERSONALIZER_STORE": str(store)}).told
    assert "this is another address" in told
    assert "secret" not in told
    assert listed(tmp_path) == ["store"]


# --- backup and restore ------------------------------------------------------------------------------------------------


def backup(store: Path | str, file: Path) -> dict:
    made: dict = done(run("backup", str(file), "--storage", str(store), "--json")).json
    return made


def test_a_backup_comes_back_as_it_was_to_a_folder_and_to_an_account(store, account, tmp_path):
    file = tmp_path / "backups.tar.gz"
    assert backup(store, file)["bytes"] == file.stat().st_size
    new = tmp_path / "deep" / "new"
    told = done(run("restore", str(file), "--to", str(new), "--json")).json
    assert (told["from"], told["kept"]) == (str(store), None)
    assert held(new) == held(store)
    assert done(run("restore", str(file), "--to", account, "--json")).json["equal"]["files"] > 20
    assert held(account) == held(store)
    assert done(run("restore", str(file), "--to", account, "--json")).json["isNothingNew"]
    again = tmp_path / "of-the-account"
    backup(account, again)
    done(run("restore", str(again), "--to", str(tmp_path / "third")))
    assert held(tmp_path / "third") == held(store)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["backups.tar.gz", "deep", "of-the-account", "store", "third"]


def test_only_their_owner_reads_a_backup_and_what_was_restored(store, tmp_path):
    file, new = tmp_path / "backup", tmp_path / "new"
    backup(store, file)
    done(run("restore", str(file), "--to", str(new)))
    assert file.stat().st_mode & 0o777 == 0o600
    assert {each.stat().st_mode & 0o777 for each in (new, *new.rglob("*")) if each.is_dir()} == {0o700}
    assert {each.stat().st_mode & 0o777 for each in new.rglob("*.db")} == {0o600}


def test_a_restore_touches_no_store_unless_it_is_told_to_and_keeps_that_aside(store, tmp_path):
    file, old = tmp_path / "backup", tmp_path / "old"
    backup(store, file)
    asyncio.run(_put(old))
    change(old, "signing/signer.pem", b"of the old one")
    before = held(old)
    assert "holds a store already" in run("restore", str(file), "--to", str(old)).told
    with held_by_one_service(old):
        assert "another service uses the store" in run("restore", str(file), "--to", str(old), "--replace").told
    assert held(old) == before
    kept_aside = done(run("restore", str(file), "--to", str(old), "--replace", "--json")).json["kept"]
    assert held(old) == held(store)
    assert held(kept_aside) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("")
    assert "holds other things" in run("restore", str(file), "--to", str(tmp_path / "full"), "--replace").told


def test_a_file_that_is_there_is_not_written_over(store, tmp_path):
    file = tmp_path / "backup"
    file.write_bytes(b"a letter")
    assert "is there already" in run("backup", str(file), "--storage", str(store)).told
    assert file.read_bytes() == b"a letter"
    done(run("backup", str(file), "--storage", str(store), "--overwrite"))
    assert file.stat().st_size > 1000


def test_two_backups_to_one_file_are_told_apart(store, tmp_path):
    file = tmp_path / "backup"
    backup(store, file)
    before = file.read_bytes()
    aside = tmp_path / ".backup.store"
    with _aside(aside):
        (aside / "of-the-other").touch()
        assert (
            "another backup or restore of that name is under way" in run("backup", str(file), "--storage", str(store), "--overwrite").told
        )
        assert listed(aside) == ["of-the-other"]
    assert file.read_bytes() == before
    (aside / "store").mkdir(parents=True)  # of one that died
    (aside / "store" / "x").touch()
    done(run("backup", str(file), "--storage", str(store), "--overwrite"))
    assert listed(tmp_path) == ["backup", "store"]


def test_a_folder_is_no_file_of_a_backup(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "is a folder" in run("backup", ".", "--storage", str(store), "--overwrite").told
    assert "is a folder" in run("restore", ".", "--to", str(tmp_path / "new")).told
    assert listed(tmp_path) == ["store"]


def test_names_are_printed_as_they_are(store, tmp_path):
    """Also those that would be a style where text is printed in colours."""
    places = [tmp_path / name for name in ("[bold]", "[", "[red]backup[")]
    for place in places:
        place.mkdir()
    file, new, again = places[0] / "]", places[1] / "]", places[2] / "]"
    assert str(file) in done(run("backup", str(file), "--storage", str(store))).text
    assert str(new) in done(run("restore", str(file), "--to", str(new))).text
    done(run("backup", str(again), "--storage", str(new)))
    assert str(new) in done(run("restore", str(again), "--to", str(new), "--replace")).text


def test_a_store_that_a_link_leads_to_stays_where_it_is(store, tmp_path):
    file, disk, link = tmp_path / "backup", tmp_path / "disk", tmp_path / "link"
    backup(store, file)
    (disk / "store").mkdir(parents=True)
    link.symlink_to(disk / "store")
    done(run("restore", str(file), "--to", str(link)))
    kept_aside = Path(done(run("restore", str(file), "--to", str(link), "--replace", "--json")).json["kept"])
    assert link.readlink() == disk / "store"
    assert kept_aside.parent == disk
    assert held(link) == held(kept_aside) == held(store)


@pytest.fixture(scope="module")
def packed(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("packed") / "backup"
    backup(kept, file)
    return file.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999999])
def test_a_backup_that_was_cut_is_refused_and_nothing_put_in_place(packed, tmp_path, share):
    file, old = tmp_path / "backup", tmp_path / "old"
    file.write_bytes(packed[: int(len(packed) * share)])
    told = run("restore", str(file), "--to", str(old)).told
    assert "cut short" in told or "no backup" in told
    assert listed(tmp_path) == ["backup"]


@pytest.mark.parametrize("share", [0.0005, 0.2, 0.4, 0.6, 0.8, 0.9999])
def test_a_backup_with_one_other_byte_is_refused(packed, tmp_path, share):
    file, at = tmp_path / "backup", int(len(packed) * share)
    file.write_bytes(packed[:at] + bytes([packed[at] ^ 0x10]) + packed[at + 1 :])
    told = run("restore", str(file), "--to", str(tmp_path / "new")).told
    assert "damaged" in told or "no backup" in told
    assert listed(tmp_path) == ["backup"]


def test_a_member_that_was_changed_is_told_by_its_checksum(packed, tmp_path):
    """Also where somebody has packed it again, so that the file itself is sound."""
    changed = remade(packed, lambda name, data: data + b"x" if name.endswith("files.db") else data)
    (tmp_path / "backup").write_bytes(changed)
    with pytest.raises(UnreadableError, match=r"files\.db was changed"):
        unpack(tmp_path / "backup", tmp_path / "new", told=lambda _: None)


def test_a_backup_of_a_newer_release_is_refused(packed, tmp_path):
    file = tmp_path / "backup"
    file.write_bytes(remade(packed, lambda name, data: b'{"format": 2}' if name == "backup.json" else data))
    with pytest.raises(NewerFormatError):
        unpack(file, tmp_path / "new", told=lambda _: None)
    assert "format version 2" in run("restore", str(file), "--to", str(tmp_path / "other")).told
    store = tmp_path / "store"
    store.mkdir()
    (store / "store.json").write_text('{"format": 99, "id": "x"}')
    pack(store, file, source="", at=EPOCH, told=lambda _: None)
    assert "format version 99" in run("restore", str(file), "--to", str(tmp_path / "other")).told


@pytest.mark.parametrize("name", ["store/../../x", "/etc/x", "store/./x", "elsewhere/x", "store//x", "store/x\0y"])
def test_a_backup_never_writes_out_of_its_folder(tmp_path, name):
    file = tmp_path / "backup"
    with tarfile.open(file, "w:gz") as tar:
        for member, data in (("backup.json", b'{"format": 1}'), (name, b"x")):
            about = tarfile.TarInfo(member)
            about.size, about.pax_headers = len(data), {"path": member}
            tar.addfile(about, io.BytesIO(data))
    assert "is no backup" in run("restore", str(file), "--to", str(tmp_path / "new")).told
    assert listed(tmp_path) == ["backup"]


def test_a_backup_whose_notes_have_no_end_is_told_as_damaged(tmp_path):
    file = tmp_path / "backup"
    with tarfile.open(file, "w:gz") as tar:
        about = tarfile.TarInfo("backup.json")
        about.size = 200_000
        tar.addfile(about, io.BytesIO(b"[" * about.size))
    assert "backup.json cannot be read" in run("restore", str(file), "--to", str(tmp_path / "new")).told


def remade(packed: bytes, changed) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as old, tarfile.open(fileobj=written, mode="w:gz") as new:
        for member in old:
            content_of = old.extractfile(member)
            assert content_of is not None
            data = changed(member.name, content_of.read())
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return written.getvalue()


LITTLE_ROOM = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000,) * 2); from cli.main import main; sys.exit(main())"
"""A command that may write no file of more than so many bytes, which fails as a disk without room does."""


@pytest.mark.parametrize("command", [["copy", "--from", "{store}", "--to"], ["backup", "--storage", "{store}"]], ids=lambda each: each[0])
def test_without_room_a_command_says_so_and_goes_on_when_there_is_some(store, tmp_path, command):
    words = [each.format(store=store) for each in command] + [str(tmp_path / "new")]
    short = subprocess.run(
        [sys.executable, "-c", LITTLE_ROOM, *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (short.returncode, short.stderr.count("\n")) == (2, 1), short.stderr
    assert "could not be read or written" in short.stderr or "full" in short.stderr
    assert not (tmp_path / "new").is_file()
    assert done(run(*words)).code == 0


COMMANDS = {
    "stats": ["--json"],
    "keys": ["list"],
    "replay": [],
    "evaluate": ["--policy", "square=--cb_explore_adf --squarecb"],
    "export": ["--out", "{folder}/log.dsjson"],
    "import": ["{folder}/log.dsjson", "--loop", "news"],
}


def test_every_command_on_storage_works_on_a_store_that_a_service_has_open(service, tmp_path):
    for number in range(30):
        service.request("POST", "/personalizer/v1.0/rank", rank_body(eventId=f"event-{number}"))
        service.request("POST", f"/personalizer/v1.0/events/event-{number}/reward", {"value": number % 2})
    learned(service)
    assert service.request("PUT", "/loops/news", headers={KEY: ADMIN}).status < 300
    for command, words in COMMANDS.items():
        told = run(command, *[each.format(folder=tmp_path) for each in words], "--storage", str(tmp_path / "served"))
        assert (told.code, told.errors) in {(0, ""), (1, "")} if command == "import" else (told.code, told.errors) == (0, ""), (
            command,
            told,
        )
    assert len((tmp_path / "log.dsjson").read_text().splitlines()) == 30
    assert service.request("GET", "/status").json["loop"]["counters"]["learned"] == 30


# --- under traffic -----------------------------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningApp]:
    with RunningApp(str(tmp_path / "served"), settings={**SETTINGS, "PERSONALIZER_ADMIN_KEY": ADMIN}) as running:
        yield running


def test_the_books_of_a_restored_backup_balance_whatever_was_going_on(service, tmp_path):
    """Ranks, rewards and the trainer go on during the backup: what was acknowledged before is learned once in the restored store."""
    acknowledged: list[str] = []
    is_over = threading.Event()

    def play() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            event = f"event-{number}"
            service.request("POST", "/personalizer/v1.0/rank", rank_body(eventId=event))
            service.request("POST", f"/personalizer/v1.0/events/{event}/reward", {"value": 0.5})
            acknowledged.append(event)
            if number % 20 == 0:
                service.request("POST", "/admin/functions/train")

    player = threading.Thread(target=play)
    player.start()
    try:
        wait_for(lambda: len(acknowledged) >= 60)
        before = list(acknowledged)
        backup(tmp_path / "served", tmp_path / "backup")
    finally:
        is_over.set()
        player.join(60)
    done(run("restore", str(tmp_path / "backup"), "--to", str(tmp_path / "restored")))
    with RunningApp(str(tmp_path / "restored"), settings=SETTINGS) as restored:
        loop = learned(restored)
        exported = done(run("export", "--storage", str(tmp_path / "restored"), "--out", str(tmp_path / "log.dsjson")))
    assert exported.code == 0
    lines = [json.loads(line) for line in (tmp_path / "log.dsjson").read_text().splitlines()]
    events = [line["EventId"] for line in lines]
    assert len(events) == len(set(events)) == loop["counters"]["learned"]
    assert set(before) <= set(events) <= set(acknowledged) | {f"event-{len(acknowledged) + 1}"}
    rewarded = {line["EventId"] for line in lines if line["_label_cost"] == -0.5}
    assert set(before) <= rewarded
    assert loop["counters"]["unknownRewards"] == 0


def learned(app: RunningApp) -> dict:
    """Have the trainer run until nothing waits."""
    until = time.monotonic() + PATIENCE
    while True:
        time.sleep(0.5)
        app.request("POST", "/admin/functions/train")
        loop: dict = app.request("GET", "/status").json["loop"]
        if loop["counters"]["pending"] == 0:
            return loop
        assert time.monotonic() < until, app.logs


def wait_for(is_so) -> None:
    until = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)
