"""The note of a loop's large windows, in files: `shared.domain.ports.Attempts`."""

import logging
from typing import Final

import msgspec

from shared.domain.attempt import LEAST, Attempt
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage

logger = logging.getLogger(__name__)

FORMAT: Final = 1
_ANY: Final = 1 << 62


class _Note(msgspec.Struct, frozen=True):
    format: int
    limit: int = LEAST
    under_way: int = -1
    well: int = 0


class FileAttempts:
    """The note of one loop: there is one at most."""

    def __init__(self, storage: Storage, *, loop: str) -> None:
        self._name = names.attempt_file(loop)
        self._files = Files(storage, names.MODELS)

    async def read(self) -> tuple[Attempt, str] | None:
        """Read the note and its ETag; a damaged one tells nothing, and the next takes its place."""
        file = await self._files.read(self._name)
        if file is None:
            return None
        try:
            return read_attempt(file.data), file.etag
        except NewerFormatError:
            raise
        except UnreadableError as damage:
            logger.error("the notes about large windows are lost: %s", damage)
            return Attempt(_ANY), file.etag

    async def write(self, attempt: Attempt, *, expected: str | None) -> str:
        """Replace the note on condition."""
        return await self._files.replace(self._name, write_attempt(attempt), expected=expected)


def write_attempt(attempt: Attempt) -> bytes:
    """Write a note as JSON text."""
    return msgspec.json.encode(_Note(FORMAT, attempt.limit, attempt.under_way, attempt.well))


def read_attempt(text: bytes) -> Attempt:
    """Inverse of `write_attempt`; raises `NewerFormatError` or `UnreadableError`."""
    try:
        note = msgspec.json.decode(text, type=_Note)
    except (msgspec.MsgspecError, RecursionError) as cause:
        raise UnreadableError(f"the note of a large window cannot be read: {cause}") from cause
    if note.format > FORMAT:
        raise NewerFormatError("the note of a large window", found=note.format, known=FORMAT)
    return Attempt(max(note.limit, LEAST), note.under_way, note.well)
