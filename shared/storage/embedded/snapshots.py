"""A consistent copy of a store that is in use: its files as they were at one moment, and its rows and messages as they were after that.

What tells how far the log was learned is a file, so a copy never knows more than its rows tell. Contents of large files never change:
where it can be, the copy has them by another name of the same bytes.
"""

import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

from shared.domain.errors import NewerFormatError, SettingsError, StorageUnavailableError
from shared.storage.embedded import folder as folders
from shared.storage.embedded.database import Database
from shared.storage.embedded.engine import Engine
from shared.storage.embedded.failures import ClosedError, DamagedError, MissingError, translated
from shared.storage.embedded.tables import CATALOGUE
from shared.storage.embedded.times import FILE as CLOCK

_STEP_SECONDS: Final = 30.0
_ROUNDS: Final = 3
_NO_LINKS: Final = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)


def snapshot(engine: Engine, to: Path, *, order: Callable[[str], Any] = str) -> None:
    """Copy a store, its tables in this order of their names.

    Raises `SettingsError` for a place that cannot be used, `StorageUnavailableError` for a copy that was not made.
    """
    to = to.absolute()
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise SettingsError(f"the copy {to} must be a folder that is not there, or empty")
    try:
        engine.open()
        folders.make_folder(to)
        folders.make_folders(to)
        _copy_files(engine, to)
        _copy_tables(engine, to, order)
        with engine.passing():
            engine.queues.database.copy(to / engine.queues.database.path.name, look=_nothing, due=_due())
        shutil.copyfile(engine.folder / CLOCK, to / CLOCK)
        _sync(to / CLOCK)
        for inside in (folders.ROWS, folders.CONTENT):
            folders.sync_folder(to / inside)
        folders.finish(to)
    except (MissingError, DamagedError, ClosedError, NewerFormatError) as cause:
        raise StorageUnavailableError(f"the store could not be copied: {cause}") from cause
    except OSError as cause:
        raise StorageUnavailableError(f"the store could not be copied to {to}: {cause.strerror or cause}") from cause


def _copy_files(engine: Engine, to: Path) -> None:
    """Copy the catalogue and all contents that it names.

    Most contents are there before writers wait: only those that came meanwhile are left for the moment at which the copy is taken.
    """
    there: set[str] = set()
    named: set[str] = set()

    def rest(connection: sqlite3.Connection) -> None:
        named.update(_named(connection))
        _link(engine, to, named - there, is_last=True)

    for _ in range(_ROUNDS):
        with engine.passing():
            there |= _link(engine, to, engine.files.database.read(_named, due=_due()) - there)
    with engine.passing():
        engine.files.database.copy(to / engine.files.database.path.name, look=rest, due=_due(), is_alone=True)
    for content in there - named:
        _place(to, content).unlink(missing_ok=True)
    for each in (to / folders.CONTENT).iterdir():
        folders.sync_folder(each)


def _named(connection: sqlite3.Connection) -> set[str]:
    return {content for (content,) in connection.execute("SELECT content FROM files WHERE content IS NOT NULL")}


def _link(engine: Engine, to: Path, contents: AbstractSet[str], *, is_last: bool = False) -> set[str]:
    """Have these contents in the copy as well, and tell which are; one that is gone by now is needed only if it is the last look."""
    there = set()
    for content in contents:
        source, place = engine.files.path(content), _place(to, content)
        place.parent.mkdir(exist_ok=True)
        try:
            _same(source, place)
        except FileNotFoundError:
            if is_last:
                raise
            continue
        there.add(content)
    return there


def _same(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError as cause:
        if cause.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, place)
        _sync(place)


def _place(to: Path, content: str) -> Path:
    return to / folders.CONTENT / content[:2] / content


def _copy_tables(engine: Engine, to: Path, order: Callable[[str], Any]) -> None:
    """Copy each table, and make a catalogue of those; one that is dropped meanwhile is not among them."""
    copied = []
    with engine.passing():
        tables = engine.tables.files(due=_due())
    for table, file in sorted(tables.items(), key=lambda each: order(each[0])):
        with engine.passing():
            if engine.tables.copy(table, to / folders.ROWS / file, due=_due()):
                copied.append((table, file))
    catalogue = Database(to / "tables.db", CATALOGUE)
    try:
        catalogue.make(due=_due())
        catalogue.write(lambda connection: connection.executemany("INSERT INTO tables(name, file) VALUES (?, ?)", copied), due=_due())
    finally:
        catalogue.close()


def _nothing(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _sync(path: Path) -> None:
    with translated(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _due() -> float:
    return time.monotonic() + _STEP_SECONDS
