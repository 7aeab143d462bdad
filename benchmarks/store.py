"""The embedded store beside a bare disk and beside Azurite: writing a row, reading a window, and opening a store that holds much."""

import asyncio
import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.samples import Traffic
from benchmarks.table import Goal, Line
from benchmarks.timing import median, percentile, timed_async
from shared.storage import names
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.opening import open_storage
from shared.storage.ports import EVERYTHING, Row, Storage
from shared.storage.segments import decode_decisions, encode
from shared.storage.settings import AccountSettings, FolderSettings

WINDOW_GOAL = Goal(3, at_least=True)
OPEN_GOAL = Goal(1)
OPEN_SECONDS = 5.0
"""What opening a store of two million decisions may take."""

_BEGIN = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)
_TABLE = "benchx0001d20260517"
_FOLDER_OF_RUNS = Path(__file__).resolve().parents[1] / ".local"
_OPENING = """
import asyncio, sys, time
from pathlib import Path
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.settings import FolderSettings

async def main():
    begin = time.perf_counter()
    store = EmbeddedStorage(FolderSettings(Path(sys.argv[1])))
    tables = await store.rows.tables()
    await store.files("models").read("pointer")
    await store.rows.put(tables[-1], {"PartitionKey": "z", "RowKey": sys.argv[2], "Payload00": b"x"})
    print(time.perf_counter() - begin)
    await store.close()

asyncio.run(main())
"""


def run(storage: str, *, quick: bool) -> list[Line]:
    """Measure on the disk that has the repository: a folder for temporary files may be in memory."""
    _FOLDER_OF_RUNS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_FOLDER_OF_RUNS) as folder:
        place = Path(folder)
        return [
            *asyncio.run(_writing(place, puts=60 if quick else 1_500)),
            *asyncio.run(_reading(place / "reading", storage, quick=quick)),
            *_opening(place / "opening", decisions=20_000 if quick else 2_000_000),
        ]


@asynccontextmanager
async def _open(settings: AccountSettings | FolderSettings) -> AsyncIterator[Storage]:
    storage = open_storage(settings)
    try:
        yield storage
    finally:
        await storage.close()


async def _writing(folder: Path, *, puts: int) -> list[Line]:
    """Put rows of one decision, and write and sync the same bytes to a file beside, in turn."""
    rows = _rows(puts, 1)
    descriptor = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ours, floor = [], []
    try:
        async with _open(FolderSettings(folder / "store", make=True)) as storage:
            await storage.rows.create(_TABLE)
            for row in rows:
                floor.append(_synced(descriptor, b"".join(value for value in row.values() if isinstance(value, bytes))))
                ours.append((await timed_async(storage.rows.put(_TABLE, row)))[0])
    finally:
        os.close(descriptor)
    return [_milliseconds("put a row, p50", 0.5, ours, floor), _milliseconds("put a row, p99", 0.99, ours, floor)]


def _synced(descriptor: int, data: bytes) -> float:
    begin = time.perf_counter()
    os.write(descriptor, data)
    os.fdatasync(descriptor)
    return time.perf_counter() - begin


def _milliseconds(measure: str, share: float, ours: Sequence[float], floor: Sequence[float]) -> Line:
    mine, theirs = percentile(ours, share), percentile(floor, share)
    return Line("store", measure, f"{1000 * mine:.2f} ms", f"{1000 * theirs:.2f} ms", mine / theirs)


async def _reading(folder: Path, azurite: str, *, quick: bool) -> list[Line]:
    lines: list[Line] = []
    sizes = ((1, 100), (50, 20)) if quick else ((1, 3_000), (50, 400))
    async with _open(FolderSettings(folder, make=True)) as ours, _open(AccountSettings(connection_string=azurite)) as theirs:
        for segment, count in sizes:
            table = f"{_TABLE[:-1]}{len(lines)}"
            rows = _rows(count, segment)
            for storage in (ours, theirs):
                await storage.rows.create(table)
                for each in _batched(rows, 16):
                    await asyncio.gather(*(storage.rows.put(table, row) for row in each))
            lines += await _compared(table, f"{count:,} rows of {segment}", ours, theirs, rounds=2 if quick else 5)
    return lines


async def _compared(table: str, what: str, ours: Storage, theirs: Storage, *, rounds: int) -> list[Line]:
    """Read the same window in turn: its rows, and these opened to decisions."""
    pairs = [((await timed_async(_read(ours, table)))[0], (await timed_async(_read(theirs, table)))[0]) for _ in range(rounds)]
    events = [
        ((await timed_async(_read_events(ours, table)))[0], (await timed_async(_read_events(theirs, table)))[0]) for _ in range(rounds)
    ]
    return [
        _faster(f"read a window: {what} decisions", pairs, WINDOW_GOAL),
        _faster("  and open them to decisions", events, None),
    ]


def _faster(measure: str, pairs: Sequence[Sequence[float]], goal: Goal | None) -> Line:
    ours, theirs = median(mine for mine, _ in pairs), median(other for _, other in pairs)
    return Line("store", measure, f"{1000 * ours:.0f} ms", f"{1000 * theirs:.0f} ms", median(other / mine for mine, other in pairs), goal)


async def _read(storage: Storage, table: str) -> list[Row]:
    return [row async for page in storage.rows.read(table, EVERYTHING) for row in page]


async def _read_events(storage: Storage, table: str) -> int:
    return sum(len(decode_decisions(row)) for row in await _read(storage, table))


def _opening(folder: Path, *, decisions: int) -> list[Line]:
    """Open, in a process of its own, a store of so many decisions in many days, and answer three questions."""
    segment, days = 100, 20
    asyncio.run(_fill(folder, rows=decisions // segment // days, segment=segment, days=days))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    seconds = median(_opened(folder, number) for number in range(3))
    what = f"open a store of {decisions:,} decisions ({size / 1e6:,.0f} MB)"
    return [Line("store", what, f"{seconds:.2f} s", f"{OPEN_SECONDS:.0f} s", seconds / OPEN_SECONDS, OPEN_GOAL)]


def _opened(folder: Path, number: int) -> float:
    command = [sys.executable, "-c", _OPENING, str(folder), str(number)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_FOLDER_OF_RUNS.parent)
    return float(run.stdout)


async def _fill(folder: Path, *, rows: int, segment: int, days: int) -> None:
    """Make tables as the engine does, and fill each in one transaction: row by row it would take an hour."""
    store = EmbeddedStorage(FolderSettings(folder, make=True))
    [sample] = _rows(1, segment)
    for day in range(days):
        table = names.DayTable("bench", 1, names.Kind.DECISIONS, (_BEGIN + timedelta(days=day)).date()).name
        await store.rows.create(table)
        await store.rows.put(table, sample)
    await store.files("models").put("pointer", b"{}", expected=None)
    await store.close()
    for path in (folder / "rows").glob("*.db"):
        _multiply(path, rows)


def _multiply(path: Path, rows: int) -> None:
    connection = sqlite3.connect(path)
    with connection:
        [(p, r, shape, size)] = connection.execute("SELECT p, r, shape, size FROM rows WHERE id = 1").fetchall()
        cells = connection.execute("SELECT id - 1, value FROM cells").fetchall()
        for number in range(2, rows + 1):
            connection.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", (number, p, f"{r}-{number:08d}", shape, size))
            connection.executemany("INSERT INTO cells VALUES (?, ?)", [(first + number, value) for first, value in cells])
    connection.close()


def _rows(count: int, segment: int) -> list[dict[str, Any]]:
    """Make rows as the log writes them, of different decisions."""
    traffic = Traffic(actions=10, seed=5)
    rows = []
    for number in range(count):
        at = _BEGIN + timedelta(milliseconds=50 * number)
        decisions = [traffic.decision(secrets.token_hex(16), at) for _ in range(segment)]
        name = names.RowName(at, "a1b2c3d4", number, count=segment, rewards=0, size=segment * 3_000)
        rows.append({"PartitionKey": names.partition(at, 0), "RowKey": str(name), **encode(decisions)})
    return rows


def _batched(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))
