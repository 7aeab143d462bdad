"""The tables of a store: a database file each, and a catalogue that says which file is a table's.

A file's path is used once, since a database's log lies beside it under the same name. A file is whole before the catalogue names it. A
table is dropped in steps that the next call finishes if a process dies between them: the catalogue says that it is being dropped, the
file says so to whoever still has it open, the catalogue forgets it, and the file goes.
"""

import math
import re
import secrets
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from shared.domain.errors import StorageUnavailableError
from shared.storage.embedded.database import Database, Schema
from shared.storage.embedded.failures import ClosedError, DamagedError, MissingError, translated
from shared.storage.embedded.folder import ROWS, sync_folder
from shared.storage.ports import CELL_BYTES, ROW_BYTES, AbsentError, KeyRange, Row

Answer = TypeVar("Answer")
Key = tuple[str, str]

CATALOGUE: Final = Schema(
    "the catalogue of a store's tables",
    1,
    ("CREATE TABLE tables(name TEXT PRIMARY KEY, file TEXT NOT NULL UNIQUE, dropping INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",),
)
TABLE: Final = Schema(
    "a table of a store",
    1,
    (
        "CREATE TABLE about(name TEXT NOT NULL, dropped INTEGER NOT NULL DEFAULT 0)",
        "CREATE TABLE columns(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        "CREATE TABLE rows(id INTEGER PRIMARY KEY, p TEXT NOT NULL, r TEXT NOT NULL, shape TEXT NOT NULL, size INTEGER NOT NULL,"
        " UNIQUE(p, r))",
        "CREATE TABLE cells(id INTEGER PRIMARY KEY, value)",
    ),
)
"""A cell's id is its column's number and its row's: cells of a column lie together, so that no other column is read for them.

A row's shape is its columns' numbers, with a letter behind one whose value is not what the database would give back.
"""

PAGE_BYTES: Final = 8 * 1024 * 1024
_COLUMN_AT: Final = 1 << 44
_KEYS: Final = ("PartitionKey", "RowKey")
_MOST_COLUMNS: Final = 255
_ORPHAN_SECONDS: Final = 600.0
_TRIES: Final = 4
_SPARSE: Final = 4
_PLAIN: Final = re.compile("[A-Za-z0-9]{1,63}")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tables a process has open, for how many seconds those that nobody asks for, and how often that is looked after."""

    open: int = 64
    idle: float = 300.0
    looked_after: float = 30.0


@dataclass(slots=True)
class _Open:
    """A table whose file is open; ``columns`` is what is known of the names of its columns, and only ever grows."""

    file: str
    database: Database
    columns: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows of a table are asked for, after which key, and how many at most; ``select`` names their columns (None: all)."""

    chosen: KeyRange
    select: frozenset[str] | None
    after: Key | None
    most: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of their keys, and the key after which to go on; None when there are no more."""

    rows: Sequence[Row]
    after: Key | None


class Tables:
    """The tables of one store in one process; any thread may ask."""

    def __init__(self, folder: Path, *, maintain: Callable[[Callable[[], None]], None], limits: Limits | None = None) -> None:
        self._folder = folder / ROWS
        self._maintain = maintain
        self._limits = limits or Limits()
        self.catalogue = Database(folder / "tables.db", CATALOGUE)
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._looked_at = time.monotonic()

    # --- rows ------------------------------------------------------------------------------------------------------------

    def put(self, table: str, row: Row, *, due: float) -> None:
        """Write a row in place of the one of its keys; raises `AbsentError` and `StorageUnavailableError`."""
        partition, name, cells, size = _parted(row)

        def job(used: _Open) -> None:
            known = used.columns
            used.columns = used.database.write(lambda connection: _write(connection, known, partition, name, cells), due=due, size=size)
            if used.database.claim_checkpoint():
                self._maintain(lambda: used.database.checkpoint(due=math.inf))

        self._with(table, job, due=due)

    def page(self, table: str, asked: Asked, *, due: float) -> Page:
        """Read the next rows of a range, up to so many; raises `AbsentError` and `StorageUnavailableError`."""

        def job(used: _Open) -> Page:
            return used.database.read(lambda connection: _page(connection, used, asked), due=due)

        return self._with(table, job, due=due)

    # --- tables ----------------------------------------------------------------------------------------------------------

    def create(self, table: str, *, due: float) -> None:
        """Make a table, unless it is there; one that was being dropped is gone before."""
        while (entry := self._entry(table, due)) is not None:
            file, is_dropping = entry
            if not is_dropping:
                return
            self._finish(table, file, due)
        file = f"{table if _PLAIN.fullmatch(table) else 'table'}-{secrets.token_hex(6)}.db"
        made = Database(self._folder / file, TABLE)
        is_named = False

        def name(connection: sqlite3.Connection) -> int:
            nonlocal is_named
            if not made.path.exists():  # swept, while the clock was far ahead
                raise StorageUnavailableError(f"the file of the table {table} is gone before it has its name")
            is_named = True
            return connection.execute("INSERT OR IGNORE INTO tables(name, file) VALUES (?, ?)", (table, file)).rowcount

        with translated(made.path):
            try:
                made.make(due=due)
                made.write(lambda connection: connection.execute("INSERT INTO about(name) VALUES (?)", (table,)), due=due)
                made.close()  # the last connection empties the log and removes it
                sync_folder(self._folder)
                named = self.catalogue.write(name, due=due)
            except BaseException:
                made.close()
                if not is_named:  # else a kill may make it so yet; what is left is swept
                    self._unlink(file)
                raise
            if not named:  # another was faster
                self._unlink(file)

    def drop(self, table: str, *, due: float) -> None:
        """Drop a table, if it is there."""
        entry = self._entry(table, due)
        if entry is None:
            return
        file, is_dropping = entry
        if not is_dropping:
            self._check(file, due)
            self.catalogue.write(
                lambda connection: connection.execute("UPDATE tables SET dropping = 1 WHERE name = ? AND file = ?", (table, file)), due=due
            )
        self._finish(table, file, due)

    def names(self, *, due: float) -> list[str]:
        """List the tables."""

        def job(connection: sqlite3.Connection) -> list[str]:
            return [name for (name,) in connection.execute("SELECT name FROM tables WHERE dropping = 0 ORDER BY name")]

        return self.catalogue.read(job, due=due)

    def copy(self, table: str, to: Path, *, due: float) -> bool:
        """Copy a table's file to one that is not there; tells whether there was one to be copied."""
        try:
            self._with(table, lambda used: used.database.copy(to, look=_check_kept, due=due), due=due)
        except AbsentError:
            to.unlink(missing_ok=True)
            return False
        return True

    # --- the files -------------------------------------------------------------------------------------------------------

    def sweep(self, *, due: float) -> None:
        """Finish what others who died have begun: drop tables that are being dropped, and remove old files that nothing names."""
        names = [(path, _database_of(path.name)) for path in self._folder.iterdir()]
        entries = self.catalogue.read(lambda connection: connection.execute("SELECT name, file, dropping FROM tables").fetchall(), due=due)
        for name, file, is_dropping in entries:
            if is_dropping:
                self._finish(name, file, due)
        known = {file for _, file, _ in entries}
        old = [(path, file) for path, file in names if file not in known and is_old(path, _ORPHAN_SECONDS)]

        def job(connection: sqlite3.Connection) -> None:
            known = {file for (file,) in connection.execute("SELECT file FROM tables")}
            for path, file in old:
                if file not in known:
                    path.unlink(missing_ok=True)

        if old:
            self.catalogue.write(job, due=due)  # nobody names one meanwhile: a clock that was set makes a new file look old

    def files(self, *, due: float) -> Mapping[str, str]:
        """Give the file of each table."""

        def job(connection: sqlite3.Connection) -> dict[str, str]:
            return dict(connection.execute("SELECT name, file FROM tables WHERE dropping = 0").fetchall())

        return self.catalogue.read(job, due=due)

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            used, self._open = list(self._open.values()), OrderedDict()
        for each in used:
            each.database.close()
        self.catalogue.close()

    def _with(self, table: str, job: Callable[[_Open], Answer], *, due: float) -> Answer:
        """Do a job on a table's file; where that turns out to be another's by now, or none's, look up once more."""
        for _ in range(_TRIES):
            used = self._opened(table, due)
            try:
                return job(used)
            except ClosedError:
                self._forget(table, used)
            except AbsentError:
                self._forget(table, used)
                if self._entry(table, due) == (used.file, 1):
                    raise
            except MissingError as cause:
                self._forget(table, used)
                if self._entry(table, due) == (used.file, 0):
                    raise StorageUnavailableError(str(cause)) from cause
        if self._entry(table, due) is not None:
            raise StorageUnavailableError(f"the table {table} is closed or dropped faster than it can be used")
        raise AbsentError(table)

    def _opened(self, table: str, due: float) -> _Open:
        self._look_after(due)
        with self._lock:
            if table in self._open:
                self._open.move_to_end(table)
                return self._open[table]
        entry = self._entry(table, due)
        if entry is None or entry[1]:
            raise AbsentError(table)
        used = _Open(entry[0], Database(self._folder / entry[0], TABLE))
        try:
            used.database.read(_check_kept, due=due)
        except MissingError as cause:
            if self._entry(table, due) == entry:
                raise StorageUnavailableError(str(cause)) from cause
            raise AbsentError(table) from cause
        except BaseException:
            used.database.close()
            raise
        if self._entry(table, due) != entry:  # it may have gone between the look and the opening, and its log with it
            used.database.close()
            raise AbsentError(table)
        with self._lock:
            kept = self._open.setdefault(table, used)
            self._open.move_to_end(table)
            surplus = [self._open.popitem(last=False)[1] for _ in range(len(self._open) - self._limits.open)]
        for each in [*surplus, *([used] if kept is not used else [])]:
            each.database.close()
        return kept

    def _look_after(self, due: float) -> None:
        """Close files that were not used for long, and those of tables that others have dropped: their space is free only then."""
        at = time.monotonic()
        with self._lock:
            if at - self._looked_at < self._limits.looked_after or not self._open:
                return
            self._looked_at = at
        known = set(self.files(due=due).values())
        with self._lock:
            gone = [name for name, each in self._open.items() if each.file not in known or at - each.database.used_at > self._limits.idle]
            closed = [self._open.pop(name) for name in gone]
        for each in closed:
            each.database.close()

    def _forget(self, table: str, used: _Open) -> None:
        with self._lock:
            if self._open.get(table) is used:
                del self._open[table]
        used.database.close()

    def _entry(self, table: str, due: float) -> tuple[str, int] | None:
        def job(connection: sqlite3.Connection) -> tuple[str, int] | None:
            found: tuple[str, int] | None = connection.execute("SELECT file, dropping FROM tables WHERE name = ?", (table,)).fetchone()
            return found

        return self.catalogue.read(job, due=due)

    def _check(self, file: str, due: float) -> None:
        """Raise `NewerFormatError` for a table of a newer release: what is in it is not known, and stays."""
        looked = Database(self._folder / file, TABLE)
        with suppress(MissingError, DamagedError, AbsentError), self._closing(looked):
            looked.read(_check_kept, due=due)

    def _finish(self, table: str, file: str, due: float) -> None:
        """Finish dropping a table. Each step may have been done before."""
        marked = Database(self._folder / file, TABLE)
        with suppress(MissingError, DamagedError), self._closing(marked):
            marked.write(lambda connection: connection.execute("UPDATE about SET dropped = 1"), due=due)
        with self._lock:
            used = self._open.pop(table) if table in self._open and self._open[table].file == file else None
        if used is not None:
            used.database.close()
        self.catalogue.write(
            lambda connection: connection.execute("DELETE FROM tables WHERE name = ? AND file = ?", (table, file)), due=due
        )
        with translated(marked.path):
            self._unlink(file)

    def _unlink(self, file: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            (self._folder / f"{file}{suffix}").unlink(missing_ok=True)
        sync_folder(self._folder)

    @staticmethod
    @contextmanager
    def _closing(database: Database) -> Iterator[None]:
        try:
            yield
        finally:
            database.close()


def is_old(path: Path, seconds: float) -> bool:
    """Whether nobody has written to a file for so long, as far as the clock tells: one of a time to come was written by another clock."""
    with suppress(FileNotFoundError):
        return abs(time.time() - path.stat().st_mtime) > seconds
    return False


def _database_of(name: str) -> str:
    return name.removesuffix("-wal").removesuffix("-shm")


def _check_kept(connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT dropped FROM about").fetchone() != (0,):
        raise AbsentError


def _parted(row: Row) -> tuple[str, str, list[tuple[str, str, Any]], int]:
    """Part a row into its keys and its cells (column, letter, value), and tell the cells' bytes; raises `StorageUnavailableError`."""
    partition, name = row.get(_KEYS[0]), row.get(_KEYS[1])
    if not isinstance(partition, str) or not isinstance(name, str):
        raise StorageUnavailableError("a row needs the texts PartitionKey and RowKey")
    cells = [(column, *_stored(column, value)) for column, value in row.items() if column not in _KEYS and value is not None]
    sizes = [_size(value) for _, _, value in cells]
    if len(cells) > _MOST_COLUMNS or max(sizes, default=0) > CELL_BYTES or sum(sizes) > ROW_BYTES:
        raise StorageUnavailableError(
            f"a row may have {_MOST_COLUMNS} columns of {CELL_BYTES} bytes and {ROW_BYTES} bytes in all: {name} is larger"
        )
    return partition, name, cells, sum(sizes)


def _stored(column: str, value: object) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "b", int(value)
    if isinstance(value, float) and math.isnan(value):
        return "n", None
    if isinstance(value, str | bytes | int | float):
        return "", value
    if isinstance(value, bytearray | memoryview):
        return "", bytes(value)
    raise StorageUnavailableError(f"the column {column} of a row holds what cannot be stored: {type(value).__name__}")


def _size(value: object) -> int:
    if isinstance(value, bytes):
        return len(value)
    return len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 8


def _write(
    connection: sqlite3.Connection, known: dict[str, int], partition: str, name: str, cells: Sequence[tuple[str, str, Any]]
) -> dict[str, int]:
    """Write a row, and give the numbers of the columns that are known by now."""
    _check_kept(connection)
    if not known.keys() >= {column for column, _, _ in cells}:
        connection.executemany("INSERT OR IGNORE INTO columns(name) VALUES (?)", [(column,) for column, _, _ in cells])
        known = _columns(connection)
    numbered = [(known[column], letter, value) for column, letter, value in cells]
    shape = " ".join(f"{number}{letter}" for number, letter, _ in numbered)
    size = sum(_size(value) for _, _, value in numbered)
    present = connection.execute("SELECT id, shape FROM rows WHERE p = ? AND r = ?", (partition, name)).fetchone()
    if present is None:
        row = connection.execute("INSERT INTO rows(p, r, shape, size) VALUES (?, ?, ?, ?)", (partition, name, shape, size)).lastrowid or 0
    else:
        row, old = present
        connection.executemany("DELETE FROM cells WHERE id = ?", [(number * _COLUMN_AT + row,) for number, _ in _shaped(old)])
        connection.execute("UPDATE rows SET shape = ?, size = ? WHERE id = ?", (shape, size, row))
    connection.executemany(
        "INSERT INTO cells(id, value) VALUES (?, ?)", [(number * _COLUMN_AT + row, value) for number, _, value in numbered]
    )
    return known


def _columns(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT name, number FROM columns").fetchall())


def _shaped(shape: str) -> list[tuple[int, str]]:
    """Read a shape.

    >>> _shaped("1 12b")
    [(1, ''), (12, 'b')]
    """
    return [(int(each.rstrip("bn")), each.lstrip("0123456789")) for each in shape.split()]


def _page(connection: sqlite3.Connection, used: _Open, asked: Asked) -> Page:
    _check_kept(connection)
    wanted, most = asked.select, asked.most
    has_cells = wanted is None or bool(wanted - set(_KEYS))
    where, values = _where(asked.chosen, asked.after)
    what = "p, r, id, shape, size" if has_cells else "p, r, 0, '', 0"
    found = connection.execute(f"SELECT {what} FROM rows WHERE {where} ORDER BY p, r LIMIT ?", (*values, most))
    taken: list[tuple[str, str, int, str]] = []
    total, is_all = 0, True
    for p, r, row, shape, size in found:
        if taken and total + size > PAGE_BYTES:
            is_all = False
            break
        taken.append((p, r, row, shape))
        total += size
    rows: list[dict[str, Any]] = [{} for _ in taken]
    for each, (p, r, _, _) in zip(rows, taken, strict=True):
        if wanted is None or _KEYS[0] in wanted:
            each[_KEYS[0]] = p
        if wanted is None or _KEYS[1] in wanted:
            each[_KEYS[1]] = r
    if has_cells:
        _fill(connection, used, wanted, taken, rows)
    is_over = is_all and len(taken) < most
    return Page(rows, None if is_over or not taken else (taken[-1][0], taken[-1][1]))


def _where(chosen: KeyRange, after: Key | None) -> tuple[str, tuple[str, ...]]:
    """Give the condition of a range, from after a key on."""
    below = "<=" if chosen.closed else "<"
    if chosen.closed and chosen.first_partition == chosen.last_partition:
        begin = ("r > ?", after[1]) if after else ("r >= ?", chosen.first_row)
        return f"p = ? AND {begin[0]} AND r <= ?", (chosen.first_partition, begin[1], chosen.last_row)
    rows = f"p {below} ? AND r >= ? AND r {below} ?"
    ends = (chosen.last_partition, chosen.first_row, chosen.last_row)
    if after:
        return f"(p, r) > (?, ?) AND {rows}", (*after, *ends)
    return f"p >= ? AND {rows}", (chosen.first_partition, *ends)


def _fill(
    connection: sqlite3.Connection,
    used: _Open,
    wanted: frozenset[str] | None,
    taken: Sequence[tuple[str, str, int, str]],
    rows: Sequence[dict[str, Any]],
) -> None:
    """Bring the cells of these rows, column by column."""
    shapes = {shape: _shaped(shape) for shape in {each[3] for each in taken}}
    numbers = {number for shape in shapes.values() for number, _ in shape}
    columns = used.columns
    if not numbers <= set(columns.values()):
        columns = used.columns = _columns(connection)
    names = {number: name for name, number in columns.items() if wanted is None or name in wanted}
    places: dict[int, dict[int, tuple[int, str]]] = {}
    for place, (_, _, row, shape) in enumerate(taken):
        for number, letter in shapes[shape]:
            if number in names:
                places.setdefault(number, {})[number * _COLUMN_AT + row] = (place, letter)
    for number in sorted(places):
        column, ids = names[number], places[number]
        for cell, value in _cells(connection, ids):
            if cell in ids:
                place, letter = ids[cell]
                rows[place][column] = bool(value) if letter == "b" else math.nan if letter == "n" else value


def _cells(connection: sqlite3.Connection, ids: Mapping[int, object]) -> Iterator[tuple[int, Any]]:
    first, last = min(ids), max(ids)
    if last - first < _SPARSE * len(ids):
        yield from connection.execute("SELECT id, value FROM cells WHERE id BETWEEN ? AND ?", (first, last))
        return
    for cell in ids:
        yield from connection.execute("SELECT id, value FROM cells WHERE id = ?", (cell,))
