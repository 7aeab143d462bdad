"""Logs that lie in an area of storage, the app's own or another's: `shared.services.importing.files.LogFile`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from shared.domain.errors import ResourceNotFoundError, UnreadableError
from shared.storage.ports import FileStore


@dataclass(frozen=True, slots=True)
class StoredLogFile:
    """A file."""

    files: FileStore = field(repr=False)
    name: str
    size: int

    async def blocks(self) -> AsyncIterator[bytes]:
        """Read it, some MiB at a time; raises `UnreadableError` if it has gone since it was listed, or as the storage."""
        is_there = not self.size
        async for block in self.files.blocks(self.name):
            is_there = True
            yield block
        if not is_there:
            raise UnreadableError("the file cannot be read: it has been deleted meanwhile")


async def stored_log_files(files: FileStore, prefix: str, *, area: str) -> Sequence[StoredLogFile]:
    """List the files whose names begin so, or the one that is called so; raises `ResourceNotFoundError` when there is none."""
    found = [StoredLogFile(files, each.name, each.size) async for each in files.listing(prefix)]
    exact = [file for file in found if file.name == prefix]
    present = exact or [file for file in found if file.size]
    if not present:
        raise ResourceNotFoundError(f"there is nothing under {area}/{prefix}")
    return present
