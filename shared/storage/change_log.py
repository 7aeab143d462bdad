"""What was changed in a loop, in one file: `shared.domain.ports.ChangeLog`.

A change is noted before it is made, and confirmed when it is stored. Who dies between leaves a note that is not confirmed: nothing is
changed without a word of it. A note has the digest of the record that the change leaves. So the next reader can confirm it, while that
record is still there.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from shared.domain.changes import MOST_TOLD, Change, ChangeKind, Member
from shared.domain.errors import BusyError, ConflictError, NewerFormatError, PersonalizerError
from shared.storage import names
from shared.storage.files import ETag, Files

logger = logging.getLogger(__name__)

FORMAT: Final = 1
LARGEST: Final = 512 * 1024
"""Bytes of the file: when it would have more, the oldest changes go."""

_ATTEMPTS: Final = 8


class _Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change as it is stored; a later release may add members."""

    id: str
    at: datetime
    by: str
    kind: str
    members: tuple[tuple[str, str | None, str | None], ...] = ()
    certain: bool = False
    leaves: str = ""


class _Format(msgspec.Struct, frozen=True):
    format: int = FORMAT


class _File(_Format, frozen=True):
    changes: tuple[_Note, ...] = ()


class FileChangeLog:
    """The changes of one life of a loop. A list of a later release is left as it is: whoever reads or adds raises `NewerFormatError`."""

    def __init__(self, files: Files, *, loop: str) -> None:
        self._name = names.changes_file(loop)
        self._files = files

    async def read(self, *, present: bytes = b"") -> Sequence[Change]:
        """Give all that is kept, the oldest first; ``present`` is the text of the loop's record, by which notes are confirmed."""
        notes, _ = await self._read()
        kinds = {*ChangeKind}
        return [_change(note) for note in _confirmed(notes, present) if note.kind in kinds]

    async def begin(self, change: Change, *, leaves: bytes = b"", present: bytes = b"") -> None:
        """Note a change that is about to be made, and the record that it ``leaves``; raises `StorageUnavailableError` or `BusyError`."""
        note = _note(change, leaves)
        await self._update(lambda notes: (*_confirmed(notes, present), note))

    async def settle(self, change: Change) -> None:
        """Confirm a change that is stored; what fails here leaves it to the next reader."""
        await self._after(lambda notes: tuple(_certain(each) if each.id == change.id else each for each in notes))

    async def withdraw(self, change: Change) -> None:
        """Take the note of a change back that was not made; what fails here leaves a note that is not confirmed."""
        await self._after(lambda notes: tuple(each for each in notes if each.id != change.id))

    async def _after(self, change: Callable[[tuple[_Note, ...]], tuple[_Note, ...]]) -> None:
        try:
            await self._update(change)
        except PersonalizerError as error:
            logger.warning("a change of the loop is not confirmed in the list of changes: %s", error, extra={"file": self._name})

    async def _update(self, change: Callable[[tuple[_Note, ...]], tuple[_Note, ...]]) -> None:
        for _ in range(_ATTEMPTS):
            notes, etag = await self._read()
            try:
                await self._files.replace(self._name, _written(change(notes)), expected=etag)
            except ConflictError:
                continue
            return
        raise BusyError("the list of the loop's changes is being written by others at the same time; try again")

    async def _read(self) -> tuple[tuple[_Note, ...], ETag | None]:
        file = await self._files.read(self._name)
        if file is None:
            return (), None
        try:
            if (found := msgspec.json.decode(file.data, type=_Format).format) > FORMAT:
                raise NewerFormatError("the list of the loop's changes", found=found, known=FORMAT)
            return msgspec.json.decode(file.data, type=_File).changes, file.etag
        except (msgspec.MsgspecError, RecursionError) as damage:
            logger.error("the list of the loop's changes cannot be read and starts again: %s", damage, extra={"file": self._name})
            return (), file.etag


def digest(record: bytes) -> str:
    """Tell a record from others without saying what is in it."""
    return hashlib.sha256(record).hexdigest()[:32] if record else ""


def _confirmed(notes: tuple[_Note, ...], present: bytes) -> tuple[_Note, ...]:
    left = digest(present)
    return tuple(_certain(each) if left and each.leaves == left else each for each in notes)


def _certain(note: _Note) -> _Note:
    return msgspec.structs.replace(note, certain=True)


def _written(notes: tuple[_Note, ...]) -> bytes:
    """Write the newest ones, as many as there is room for."""
    kept = notes[-MOST_TOLD:]
    text = msgspec.json.encode(_File(changes=kept))
    while len(text) > LARGEST and len(kept) > 1:
        kept = kept[len(kept) // 4 + 1 :]
        text = msgspec.json.encode(_File(changes=kept))
    return text


def _note(change: Change, leaves: bytes) -> _Note:
    members = tuple((each.name, each.old, each.new) for each in change.members)
    return _Note(change.id, change.at, change.by, change.kind.value, members, change.is_certain, digest(leaves))


def _change(note: _Note) -> Change:
    members = tuple(Member(*each) for each in note.members)
    return Change(note.at, note.by, ChangeKind(note.kind), members, note.certain, note.id)
