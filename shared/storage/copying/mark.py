"""What a copy notes in its target: whose copy that is, whether it is whole, and what was written where a service would write."""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.domain.clock import to_micros
from shared.domain.errors import ConflictError, NewerFormatError, SettingsError, StorageUnavailableError, UnreadableError
from shared.storage import names
from shared.storage.ports import Entry, FileStore, Storage

FORMAT: Final = 1
PREFIX: Final = "copy/"
"""What the names of these notes begin with, in the area of the models."""

MARK: Final = f"{PREFIX}mark.json"
_CHECKED: Final = f"{PREFIX}checked/"


class _Mark(msgspec.Struct, frozen=True):
    format: int
    source: str
    whole: bool
    last: dict[str, list[str]]


class _Checked(msgspec.Struct, frozen=True):
    format: int
    files: dict[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose copy a storage is, and whether it is whole; ``last`` has the digests that each file of those may have which come last."""

    source: str
    is_whole: bool
    last: Mapping[str, frozenset[str]]


class MarkFile:
    """The mark of one target; two copies to it at the same time are told apart by its ETag."""

    def __init__(self, storage: Storage) -> None:
        self._files = storage.files(names.MODELS)
        self._etag: str | None = None

    async def read(self) -> Mark | None:
        """Read the mark; raises `NewerFormatError` or `UnreadableError`."""
        content = await self._files.read(MARK)
        self._etag = None if content is None else content.etag
        return None if content is None else _read(content.data)

    async def write(self, mark: Mark) -> None:
        """Replace the mark; raises `SettingsError` when another copy has done so since it was read."""
        kept = _Mark(FORMAT, mark.source, mark.is_whole, {name: sorted(each) for name, each in sorted(mark.last.items())})
        self._etag = await _put(self._files, MARK, msgspec.json.encode(kept), self._etag)


async def check_whole(storage: Storage) -> None:
    """Raise `StorageUnavailableError` for a storage that a copy was begun to and not ended."""
    mark = await MarkFile(storage).read()
    if mark is not None and not mark.is_whole:
        raise StorageUnavailableError("this storage is a copy that is not whole: run the same `copy` again until it says that it is done")


def digest(data: bytes) -> str:
    """Give what tells a content from all others."""
    return hashlib.sha256(data).hexdigest()


class Checked:
    """Which files of one unit were found to be equal, so that the next run need not read them: they are those of then, here and there.

    Losing it costs time and nothing else.
    """

    def __init__(self, target: FileStore, unit: str, *, is_believed: bool) -> None:
        """Take the notes of a unit, of which nothing is believed if every file is to be compared."""
        self._target = target
        self._is_believed = is_believed
        self._name = f"{_CHECKED}{unit}.json.z"
        self._etag: str | None = None
        self._files: Mapping[str, tuple[int, int, int]] = {}

    async def read(self) -> None:
        """Read what was noted; what cannot be read tells nothing."""
        content = await self._target.read(self._name)
        if content is None:
            return
        self._etag = content.etag
        try:
            noted = msgspec.json.decode(zlib.decompress(content.data), type=_Checked)
        except (msgspec.MsgspecError, zlib.error):
            return
        if noted.format == FORMAT:
            self._files = noted.files

    def has(self, here: Entry, there: Entry) -> bool:
        """Whether these two were found to be equal."""
        return self._is_believed and self._files.get(here.name) == _noted(here, there)

    async def write(self, equal: Mapping[str, tuple[Entry, Entry]]) -> None:
        """Note which files are equal; raises `SettingsError` when another copy does so at the same time."""
        files = {name: _noted(*each) for name, each in equal.items()}
        if files == self._files:
            return
        data = zlib.compress(msgspec.json.encode(_Checked(FORMAT, files)), 1)
        self._etag = await _put(self._target, self._name, data, self._etag)
        self._files = files


async def _put(files: FileStore, name: str, data: bytes, expected: str | None) -> str:
    try:
        return await files.put(name, data, expected=expected)
    except ConflictError as cause:
        present = await files.read(name)
        if present is None or present.data != data:  # else the answer to our own was lost
            raise SettingsError("another copy to the same place is under way: let it end, or stop it, and run this again") from cause
        return present.etag


def _noted(here: Entry, there: Entry) -> tuple[int, int, int]:
    return here.size, to_micros(here.modified), to_micros(there.modified)


def _read(text: bytes) -> Mark:
    try:
        kept = msgspec.json.decode(text, type=_Mark)
    except msgspec.MsgspecError as cause:
        raise UnreadableError(f"the mark of a copy, {MARK}, cannot be read: {cause}") from cause
    if kept.format > FORMAT:
        raise NewerFormatError("the mark of a copy", found=kept.format, known=FORMAT)
    return Mark(kept.source, kept.whole, {name: frozenset(each) for name, each in kept.last.items()})
