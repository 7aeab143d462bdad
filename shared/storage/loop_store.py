"""The records of all loops, and their usage, in files: `shared.domain.ports.LoopStore` and `Usage`."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import orjson

from shared.domain.changes import Change
from shared.domain.errors import BusyError, ConflictError, NewerFormatError, UnreadableError
from shared.domain.loop import LoopRecord, is_loop_name
from shared.domain.pairs import checked
from shared.storage import names
from shared.storage.files import Files
from shared.storage.loop_records import read_record, salvaged, write_record
from shared.storage.ports import Storage

if TYPE_CHECKING:
    from shared.storage.change_log import FileChangeLog

USAGE_FORMAT = 1
_ATTEMPTS = 8


class FileLoopStore:
    """Each loop's record is a file under the loop's own name."""

    def __init__(self, storage: Storage) -> None:
        self._files = Files(storage, names.MODELS)

    async def read(self, loop: str) -> tuple[LoopRecord, str] | None:
        """Read a record and its ETag."""
        file = await self._files.read(names.configuration_file(loop))
        return None if file is None else (read_record(loop, file.data), file.etag)

    async def keys_of(self, loop: str) -> LoopRecord:
        """Read the digests of the keys alone, of a record that may be of a later release; the rest of it is empty."""
        file = await self._files.read(names.configuration_file(loop))
        found = LoopRecord(loop) if file is None else salvaged(LoopRecord(loop), file.data)
        return LoopRecord(loop, keys=found.keys, client_keys=found.client_keys)

    async def write(self, record: LoopRecord, *, expected: str | None, change: Change | None = None) -> str:
        """Replace a record on condition; what ``change`` tells is noted before, and confirmed when it is done."""
        text = _text(record)
        if change is None:
            return await self._replace(record.name, text, expected)
        changes = self._changes(record)
        present = await self._files.read(names.configuration_file(record.name))
        await changes.begin(change, leaves=text, present=present.data if present else b"")
        try:
            etag = await self._replace(record.name, text, expected)
        except ConflictError:
            await changes.withdraw(change)
            raise
        await changes.settle(change)
        return etag

    async def changes(self, record: LoopRecord) -> Sequence[Change]:
        """Give what was changed in this life of the loop, the oldest first."""
        return await self._changes(record).read(present=write_record(record))

    def _changes(self, record: LoopRecord) -> "FileChangeLog":
        from shared.storage.change_log import FileChangeLog

        return FileChangeLog(self._files, loop=record.place)

    async def _replace(self, loop: str, text: bytes, expected: str | None) -> str:
        return await self._files.replace(names.configuration_file(loop), text, expected=expected)

    async def names(self) -> Sequence[str]:
        """List the loops that have a record."""
        return tuple(sorted(filter(is_loop_name, await self._files.folders(names.LOOPS))))


def _text(record: LoopRecord) -> bytes:
    name = names.configuration_file(record.name)
    return checked(write_record(record), read=partial(read_record, record.name), write=write_record, name=name)


@dataclass(frozen=True, slots=True)
class _Granted:
    number: int
    etag: str | None


class FileUsage:
    """One file a month; its content names its writer, so that two who grant the same number never take it for one grant."""

    def __init__(self, storage: Storage, *, place: str) -> None:
        self._place = place
        self._files = Files(storage, names.MODELS)

    async def grant(self, month: str, *, wanted: int, limit: int) -> int:
        """Take a part of what is left of the month; raises `BusyError` when others take theirs again and again."""
        for _ in range(_ATTEMPTS):
            granted = await self._read(month)
            taken = min(wanted, max(limit - granted.number, 0))
            if not taken:
                return 0
            text = orjson.dumps({"format": USAGE_FORMAT, "granted": granted.number + taken, "by": secrets.token_hex(8)})
            try:
                await self._files.replace(names.usage_file(self._place, month), text, expected=granted.etag)
            except ConflictError:
                continue
            return taken
        raise BusyError("other processes were counting their Rank calls at the same time, again and again")

    async def _read(self, month: str) -> _Granted:
        file = await self._files.read(names.usage_file(self._place, month))
        if file is None:
            return _Granted(0, None)
        try:
            document = orjson.loads(file.data)
            found = int(document["format"])
            if found > USAGE_FORMAT:
                raise NewerFormatError("the count of Rank calls", found=found, known=USAGE_FORMAT)
            return _Granted(int(document["granted"]), file.etag)
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError) as cause:
            raise UnreadableError(f"the count of Rank calls cannot be read: {cause}") from cause
