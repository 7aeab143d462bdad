"""All files of one loop: `shared.services.log.erasure.LoopFiles`."""

from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage


class StoredLoopFiles:
    """What is stored under a loop's name, in both containers."""

    def __init__(self, storage: Storage, *, loop: str) -> None:
        self._loop = loop
        self._containers = [Files(storage, container) for container in (names.LOGS, names.MODELS)]

    async def drop_all(self, *, most: int) -> int:
        """Delete up to this many files, and tell how many went; the loop's record stays."""
        dropped = 0
        for files in self._containers:
            async for file in files.listing(names.loop_prefix(self._loop)):
                if file.name == names.configuration_file(self._loop):
                    continue
                if dropped >= most:
                    return dropped
                await files.delete(str(file.name))
                dropped += 1
        return dropped
