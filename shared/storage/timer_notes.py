"""What timers remember from run to run, in files: each run may be a process of its own."""

import logging
import secrets
from collections.abc import Mapping
from typing import Final

import msgspec

from shared.domain.asked import Note
from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import NewerFormatError
from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage

logger = logging.getLogger(__name__)

FORMAT: Final = 1
_DAMAGED = (msgspec.MsgspecError, RecursionError, OverflowError, UnicodeDecodeError)


class _Format(msgspec.Struct, frozen=True):
    format: int


class _Note(msgspec.Struct, frozen=True, omit_defaults=True):
    settings: str = ""
    quiet_until: int = 0
    mark: str = ""
    asked_until: int = 0


class _Notes(msgspec.Struct, frozen=True):
    """``run`` tells a writing from all others, so that of two runs that note the same at once one alone has done it."""

    format: int
    run: str = ""
    loops: dict[str, _Note] = {}


class _Place(msgspec.Struct, frozen=True):
    format: int
    last: str = ""


class TrainingNotes:
    """The notes of the trainer's timer, of all loops. Raises `StorageUnavailableError`."""

    def __init__(self, storage: Storage) -> None:
        self._files = Files(storage, names.MODELS)

    async def read(self) -> tuple[Mapping[str, Note], str | None]:
        """Read the notes and their ETag; damaged ones tell nothing, and the next take their place. Raises `NewerFormatError`."""
        file = await self._files.read(names.training_notes_file())
        return ({}, None) if file is None else (_read_notes(file.data), file.etag)

    async def write(self, notes: Mapping[str, Note], *, expected: str | None) -> str:
        """Replace the notes on condition, and give the new ETag; raises `ConflictError`."""
        return await self._files.replace(names.training_notes_file(), _write_notes(notes), expected=expected)


class KeptPlace:
    """How far one timer came on its way over all loops: the loop that had its turn last. Raises `StorageUnavailableError`."""

    def __init__(self, storage: Storage, *, timer: str) -> None:
        self._name = names.place_file(timer)
        self._files = Files(storage, names.MODELS)

    async def read(self) -> tuple[str, str | None]:
        """Read the loop's name ("": not known) and the note's ETag; raises `NewerFormatError`."""
        file = await self._files.read(self._name)
        return ("", None) if file is None else (_read_place(file.data), file.etag)

    async def write(self, loop: str, *, expected: str | None) -> str:
        """Replace the note on condition, and give the new ETag; raises `ConflictError`."""
        return await self._files.replace(self._name, msgspec.json.encode(_Place(FORMAT, loop)), expected=expected)


def _write_notes(notes: Mapping[str, Note]) -> bytes:
    loops = {name: _written(notes[name]) for name in sorted(notes)}
    return msgspec.json.encode(_Notes(FORMAT, secrets.token_hex(8), loops))


def _written(note: Note) -> _Note:
    return _Note(note.settings, to_micros(note.quiet_until), note.mark, to_micros(note.asked_until))


def _read(note: _Note) -> Note:
    return Note(note.settings, from_micros(note.quiet_until), note.mark, from_micros(note.asked_until))


def _read_notes(text: bytes) -> Mapping[str, Note]:
    try:
        _check(text, "the notes of the trainer's timer")
        return {name: _read(note) for name, note in msgspec.json.decode(text, type=_Notes).loops.items()}
    except _DAMAGED as damage:
        logger.error("the notes of the trainer's timer cannot be read: %s", damage)
        return {}


def _read_place(text: bytes) -> str:
    try:
        _check(text, "the place of a timer")
        return msgspec.json.decode(text, type=_Place).last
    except _DAMAGED as damage:
        logger.error("how far a timer came cannot be read: %s", damage)
        return ""


def _check(text: bytes, what: str) -> None:
    found = msgspec.json.decode(text, type=_Format).format
    if found > FORMAT:
        raise NewerFormatError(what, found=found, known=FORMAT)
