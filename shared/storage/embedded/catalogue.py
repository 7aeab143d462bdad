"""The files of a store: a catalogue of their names, ETags and metadata, which holds small ones itself; larger ones lie beside it.

A large file's content is written once, under a name that nothing else ever has, and is on the disk before the catalogue names it. It goes
when the catalogue names another. What a process that died has left is removed once it is old: when a store is opened, and each hour.
"""

import json
import math
import os
import secrets
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import ConflictError, StorageUnavailableError
from shared.storage.embedded.database import Database, Schema
from shared.storage.embedded.failures import MissingError, translated
from shared.storage.embedded.folder import CONTENT, make_folder, sync_folder, write_synced
from shared.storage.embedded.tables import is_old
from shared.storage.embedded.times import FolderTime, machine_start, since_start
from shared.storage.ports import Content, Entry, NotModified

FILES: Final = Schema(
    "the catalogue of a store's files",
    1,
    (
        "CREATE TABLE areas(name TEXT PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE files(id INTEGER PRIMARY KEY, area TEXT NOT NULL, name TEXT NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL,"
        " modified INTEGER NOT NULL, metadata TEXT NOT NULL, content TEXT, UNIQUE(area, name))",
        "CREATE TABLE contents(file INTEGER PRIMARY KEY, data BLOB NOT NULL)",
        "CREATE TABLE leases(file INTEGER PRIMARY KEY, id TEXT NOT NULL, start BLOB NOT NULL, until REAL NOT NULL)",
        "CREATE INDEX by_content ON files(content) WHERE content IS NOT NULL",
    ),
)
SMALL_BYTES: Final = 64 * 1024
"""Up to which a file is kept in the catalogue itself."""
LISTED: Final = 1_000
_ORPHAN_SECONDS: Final = 3_600.0
_LONGEST_LEASE: Final = 60.0
"""Seconds: one that would last longer is of an earlier start, on a machine that cannot tell its starts apart."""
_LOOKS: Final = 8
_HALVES: Final = 0xD800
_AFTER_HALVES: Final = 0xE000
"""Between these are no characters."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the catalogue tells of a file; its bytes are in ``data``, or in the file of the name ``content``."""

    id: int
    etag: str
    size: int
    metadata: Mapping[str, str]
    content: str | None
    data: bytes | None


class Catalogue:
    """The files of one store in one process; any thread may ask."""

    def __init__(self, folder: Path, time: FolderTime, *, maintain: Callable[[Callable[[], None]], None]) -> None:
        self._folder = folder / CONTENT
        self._time = time
        self._maintain = maintain
        self._doubted: list[str] = []
        self.database = Database(folder / "files.db", FILES)

    def find(self, area: str, name: str, *, due: float, with_data: bool = True) -> Found | None:
        """Look a file up."""
        return self.database.read(lambda connection: _found(connection, area, name, with_data=with_data), due=due)

    def read(self, area: str, name: str, *, unless: str, due: float) -> Content | None:
        """Read a file; raises `NotModified` when its ETag is ``unless``."""
        found, descriptor = self.opened(area, name, unless=unless, due=due)
        if found is None:
            return None
        return Content(self._bytes(found, descriptor, found.size), found.etag, found.metadata)

    def head(self, area: str, name: str, *, size: int, due: float) -> Content | None:
        """Read a file's first bytes."""
        if not size:
            found = self.find(area, name, due=due, with_data=False)
            return None if found is None else Content(b"", found.etag, found.metadata)
        found, descriptor = self.opened(area, name, due=due)
        if found is None:
            return None
        return Content(self._bytes(found, descriptor, min(size, found.size)), found.etag, found.metadata)

    def opened(self, area: str, name: str, *, unless: str = "", due: float) -> tuple[Found | None, int]:
        """Look a file up, and open its content where it is a file of its own: what replaces it meanwhile does not change what is read."""
        for _ in range(_LOOKS):
            found = self.find(area, name, due=due)
            if found is None:
                return None, -1
            if unless and found.etag == unless:
                raise NotModified
            if found.content is None:
                return found, -1
            path = self._path(found.content)
            with translated(path), suppress(FileNotFoundError):
                return found, os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            again = self.find(area, name, due=due, with_data=False)
            if again is not None and again.content == found.content:
                raise StorageUnavailableError(f"the store's file {path} is missing: it is the content of {area}/{name}")
        raise StorageUnavailableError(f"{area}/{name} is replaced faster than it can be read")

    def _bytes(self, found: Found, descriptor: int, size: int) -> bytes:
        if descriptor < 0:
            return (found.data or b"")[:size]
        with translated(self._path(found.content or "")):
            try:
                return read_at(descriptor, 0, size)
            finally:
                os.close(descriptor)

    def put(self, area: str, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str], due: float) -> str:
        """Write a file on condition; raises `ConflictError`."""
        _check(self.find(area, name, due=due, with_data=False), expected, name)
        content = self._write_content(data) if len(data) > SMALL_BYTES else None
        etag = f'"{secrets.token_hex(8)}"'
        labels = json.dumps(dict(metadata))
        is_named = False

        def job(connection: sqlite3.Connection) -> str | None:
            nonlocal is_named
            present = _found(connection, area, name, with_data=False)
            _check(present, expected, name)
            if content is not None and not self._path(content).exists():  # swept, while the clock was far ahead
                raise StorageUnavailableError(f"the content of {area}/{name} is gone before it has its name")
            told = (etag, len(data), to_micros(self._time.now()), labels, content)
            if present is None:
                connection.execute("INSERT OR IGNORE INTO areas(name) VALUES (?)", (area,))
                columns = "etag, size, modified, metadata, content, area, name"
                row = connection.execute(f"INSERT INTO files({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", (*told, area, name))
                file = row.lastrowid
            else:
                file = present.id
                columns = "etag = ?, size = ?, modified = ?, metadata = ?, content = ?"
                connection.execute(f"UPDATE files SET {columns} WHERE id = ?", (*told, file))
                connection.execute("DELETE FROM contents WHERE file = ?", (file,))
            if content is None:
                connection.execute("INSERT INTO contents(file, data) VALUES (?, ?)", (file, data))
            is_named = True
            return None if present is None else present.content

        try:
            replaced = self.database.write(job, due=due, size=0 if content else len(data))
        except BaseException:
            if is_named and content is not None:
                self._doubted.append(content)
            else:
                self._remove(content)
            raise
        self._remove(replaced)
        self._remove_doubted()
        self._keep_short()
        return etag

    def delete(self, area: str, name: str, *, expected: str | None, due: float) -> None:
        """Delete a file, if it is there and has still the ETag that is expected."""

        def job(connection: sqlite3.Connection) -> str | None:
            present = _found(connection, area, name, with_data=False)
            if present is None or (expected is not None and present.etag != expected):
                return None
            for table, key in (("files", "id"), ("contents", "file"), ("leases", "file")):
                connection.execute(f"DELETE FROM {table} WHERE {key} = ?", (present.id,))
            return present.content

        self._remove(self.database.write(job, due=due))
        self._keep_short()

    def listing(self, area: str, prefix: str, *, after: str | None, due: float) -> list[Entry]:
        """List the next files whose names begin so; fewer than `LISTED` are the last."""

        def job(connection: sqlite3.Connection) -> list[tuple[str, int, int, str]]:
            begin, end = ("name >= ?", prefix) if after is None else ("name > ?", after), end_of(prefix)
            return connection.execute(
                f"SELECT name, size, modified, metadata FROM files WHERE area = ? AND {begin[0]} AND (? IS NULL OR name < ?)"
                " ORDER BY name LIMIT ?",
                (area, begin[1], end, end, LISTED),
            ).fetchall()

        return [
            Entry(name, size, from_micros(modified), json.loads(metadata))
            for name, size, modified, metadata in self.database.read(job, due=due)
        ]

    def folders(self, area: str, prefix: str, *, due: float) -> list[str]:
        """List what stands between the prefix and the next slash: it looks at one name of each."""

        def job(connection: sqlite3.Connection) -> list[str]:
            found: list[str] = []
            begin, is_after = prefix, False
            while True:
                row = connection.execute(
                    f"SELECT name FROM files WHERE area = ? AND name {'>' if is_after else '>='} ? ORDER BY name LIMIT 1",
                    (area, begin),
                ).fetchone()
                if row is None or not row[0].startswith(prefix):
                    return sorted(found)
                part, slash, _ = row[0][len(prefix) :].partition("/")
                if slash:
                    found.append(part)
                begin, is_after = (f"{prefix}{part}0", False) if slash else (row[0], True)  # "0" comes next after a slash

        return self.database.read(job, due=due)

    def areas(self, *, due: float) -> list[str]:
        """List the areas that have, or had, a file."""

        def job(connection: sqlite3.Connection) -> list[str]:
            return [name for (name,) in connection.execute("SELECT name FROM areas ORDER BY name")]

        return self.database.read(job, due=due)

    # --- leases ----------------------------------------------------------------------------------------------------------

    def acquire(self, area: str, name: str, *, seconds: int, due: float) -> str | None:
        """Take a file's lease; None while another holds it. A lease ends with its time, or when the machine starts anew."""
        lease = secrets.token_hex(16)

        def job(connection: sqlite3.Connection) -> str | None:
            present = _found(connection, area, name, with_data=False)
            if present is None:
                raise StorageUnavailableError(f"{area}/{name} is not there to be leased")
            held = connection.execute("SELECT start, until FROM leases WHERE file = ?", (present.id,)).fetchone()
            if held is not None and held[0] == machine_start() and since_start() < held[1] <= since_start() + _LONGEST_LEASE:
                return None
            connection.execute(
                "INSERT OR REPLACE INTO leases(file, id, start, until) VALUES (?, ?, ?, ?)",
                (present.id, f"{seconds}-{lease}", machine_start(), since_start() + seconds),
            )
            return f"{seconds}-{lease}"

        return self.database.write(job, due=due)

    def renew(self, area: str, name: str, lease: str, *, due: float) -> None:
        """Hold a lease for as long again."""

        def job(connection: sqlite3.Connection) -> None:
            until = since_start() + int(lease.partition("-")[0])
            changed = connection.execute(
                "UPDATE leases SET start = ?, until = ? WHERE id = ? AND file = (SELECT id FROM files WHERE area = ? AND name = ?)",
                (machine_start(), until, lease, area, name),
            ).rowcount
            if not changed:
                raise StorageUnavailableError(f"the lease of {area}/{name} is another's by now")

        self.database.write(job, due=due)

    def release(self, area: str, name: str, lease: str, *, due: float) -> None:
        """Let go of a lease, unless it is another's."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM leases WHERE id = ? AND file = (SELECT id FROM files WHERE area = ? AND name = ?)", (lease, area, name)
            )

        self.database.write(job, due=due)

    # --- contents --------------------------------------------------------------------------------------------------------

    def sweep(self, *, due: float) -> None:
        """Remove old contents that nothing names."""
        named = self.database.read(_contents, due=due)
        old = [path for path in self._folder.glob("*/*") if path.name not in named and is_old(path, _ORPHAN_SECONDS)]

        def job(connection: sqlite3.Connection) -> None:
            named = _contents(connection)
            for path in old:
                if path.name not in named:
                    path.unlink(missing_ok=True)

        if old:
            self.database.write(job, due=due)  # nobody names one meanwhile: a clock that was set makes a new file look old

    def path(self, content: str) -> Path:
        """Give where a content is."""
        return self._path(content)

    def close(self) -> None:
        """Close the catalogue."""
        self.database.close()

    def _write_content(self, data: bytes) -> str:
        content = secrets.token_hex(16)
        path = self._path(content)
        with translated(path):
            if not self._folder.is_dir():
                raise MissingError(f"the store's folder {self._folder} is missing")
            make_folder(path.parent)
            write_synced(path, data)
            sync_folder(path.parent)
        return content

    def _remove(self, content: str | None) -> None:
        if content is not None:
            with suppress(OSError):  # what is left is swept later
                self._path(content).unlink(missing_ok=True)

    def _remove_doubted(self) -> None:
        """Remove contents whose naming failed at its end, now that another write has succeeded.

        Until then the log may still hold the whole of the one that failed, and whoever opens the catalogue after a kill would find it done.
        """
        doubted, self._doubted = self._doubted, []
        for content in doubted:
            if not self._may_be_named(content):
                self._remove(content)

    def _is_named(self, content: str, due: float) -> bool:
        return self.database.read(
            lambda connection: connection.execute("SELECT 1 FROM files WHERE content = ?", (content,)).fetchone() is not None, due=due
        )

    def _may_be_named(self, content: str) -> bool:
        """Whether the catalogue may name a content, as after an answer that did not come."""
        try:
            return self._is_named(content, math.inf)
        except Exception:  # noqa: BLE001 - whatever it is: an old content that nothing names is swept later
            return True

    def _keep_short(self) -> None:
        if self.database.claim_checkpoint():
            self._maintain(lambda: self.database.checkpoint(due=math.inf))

    def _path(self, content: str) -> Path:
        return self._folder / content[:2] / content


def end_of(prefix: str) -> str | None:
    r"""Give the first text after all that begin so, by code points; None where there is none.

    >>> end_of("loops/a"), end_of("a\U0010ffff"), end_of("")
    ('loops/b', 'b', None)
    """
    rest = prefix.rstrip("\U0010ffff")
    if not rest:
        return None
    following = ord(rest[-1]) + 1
    return rest[:-1] + chr(_AFTER_HALVES if following == _HALVES else following)


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Read so many bytes from there on; raises `StorageUnavailableError` when there are fewer."""
    parts: list[bytes] = []
    end = offset + size
    while offset < end:
        part = os.pread(descriptor, end - offset, offset)
        if not part:
            raise StorageUnavailableError("a file of the store is shorter than it was written")
        parts.append(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check(present: Found | None, expected: str | None, name: str) -> None:
    if (present.etag if present else None) != expected:
        raise ConflictError(f"{name} was written by another")


def _contents(connection: sqlite3.Connection) -> set[str]:
    return {content for (content,) in connection.execute("SELECT content FROM files WHERE content IS NOT NULL")}


def _found(connection: sqlite3.Connection, area: str, name: str, *, with_data: bool) -> Found | None:
    row = connection.execute("SELECT id, etag, size, metadata, content FROM files WHERE area = ? AND name = ?", (area, name)).fetchone()
    if row is None:
        return None
    file, etag, size, metadata, content = row
    data: Sequence[bytes] | None = None
    if with_data and content is None:
        data = connection.execute("SELECT data FROM contents WHERE file = ?", (file,)).fetchone()
    return Found(file, etag, size, json.loads(metadata), content, data[0] if data else None)
