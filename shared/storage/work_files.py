"""What analyses work with, in files: `shared.domain.ports.WorkFiles`."""

from datetime import datetime

from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage


class StoredWorkFiles:
    """The files of one loop's analyses."""

    def __init__(self, storage: Storage, *, loop: str) -> None:
        self._files = Files(storage, names.MODELS)
        self._prefix = names.work_prefix(loop)

    async def read(self, name: str) -> tuple[bytes, str] | None:
        """Read a file and its ETag."""
        file = await self._files.read(self._prefix + name)
        return None if file is None else (file.data, file.etag)

    async def replace(self, name: str, data: bytes, *, expected: str | None) -> str:
        """Write a file on condition."""
        return await self._files.replace(self._prefix + name, data, expected=expected)

    async def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        await self._files.delete(self._prefix + name)

    async def listed(self, prefix: str = "") -> dict[str, datetime]:
        """Tell when each file was written last."""
        found = self._files.listing(self._prefix + prefix)
        return {str(file.name).removeprefix(self._prefix): file.modified async for file in found}
