"""A process that is killed at any moment leaves a store that opens, with all that was acknowledged."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.ports import EVERYTHING
from shared.storage.settings import FolderSettings

REPOSITORY = Path(__file__).resolve().parents[3]

WRITING = """
import asyncio, itertools, os, sys
from datetime import timedelta
from pathlib import Path
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.ports import AbsentError
from shared.storage.settings import FolderSettings


async def main(folder, begin):
    store = EmbeddedStorage(FolderSettings(Path(folder), make=True))
    files, queue = store.files("models"), store.queue("jobs")

    def told(what):
        os.write(1, f"{what}\\n".encode())

    async def rows():
        for number in itertools.count(begin):
            row = {"PartitionKey": "p", "RowKey": f"{number:08d}", "Payload": os.urandom(number * 7919 % 60_000)}
            table = f"day{number // 20}"
            try:
                await store.rows.put(table, row)
            except AbsentError:
                await store.rows.create(table)
                await store.rows.put(table, row)
            told(f"row {table} {number:08d}")
            if number % 20 == 19 and number >= 40:
                dropped = f"day{number // 20 - 2}"
                told(f"dropping {dropped} -")
                await store.rows.drop(dropped)
                told(f"dropped {dropped} -")

    async def pointer():
        for number in itertools.count(begin):
            present = await files.read("pointer")
            await files.put("pointer", str(number).encode(), expected=present.etag if present else None)
            told(f"pointer {number} -")
            await files.put(f"model-{number}", str(number).encode() * 100_000, expected=None)
            told(f"file model-{number} {len(str(number)) * 100_000}")
            if number % 3 == 2:
                told(f"deleting model-{number - 1} -")
                await files.delete(f"model-{number - 1}")

    async def messages():
        for number in itertools.count(begin):
            await queue.send(str(number))
            told(f"message {number} -")

    await asyncio.gather(rows(), pointer(), messages())


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


class Books:
    """What was acknowledged."""

    def __init__(self) -> None:
        self.next = 0
        """What the pointer becomes with the next write, which may be done and not be told."""
        self.rows: dict[str, set[str]] = {}
        self.leaving: set[str] = set()
        self.dropped: set[str] = set()
        self.files: dict[str, int] = {}
        self.pointer = -1
        self.messages: set[str] = set()

    def note(self, lines: list[str]) -> None:
        for what, name, value in (line.split() for line in lines):
            if what == "row":
                self.rows.setdefault(name, set()).add(value)
            elif what == "dropping":
                self.leaving.add(name)
            elif what == "dropped":
                self.dropped.add(name)
            elif what == "file":
                self.files[name] = int(value)
            elif what == "deleting":
                self.files.pop(name, None)
            elif what == "pointer":
                self.pointer, self.next = int(name), int(name) + 1
            else:
                self.messages.add(name)

    async def compare(self, folder: Path) -> None:
        store = EmbeddedStorage(FolderSettings(folder, make=True))
        tables = set(await store.rows.tables())
        assert not self.dropped & tables
        for table, names in self.rows.items():
            if table not in self.leaving:
                found = [each["RowKey"] async for page in store.rows.read(table, EVERYTHING, select=["RowKey"]) for each in page]
                assert len(found) == len(set(found))
                assert names <= set(found), table
        files = store.files("models")
        for name, size in self.files.items():
            present = await files.read(name)
            assert present is not None, name
            assert len(present.data) == size
        pointer = await files.read("pointer")
        assert (int(pointer.data) if pointer else -1) in (self.pointer, self.next)
        await store.close()

    async def compare_messages(self, folder: Path) -> None:
        store = EmbeddedStorage(FolderSettings(folder, make=True))
        received: list[str] = []
        while taken := await store.queue("jobs").receive(most=32, hidden_for=timedelta(hours=1)):
            received += [message.text for message in taken]
        await store.close()
        assert len(received) == len(set(received))
        assert self.messages <= set(received)


def run_and_kill(folder: Path, begin: int, seconds: float) -> list[str]:
    """Let a process write for a while, kill it, and give what it told as acknowledged."""
    command = [sys.executable, "-c", WRITING, str(folder), str(begin)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()  # it has begun
    time.sleep(seconds)
    process.kill()
    rest, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    whole = (first + rest).decode()
    return whole[: whole.rfind("\n")].splitlines()


@pytest.mark.slow
def test_after_kills_at_random_moments_all_that_was_acknowledged_is_there(folder):
    chance, books = random.Random(7), Books()
    for round_ in range(6):
        books.next = 1_000 * round_  # a process that is killed early may have told nothing of it
        books.note(run_and_kill(folder, 1_000 * round_, chance.uniform(0.0, 0.6)))
        asyncio.run(books.compare(folder))
    assert sum(map(len, books.rows.values())) > 50
    asyncio.run(books.compare_messages(folder))
    assert len(books.messages) > 50
    assert books.dropped
    assert len(books.files) > 10


@pytest.mark.slow
def test_a_copy_that_is_taken_while_a_process_is_stopped_opens_with_all_that_was_acknowledged(folder, tmp_path):
    """As after a power cut: every byte that was written so far, at whatever point of whatever call."""
    chance, books = random.Random(11), Books()
    process = subprocess.Popen([sys.executable, "-c", WRITING, str(folder), "0"], cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    told = os.read(descriptor, 1)  # it has begun
    os.set_blocking(descriptor, False)
    try:
        for number in range(4):
            time.sleep(chance.uniform(0.1, 0.5))
            process.send_signal(signal.SIGSTOP)
            while b"T" not in Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2]:
                time.sleep(0.001)
            while part := _read(descriptor):
                told += part
            lines, _, told = told.rpartition(b"\n")
            books.note(lines.decode().splitlines())
            image = tmp_path / f"image{number}"
            shutil.copytree(folder, image)
            process.send_signal(signal.SIGCONT)
            asyncio.run(books.compare(image))
            asyncio.run(books.compare_messages(image))
            shutil.rmtree(image)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert sum(map(len, books.rows.values())) > 50


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 20)
    except BlockingIOError:
        return b""


# --- the order of system calls ------------------------------------------------------------------------------------------------

ONE_BY_ONE = """
import asyncio, os, sys
from pathlib import Path
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.settings import FolderSettings


async def main(folder):
    store = EmbeddedStorage(FolderSettings(Path(folder), make=True))
    await store.rows.create("day")
    etag = await store.files("models").put("small", b"0", expected=None)
    for number in range(5):
        os.write(2, b"begin\\n")
        await store.rows.put("day", {"PartitionKey": "p", "RowKey": str(number), "Payload": b"x" * 1000})
        os.write(2, b"answered row\\n")
        etag = await store.files("models").put("small", b"1", expected=etag)
        os.write(2, b"answered small\\n")
        await store.files("models").put(f"large{number}", b"x" * 100_000, expected=None)
        os.write(2, b"answered large\\n")
        await store.queue("jobs").send("x")
        os.write(2, b"answered message\\n")
    await store.close()


asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="system calls are shown by strace, which is not installed")
def test_what_is_answered_was_synced_before(folder, tmp_path):
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write,pwrite64", "-s", "32", "-o", str(trace)]
    traced = subprocess.run(
        [*command, sys.executable, "-c", ONE_BY_ONE, str(folder)], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    if traced.returncode and "ptrace" in traced.stderr:
        pytest.skip("processes may not be traced here")
    assert traced.returncode == 0, traced.stderr
    calls: list[str] = []
    seen: dict[str, list[str]] = {}
    for line in trace.read_text().splitlines():
        if "write(2<" in line:
            for what in ("row", "small", "large", "message"):
                if f"answered {what}" in line:
                    seen.setdefault(what, []).append("\n".join(calls))
            calls = []
        else:
            calls.append(line)
    assert {what: len(calls) for what, calls in seen.items()} == {"row": 5, "small": 5, "large": 5, "message": 5}
    needed = {"row": ["day-"], "small": ["files.db-wal"], "large": ["content/", "files.db-wal"], "message": ["queue.db-wal"]}
    for what, parts in needed.items():
        for each in seen[what]:
            for part in parts:
                assert _is_synced_last(each.splitlines(), part), (what, each)


def _is_synced_last(calls: list[str], part: str) -> bool:
    """Whether such a file was written, and synced after the last write."""
    ours = [line for line in calls if part in line and ("write" in line or "sync" in line)]
    return any("write" in line for line in ours) and "sync" in ours[-1]


# --- a sync that fails --------------------------------------------------------------------------------------------------------

REFUSED_AND_KILLED = """
import asyncio, ctypes, os, signal, sys
from pathlib import Path
from shared.domain.errors import StorageUnavailableError
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.settings import FolderSettings


async def main(folder, what):
    store = EmbeddedStorage(FolderSettings(Path(folder), make=True))
    await store.rows.create("before")
    await store.files("models").put("before", b"x" * 100_000, expected=None)
    ctypes.CDLL(None).prctl(0x59616D61, -1)  # PR_SET_PTRACER, PR_SET_PTRACER_ANY: a process that is not our parent may trace us.
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        if what == "table":
            await store.rows.create("day")
        else:
            await store.files("models").put("large", b"x" * 100_000, expected=None)
    except StorageUnavailableError:
        print("refused", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def _told_while_syncs_fail(folder: Path, what: str, log: str, *, trace: Path) -> str:
    """Give what such a process says whose syncs of this log fail once its store is ready."""
    program = [sys.executable, "-c", REFUSED_AND_KILLED, str(folder), what]
    with subprocess.Popen(program, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        failing = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-P", str(folder / log)]
        command = ["strace", "-f", "-p", str(process.pid), *failing, "-o", str(trace)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracing:
            assert tracing.stderr is not None
            if not any("attached" in line for line in tracing.stderr):
                process.kill()
                pytest.skip("processes may not be traced here")
            return process.communicate("go on\n", timeout=120)[0]


@pytest.mark.skipif(shutil.which("strace") is None, reason="system calls are made to fail by strace, which is not installed")
@pytest.mark.parametrize(("what", "log"), [("table", "tables.db-wal"), ("file", "files.db-wal")])
async def test_what_was_refused_since_its_last_sync_failed_is_whole_or_not_there_after_a_kill(folder, tmp_path, what, log):
    """The log may hold all of it: whoever opens the store next finds it done, and needs the file that it names."""
    assert await asyncio.to_thread(_told_while_syncs_fail, folder, what, log, trace=tmp_path / "trace") == "refused\n"
    store = EmbeddedStorage(FolderSettings(folder))
    if what == "table":
        await store.rows.create("day")
        await store.rows.put("day", {"PartitionKey": "p", "RowKey": "r"})
    elif await store.files("models").head("large", size=0) is not None:
        found = await store.files("models").read("large")
        assert found is not None
        assert found.data == b"x" * 100_000
    await store.close()
