"""A backup: one file, a tar that is gzipped, of a store's folder.

Its first member tells the format, its last the SHA-256 of each of the others: a file that was cut, or of which a byte has changed, is told.
A later format will begin with the same member, and that will still tell its ``format``.
"""

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from isal import igzip, isal_zlib

from shared.domain.errors import NewerFormatError, UnreadableError

FORMAT: Final = 1
_IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # the stubs take it for an instance
_ABOUT: Final = "backup.json"
_SUMS: Final = "checksums.json"
_STORE: Final = "store/"
_PIECE: Final = 1024 * 1024
_LEVEL: Final = 1
_LARGEST_NOTE: Final = 1 << 30
_PRIVATE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700

Told = Callable[[int], None]


def pack(folder: Path, to: Path, *, source: str, at: datetime, told: Told) -> int:
    """Write a folder's files to a backup, and give its size in bytes; it appears whole or not at all. Raises `OSError`.

    ``told`` is called with the number of the folder's bytes that were written since the last time.
    """
    aside = to.with_name(f".{to.name}.part")
    aside.unlink(missing_ok=True)
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            with igzip.IGzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0) as packed:  # type: ignore[no-untyped-call]
                _write(folder, packed, {"format": FORMAT, "source": source, "madeAt": at.isoformat()}, told)
            file.flush()
            os.fsync(file.fileno())
        size = aside.stat().st_size
        aside.replace(to)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _sync_folder(to.parent)
    return size


def unpack(file: Path, to: Path, *, told: Told) -> Mapping[str, Any]:
    """Write a backup's files into a folder that is not there, and give what the backup says of itself.

    Only its owner may read them. ``told`` is called with the number of bytes of the backup that were read since the last time. Raises
    `UnreadableError` for what is no backup or is damaged, `NewerFormatError` for one of a newer release, and `OSError`. What was written
    until then stays.
    """
    to.mkdir(mode=_PRIVATE_FOLDER)
    with file.open("rb") as packed:
        try:
            return _read(_Told(packed, told), to, file)
        except (tarfile.TarError, EOFError, zlib.error, igzip.BadGzipFile, _IsalError) as cause:
            raise UnreadableError(f"the backup {file} is damaged, or was cut short: {cause}") from cause


# --- writing -----------------------------------------------------------------------------------------------------------


def _write(folder: Path, packed: Any, about: Mapping[str, Any], told: Told) -> None:
    sums = {}
    with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add_note(tar, _ABOUT, about)
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = f"{_STORE}{path.relative_to(folder).as_posix()}"
            with path.open("rb") as content:
                reading = _Summed(content, told)
                tar.addfile(_member(name, os.fstat(content.fileno()).st_size), reading)
            sums[name] = reading.sum.hexdigest()
        _add_note(tar, _SUMS, sums)


def _add_note(tar: tarfile.TarFile, name: str, note: Mapping[str, Any]) -> None:
    text = json.dumps(note, sort_keys=True).encode()
    tar.addfile(_member(name, len(text)), io.BytesIO(text))


def _member(name: str, size: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.mode = size, _PRIVATE
    return made


class _Summed:
    """A file that is summed while it is read."""

    def __init__(self, file: IO[bytes], told: Told) -> None:
        self._file = file
        self._told = told
        self.sum = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sum.update(data)
        self._told(len(data))
        return data


# --- reading -----------------------------------------------------------------------------------------------------------


class _Told(io.RawIOBase):
    """A file that tells how much of it is read."""

    def __init__(self, file: IO[bytes], told: Told) -> None:
        self._file = file
        self._told = told

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._told(len(data))
        return len(data)


def _read(packed: io.RawIOBase, to: Path, file: Path) -> Mapping[str, Any]:
    with _opened(packed, file) as tar:
        members = iter(tar)
        about = _about(tar, next(members, None), file)
        sums: dict[str, str] = {}
        for member in members:
            if member.name == _SUMS:
                _compare(_note(tar, member, file), sums, file)
                _read_to_the_end(tar)
                _sync_folders(to)
                return about
            sums[member.name] = _extract(tar, member, to, file)
    raise UnreadableError(f"the backup {file} is damaged, or was cut short: it has no end")


@contextmanager
def _opened(packed: io.RawIOBase, file: Path) -> Iterator[tarfile.TarFile]:
    with igzip.IGzipFile(fileobj=packed, mode="rb") as plain:  # type: ignore[no-untyped-call]
        try:
            tar = tarfile.open(fileobj=plain, mode="r|")  # noqa: SIM115  # it is closed below
        except (tarfile.ReadError, igzip.BadGzipFile) as cause:
            raise UnreadableError(f"{file} is no backup, or was cut short: {cause}") from cause
        with tar:
            yield tar


def _about(tar: tarfile.TarFile, first: tarfile.TarInfo | None, file: Path) -> Mapping[str, Any]:
    if first is None or first.name != _ABOUT:
        raise UnreadableError(f"{file} is no backup")
    about = _note(tar, first, file)
    found = about.get("format")
    if not isinstance(found, int) or found < 1:
        raise UnreadableError(f"{file} is no backup")
    if found > FORMAT:
        raise NewerFormatError("the backup", found=found, known=FORMAT)
    return about


def _note(tar: tarfile.TarFile, member: tarfile.TarInfo, file: Path) -> Mapping[str, Any]:
    content = tar.extractfile(member) if member.isfile() and member.size < _LARGEST_NOTE else None
    try:
        note = json.loads(content.read()) if content else None
    except (ValueError, RecursionError) as cause:
        raise UnreadableError(f"the backup {file} is damaged: {member.name} cannot be read") from cause
    if not isinstance(note, dict):
        raise UnreadableError(f"the backup {file} is damaged: {member.name} cannot be read")
    return note


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, to: Path, file: Path) -> str:
    """Write a member, on the disk, and give its checksum; no name leads out of the folder."""
    inside = member.name.removeprefix(_STORE)
    content = tar.extractfile(member) if member.isfile() else None
    if content is None or inside == member.name or "\0" in inside or not set(inside.split("/")).isdisjoint(("", ".", "..")):
        raise UnreadableError(f"{file} is no backup: it has a member {member.name}")
    path = to / inside
    for folder in [*path.relative_to(to).parents][-2::-1]:
        (to / folder).mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE), "wb") as written:
        while piece := content.read(_PIECE):
            digest.update(piece)
            written.write(piece)
        written.flush()
        os.fsync(written.fileno())
    return digest.hexdigest()


def _compare(told: Mapping[str, Any], found: Mapping[str, str], file: Path) -> None:
    different = sorted(name for name in told.keys() | found.keys() if told.get(name) != found.get(name))
    if different:
        raise UnreadableError(f"the backup {file} is damaged: {different[0].removeprefix(_STORE)} was changed")


def _read_to_the_end(tar: tarfile.TarFile) -> None:
    """Have the checksum of the whole compared, which comes behind all members."""
    while tar.fileobj is not None and tar.fileobj.read(_PIECE):
        pass


def _sync_folders(to: Path) -> None:
    for folder in (to, *(each for each in to.rglob("*") if each.is_dir())):
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
