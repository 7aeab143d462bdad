"""One database file: a connection that writes, some that read beside it, and what empties its write-ahead log.

Every commit is on the disk before it is answered. The log is emptied in the background: most of it while others write, and only the little
that came meanwhile while they wait, since it can be begun anew only when nothing of it is left.
"""

import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from shared.domain.errors import NewerFormatError, StorageUnavailableError
from shared.storage.embedded.failures import ClosedError, DamagedError, MissingError, is_busy, translated

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Look = Callable[[sqlite3.Connection], object]

BUSY_SECONDS: Final = 5.0
"""How long one may wait for another that writes."""
CHECKPOINT_BYTES: Final = 4 * 1024 * 1024
"""Of the write-ahead log, from which on it is emptied."""
_KEPT_LOG_BYTES: Final = 16 * 1024 * 1024
_CACHE_KIB: Final = 512
"""Of pages that each connection keeps; the system keeps those of all."""
_READERS: Final = 2
"""Connections that read, which are kept for the next."""
_OURS: Final = 0x4F504553
"""What each of our files says whose it is."""
_PAUSE: Final = 0.0005
"""Seconds between two tries to write while another does: a commit takes a few thousandths. Ten times as many once it takes long."""
_LONG: Final = 0.2
_PAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database of a kind holds; ``version`` is its format's number."""

    what: str
    version: int
    statements: Sequence[str]


class Database:
    """One file, opened when it is first needed. Any thread may ask; those that write wait for each other.

    Times at which waiting ends (``due``) are of `time.monotonic`. Raises `MissingError`, `DamagedError`, `ClosedError`,
    `NewerFormatError` and `StorageUnavailableError`.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self.path = path
        self.used_at = time.monotonic()
        self._schema = schema
        self._writing = threading.Lock()
        self._pool = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False
        self._unchecked = 0
        self._opened: tuple[int, int] | None = None

    def claim_checkpoint(self) -> bool:
        """Whether so much was written that the log should be emptied; who is told so does it."""
        is_due = self._unchecked >= CHECKPOINT_BYTES
        if is_due:
            self._unchecked = 0
        return is_due

    def make(self, *, due: float) -> None:
        """Make the file and what belongs in it, unless it is there."""
        with translated(self.path):
            connection = _patiently(lambda: _connected(self.path, mode="rwc"), _soon(due))
            try:
                _patiently(lambda: connection.execute("PRAGMA journal_mode=WAL").fetchall(), _soon(due))
                with self._transaction(connection, "BEGIN IMMEDIATE", due):
                    if _number(connection, "PRAGMA user_version") == 0 and _number(connection, "SELECT count(*) FROM sqlite_master") == 0:
                        for statement in self._schema.statements:
                            connection.execute(statement)
                        connection.execute(f"PRAGMA application_id = {_OURS}")
                        connection.execute(f"PRAGMA user_version = {self._schema.version}")
                self._check(connection)
            finally:
                connection.close()

    def write(self, job: Callable[[sqlite3.Connection], Answer], *, due: float, size: int = 0) -> Answer:
        """Do a job in one transaction, and give its answer when all of it is stored; nothing is stored when it raises.

        What is not ready to be stored when it is due is not stored. ``size`` is about how many bytes it writes.
        """
        self.used_at = time.monotonic()
        with translated(self.path), self._alone(due):
            connection = self._opened_writer()
            self._check_there()
            try:
                with self._transaction(connection, "BEGIN IMMEDIATE", due):
                    answer = job(connection)
            except sqlite3.Error:
                self._writer = None
                connection.close()
                raise
            self._unchecked += size + 3 * _PAGE
            return answer

    def read(self, job: Callable[[sqlite3.Connection], Answer], *, due: float) -> Answer:
        """Do a job that reads one state of the file."""
        self.used_at = time.monotonic()
        with translated(self.path):
            connection = self._borrowed()
            try:
                self._check_there()
                with self._transaction(connection, "BEGIN", due):
                    answer = job(connection)
            except sqlite3.Error:
                connection.close()
                raise
            except BaseException:
                self._give_back(connection)
                raise
            self._give_back(connection)
            return answer

    def checkpoint(self, *, due: float) -> None:
        """Empty the write-ahead log, if others let it: what is left of it is tried again when as much was written anew."""
        with translated(self.path):
            connection = self._borrowed()
            try:
                connection.execute("PRAGMA query_only=OFF")
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                with self._alone(due), self._transaction(self._opened_writer(), "BEGIN IMMEDIATE", due):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
            finally:
                connection.close()

    def copy(self, to: Path, *, look: Look, due: float, is_alone: bool = False) -> None:
        """Copy one state of the file to another that is not there, while it is written to; the copy is synced.

        ``look`` looks at that state before, while nobody writes if it is to be alone; what it raises ends it.
        """
        with translated(self.path):
            connection = self._borrowed()
            try:
                if is_alone:
                    self.write(lambda _: _pin(connection, look), due=due)
                else:
                    _patiently(lambda: _pin(connection, look), _soon(due))
                copy = sqlite3.connect(to, isolation_level=None)
                try:
                    copy.execute("PRAGMA synchronous=FULL")
                    connection.backup(copy)
                finally:
                    copy.close()
            finally:
                connection.close()

    def close(self) -> None:
        """Close all connections, when what they do is done; asked again, it raises `ClosedError`."""
        with self._pool:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        with self._writing:
            writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(sqlite3.Error):
                writer.close()

    @contextmanager
    def _alone(self, due: float) -> Iterator[None]:
        if not self._writing.acquire(timeout=max(_soon(due) - time.monotonic(), 0.0)):
            raise StorageUnavailableError(f"the store is busy: {self.path.name} is held by another for too long")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection, begin: str, due: float) -> Iterator[None]:
        def began() -> None:
            if not connection.in_transaction:
                connection.execute(begin)
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # from here on it is one state

        try:
            _patiently(began, _soon(due))
            yield
            if time.monotonic() > due:
                raise StorageUnavailableError(f"the store did not answer in time: {self.path.name}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise

    def _opened_writer(self) -> sqlite3.Connection:
        if self._is_closed:
            raise ClosedError
        if self._writer is None:
            self._writer = self._open()
        return self._writer

    def _borrowed(self) -> sqlite3.Connection:
        with self._pool:
            if self._is_closed:
                raise ClosedError
            if self._idle:
                return self._idle.pop()
        connection = self._open()
        connection.execute("PRAGMA query_only=ON")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._pool:
            if not self._is_closed and len(self._idle) < _READERS:
                self._idle.append(connection)
                return
        connection.close()

    def _open(self) -> sqlite3.Connection:
        return _patiently(self._checked, time.monotonic() + BUSY_SECONDS)

    def _checked(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = _identity(self.path)
        connection = _connected(self.path, mode="rw")
        try:
            self._check(connection)
            connection.execute("PRAGMA journal_mode=WAL").fetchall()  # a copy may have lost it
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_there(self) -> None:
        """Raise `MissingError` for a file that was removed or replaced since it was opened: what is written to it now is nowhere."""
        if _identity(self.path) != self._opened:
            raise MissingError(f"the store's file {self.path} is another than the one that was opened: start the service again")

    def _check(self, connection: sqlite3.Connection) -> None:
        """Raise `NewerFormatError` or `DamagedError` for a file that this cannot be used for."""
        owner, version = _number(connection, "PRAGMA application_id"), _number(connection, "PRAGMA user_version")
        if owner != _OURS or version < 1:
            raise DamagedError(f"the store's file {self.path} is not {self._schema.what}")
        if version > self._schema.version:
            raise NewerFormatError(f"{self._schema.what} ({self.path})", found=version, known=self._schema.version)


def _connected(path: Path, *, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=0.0)
    try:
        for setting in (
            "synchronous=FULL",
            "wal_autocheckpoint=0",
            f"journal_size_limit={_KEPT_LOG_BYTES}",
            f"cache_size=-{_CACHE_KIB}",
            "cell_size_check=ON",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {setting}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _identity(path: Path) -> tuple[int, int]:
    """Tell which file a path names: no other is the same while that is open."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _pin(connection: sqlite3.Connection, look: Look) -> None:
    """Begin to read one state, whatever others write from now on."""
    if not connection.in_transaction:
        connection.execute("BEGIN")
    look(connection)


def _number(connection: sqlite3.Connection, question: str) -> int:
    answer: Any = connection.execute(question).fetchone()[0]
    return int(answer)


def _soon(due: float) -> float:
    return min(due, time.monotonic() + BUSY_SECONDS)


def _patiently(what: Callable[[], Answer], until: float) -> Answer:
    """Do it again while another holds what it needs: soon, and not all at the same time."""
    begin = time.monotonic()
    while True:
        try:
            return what()
        except sqlite3.Error as error:
            at = time.monotonic()
            if not is_busy(error) or at >= until:
                raise
            time.sleep(_PAUSE * (0.5 + random.random()) * (1 if at - begin < _LONG else 10))
