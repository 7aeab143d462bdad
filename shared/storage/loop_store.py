"""The records of all loops, and their usage, on Blob storage: `shared.domain.ports.LoopStore` and `Usage`."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import BlobPrefix

from shared.domain.errors import BusyError, ConflictError, NewerFormatError, UnreadableError
from shared.domain.loop import LoopRecord, is_loop_name
from shared.storage import names
from shared.storage.account import StorageAccount
from shared.storage.blobs import BlobFiles
from shared.storage.failures import is_absent, storage_failures
from shared.storage.loop_records import keys_in, read_record, write_record

USAGE_FORMAT = 1
_ATTEMPTS = 8


class BlobLoopStore:
    """Each loop's record is a blob under the loop's own name."""

    def __init__(self, account: StorageAccount) -> None:
        self._files = BlobFiles(account, names.MODELS)

    async def read(self, loop: str) -> tuple[LoopRecord, str] | None:
        """Read a record and its ETag."""
        file = await self._files.read(names.configuration_blob(loop))
        return None if file is None else (read_record(loop, file.data), file.etag)

    async def keys(self, loop: str) -> Sequence[str]:
        """Read the digests of the keys alone, of a record that may be of a later release."""
        file = await self._files.read(names.configuration_blob(loop))
        return () if file is None else keys_in(file.data)

    async def write(self, record: LoopRecord, *, expected: str | None) -> str:
        """Replace a record on condition."""
        return await self._files.replace(names.configuration_blob(record.name), write_record(record), expected=expected)

    async def names(self) -> Sequence[str]:
        """List the loops that have a record."""
        async with storage_failures("list the loops"):
            try:
                found = [entry.name async for entry in self._files.container.walk_blobs(names.LOOPS) if isinstance(entry, BlobPrefix)]
            except ResourceNotFoundError as answer:
                if not is_absent(answer):
                    raise
                return ()
        listed = [name.removeprefix(names.LOOPS).removesuffix("/") for name in found]
        return sorted(filter(is_loop_name, listed))


@dataclass(frozen=True, slots=True)
class _Granted:
    number: int
    etag: str | None


class BlobUsage:
    """One blob a month; its content names its writer, so that two who grant the same number never take it for one grant."""

    def __init__(self, account: StorageAccount, *, place: str) -> None:
        self._place = place
        self._files = BlobFiles(account, names.MODELS)

    async def grant(self, month: str, *, wanted: int, limit: int) -> int:
        """Take a part of what is left of the month; raises `BusyError` when others take theirs again and again."""
        for _ in range(_ATTEMPTS):
            granted = await self._read(month)
            taken = min(wanted, max(limit - granted.number, 0))
            if not taken:
                return 0
            text = orjson.dumps({"format": USAGE_FORMAT, "granted": granted.number + taken, "by": secrets.token_hex(8)})
            try:
                await self._files.replace(names.usage_blob(self._place, month), text, expected=granted.etag)
            except ConflictError:
                continue
            return taken
        raise BusyError("other processes were counting their Rank calls at the same time, again and again")

    async def _read(self, month: str) -> _Granted:
        file = await self._files.read(names.usage_blob(self._place, month))
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
