"""What goes wrong with a file of the store leaves as one of the tree's errors, with a sentence that a person can act on."""

import errno
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shared.domain.errors import PersonalizerError, StorageUnavailableError

logger = logging.getLogger(__name__)

_PRIMARY: Final = 0xFF
"""The bits of one of sqlite's codes that tell the kind; the others tell more of it."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOCKED: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


class MissingError(Exception):
    """A file is not there, or not any more. Never leaves this room."""


class DamagedError(Exception):
    """A file's content is not what was written there. Never leaves this room."""


class ClosedError(Exception):
    """A database was closed by others; what is there now has to be looked up again. Never leaves this room."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn each failure of a file, or of what is in it, into `StorageUnavailableError`, `MissingError` or `DamagedError`."""
    try:
        yield
    except (PersonalizerError, MissingError, DamagedError, ClosedError):
        raise
    except sqlite3.Error as cause:
        raise _of_sqlite(cause, path) from cause
    except OSError as cause:
        raise _of_system(cause, path) from cause
    except (UnicodeEncodeError, OverflowError) as cause:
        raise StorageUnavailableError(f"{path.name} cannot hold such a value: {cause}") from cause


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another holds what this waits for."""
    return _kind(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _kind(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & _PRIMARY


def _of_sqlite(error: sqlite3.Error, path: Path) -> Exception:
    kind = _kind(error)
    if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        logger.error("a file of the store is damaged", extra={"file": str(path), "error": str(error)})
        return DamagedError(f"the store's file {path} is damaged: {error}")
    if kind == sqlite3.SQLITE_CANTOPEN and not path.exists():
        return MissingError(f"the store's file {path} is missing")
    logger.warning("the store's disk refused", extra={"file": str(path), "error": str(error)})
    if is_busy(error):
        return StorageUnavailableError(f"the store is busy: {path.name} is held by another for too long")
    if kind == sqlite3.SQLITE_FULL:
        return StorageUnavailableError(f"the disk of the store is full: {path.name} could not be written")
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return StorageUnavailableError(f"the store's file {path} cannot be opened to be written: {error}")
    return StorageUnavailableError(f"the store's file {path} could not be read or written: {error}")


def _of_system(error: OSError, path: Path) -> Exception:
    if isinstance(error, FileNotFoundError):
        return MissingError(f"the store's file {path} is missing")
    logger.warning("the store's disk refused", extra={"file": str(path), "error": str(error)})
    if error.errno in _FULL:
        return StorageUnavailableError(f"the disk of the store is full: {path.name} could not be written")
    if error.errno in _LOCKED:
        return StorageUnavailableError(f"the store's file {path} cannot be written: {error.strerror}")
    return StorageUnavailableError(f"the store's file {path} could not be read or written: {error.strerror or error}")
