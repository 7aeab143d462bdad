"""The Table service on one file: as much of it as the log needs, for more rows than an emulator holds.

What a client gets is what the service would send: pages of at most 1,000 rows or 4 MiB, and of a row only what was selected. It takes next
to no memory and time of the process that asks, so what is measured there is the process's own.
"""

import pickle
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from shared.storage.azure.storage import AzureStorage
from shared.storage.settings import AccountSettings

_PAGE_ROWS = 1_000
_PAGE_BYTES = 4 * 1024 * 1024
_CONDITION = re.compile(r"(PartitionKey|RowKey) (eq|ge|gt|le|lt) '([^']*)'")
_OPERATORS = {"eq": "=", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_COLUMNS = {"PartitionKey": "partition", "RowKey": "name"}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tables (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS entities (tab TEXT, partition TEXT, name TEXT, size INTEGER, small BLOB, payload BLOB);
CREATE UNIQUE INDEX IF NOT EXISTS keys ON entities (tab, partition, name);
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
"""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Table:
    name: str


class MadeTables:
    """The service: `azure.data.tables.aio.TableServiceClient`."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path)
        self._file.executescript(_SCHEMA)

    def get_table_client(self, table_name: str) -> "MadeTable":
        """Give a table, whether it is there or not."""
        return MadeTable(self._file, table_name)

    async def list_tables(self, **_: Any) -> AsyncIterator[_Table]:
        """List the tables."""
        for (name,) in self._file.execute("SELECT name FROM tables ORDER BY name").fetchall():
            yield _Table(name)

    async def close(self) -> None:
        """Keep what was written, and let go of the file."""
        self._file.commit()
        self._file.close()


class MadeTable:
    """A table: `azure.data.tables.aio.TableClient`."""

    def __init__(self, file: sqlite3.Connection, name: str) -> None:
        self._file = file
        self._name = name

    async def create_table(self, **_: Any) -> None:
        """Make it."""
        try:
            self._file.execute("INSERT INTO tables VALUES (?)", [self._name])
        except sqlite3.IntegrityError as cause:
            raise ResourceExistsError(self._name) from cause

    async def upsert_entity(self, entity: Row, **_: Any) -> None:
        """Write a row."""
        self._make_sure()
        payload = {name: value for name, value in entity.items() if name.startswith("Payload")}
        small = {name: value for name, value in entity.items() if name not in payload}
        parts = [pickle.dumps(small), pickle.dumps(payload)]
        values = [self._name, entity["PartitionKey"], entity["RowKey"], sum(map(len, parts)), *parts]
        self._file.execute("INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?, ?, ?)", values)

    def query_entities(
        self, query_filter: str, *, select: Sequence[str] | None = None, results_per_page: int = _PAGE_ROWS, **_: Any
    ) -> "_Found":
        """Ask for the rows of which this is true, in the order of their keys."""
        conditions = _CONDITION.findall(query_filter)
        if _CONDITION.sub("", query_filter).replace(" and ", ""):
            raise ValueError(f"not understood: {query_filter}")
        where = " AND ".join(["tab = ?", *[f"{_COLUMNS[column]} {_OPERATORS[operator]} ?" for column, operator, _ in conditions]])
        values = [self._name, *[value for _, _, value in conditions]]
        return _Found(self, where, values, select, min(results_per_page, _PAGE_ROWS))

    def _make_sure(self) -> None:
        if not self._file.execute("SELECT 1 FROM tables WHERE name = ?", [self._name]).fetchone():
            raise ResourceNotFoundError(self._name)


@dataclass(frozen=True, slots=True)
class _Found:
    """The answer to a query, page by page."""

    table: MadeTable
    where: str
    values: Sequence[str]
    select: Sequence[str] | None
    page: int

    async def by_page(self, **_: Any) -> AsyncIterator[AsyncIterator[Row]]:
        self.table._make_sure()
        columns = "partition, name" if self.select and set(self.select) <= _COLUMNS.keys() else "partition, name, small"
        columns = columns if self.select and not any(name.startswith("Payload") for name in self.select) else f"{columns}, payload"
        rows: list[Row] = []
        size = 0
        order = f"SELECT size, {columns} FROM entities WHERE {self.where} ORDER BY partition, name"
        for bytes_of_row, partition, name, *parts in self.table._file.execute(order, self.values):
            size += bytes_of_row if len(parts) == 2 else 200
            rows.append(_row(partition, name, parts))
            if len(rows) >= self.page or size >= _PAGE_BYTES:
                yield _each(rows)
                rows, size = [], 0
        if rows:
            yield _each(rows)


def _row(partition: str, name: str, parts: Sequence[bytes]) -> Row:
    row: dict[str, Any] = {"PartitionKey": partition, "RowKey": name}
    for part in parts:
        row |= pickle.loads(part)  # our own, of the same run
    return row


async def _each(rows: Sequence[Row]) -> AsyncIterator[Row]:
    for row in rows:
        yield row


class MadeAccount(AzureStorage):
    """An account whose tables are a file, and whose blobs are the real account's."""

    def __init__(self, connection: str, path: Path) -> None:
        super().__init__(AccountSettings(connection_string=connection))
        self._path = path

    @property
    def tables(self) -> Any:
        """The Table service."""
        if "made" not in vars(self):
            vars(self)["made"] = MadeTables(self._path)
        return vars(self)["made"]

    async def close(self) -> None:
        """Close every client that was made."""
        if "made" in vars(self):
            await vars(self).pop("made").close()
        await super().close()
