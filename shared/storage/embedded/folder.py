"""The store's folder: what is in it, that it is ours, and what keeps two services from using it at the same time."""

import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from shared.domain.errors import SettingsError

FORMAT: Final = 1
ABOUT: Final = "store.json"
ROWS: Final = "rows"
CONTENT: Final = "content"
SERVICE_LOCK: Final = "service.lock"
SWEPT: Final = "swept"
DATABASES: Final = ("tables.db", "files.db", "queue.db")

_LOOKS_EVERY: Final = 0.1
_PRIVATE: Final = 0o700
"""Of a store's folder: what users did is in it, and the key that signs models."""
_OURS: Final = {ABOUT, ROWS, CONTENT, SERVICE_LOCK, SWEPT, "clock", "lost+found"}
_OVER_NETWORK: Final = {
    *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "gfs2", "ocfs2"),
    *("fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.blobfuse", "fuse.blobfuse2", "fuse.gcsfuse", "fuse.ceph"),
}
"""Kinds of file systems on which locks or shared memory do not work as a database needs them."""


def prepare(folder: Path) -> bool:
    """Make the folder and those in it, and tell whether the store in it is whole; raises `SettingsError` and `OSError`."""
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"the store {folder} must be a folder, and is a file")
    make_folder(folder, mode=_PRIVATE)
    kind = file_system(folder)
    if kind in _OVER_NETWORK:
        raise SettingsError(f"the store {folder} is on a network file system ({kind}): a disk of this machine is needed")
    if (folder / ABOUT).exists():
        about(folder)
        return True
    if strange := sorted(each.name for each in folder.iterdir() if not _is_ours(each.name)):
        raise SettingsError(f"the folder {folder} is not a store, and holds other things ({strange[0]}): name an empty one")
    return False


@contextmanager
def making(folder: Path) -> Iterator[bool]:
    """Let one at a time make a store, and tell whether it still has to be made; raises `SettingsError` and `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield not prepare(folder)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Make the folders inside, unless they are there; raises `OSError`."""
    for name in (ROWS, CONTENT):
        make_folder(folder / name)


def finish(folder: Path) -> None:
    """Say that a store is whole; of several that do so one is the first. Raises `OSError`."""
    text = json.dumps({"format": FORMAT, "id": secrets.token_hex(16)}) + "\n"
    aside = folder / f"{ABOUT}.{secrets.token_hex(4)}"
    write_synced(aside, text.encode())
    with suppress(FileExistsError):
        os.link(aside, folder / ABOUT)
    aside.unlink()
    sync_folder(folder)


def about(folder: Path) -> dict[str, Any]:
    """Read what the store says of itself; raises `SettingsError` for one of a newer release, and for one that cannot be read."""
    path = folder / ABOUT
    try:
        told = json.loads(path.read_bytes())
        found = int(told["format"])
    except (ValueError, LookupError, TypeError) as cause:
        raise SettingsError(f"the store's file {path} is damaged: restore the store from a backup") from cause
    if found > FORMAT:
        raise SettingsError(f"the store {folder} has format version {found}; this release reads up to {FORMAT}: upgrade the app")
    return dict(told)


def check_access(paths: Sequence[Path]) -> None:
    """Raise `SettingsError` for a file or folder that cannot be read and written."""
    for path in paths:
        if not path.exists():
            raise SettingsError(f"the store's file {path} is missing")
        if not os.access(path, os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)):
            raise SettingsError(f"the store's file {path} cannot be written: give the user that the service runs as the right to")


def is_store(folder: Path) -> bool:
    """Whether there is a store in the folder."""
    return (folder / ABOUT).is_file()


@contextmanager
def held_by_one_service(folder: Path, *, patience: float = 0.0) -> Iterator[int]:
    """Keep all other services off a store while the context lasts; raises `SettingsError` when one has it, or it cannot be a store.

    It gives the descriptor of the lock: processes that inherit it hold the lock as well. Those of a service that was killed are waited
    for, up to ``patience`` seconds. The folder is made when it is not there. Commands and processes of the same service open the store
    without this.
    """
    try:
        prepare(folder)
        descriptor = os.open(folder / SERVICE_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as cause:
        raise SettingsError(f"the store {folder} cannot be used: {cause.strerror or cause}") from cause
    try:
        try:
            _hold(descriptor, folder, patience)
        except OSError as cause:
            raise SettingsError(f"the store {folder} cannot be locked: {cause.strerror or cause}") from cause
        yield descriptor
    finally:
        os.close(descriptor)


def _hold(descriptor: int, folder: Path, patience: float) -> None:
    """Take the lock, and write down who has it."""
    until = time.monotonic() + patience
    while not _is_locked(descriptor):
        who = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip()
        if _runs(who) or time.monotonic() >= until:
            raise SettingsError(
                f"another service uses the store {folder}{f' (process {who})' if who else ''}: stop it, or name another folder"
            )
        time.sleep(_LOOKS_EVERY)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def file_system(path: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Tell the kind of the file system that a path is on; "" where that cannot be told."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    place, found, kind = path.resolve(), Path(), ""
    for line in lines:
        before, _, after = line.partition(" - ")
        if len(parts := before.split(" ")) > 4 and after:
            mounted = Path(_unescaped(parts[4]))
            if place.is_relative_to(mounted) and len(mounted.parts) >= len(found.parts):
                found, kind = mounted, after.split(" ")[0]
    return kind


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Make a folder and those above it, each on the disk when this returns; raises `OSError`. One that is there keeps its mode."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file that is not there, and have it on the disk; its name is when its folder is synced. Nothing is left of a failure."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _is_ours(name: str) -> bool:
    return name in _OURS or name.startswith((".", f"{ABOUT}.", *DATABASES))


def _unescaped(text: str) -> str:
    r"""Read a path of the mounts.

    >>> _unescaped("/my\\040disk")
    '/my disk'
    """
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
