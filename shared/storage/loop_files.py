"""All blobs of one loop: `shared.services.erasure.LoopFiles`."""

from shared.storage import names
from shared.storage.account import StorageAccount
from shared.storage.blobs import BlobFiles


class BlobLoopFiles:
    """What is stored under a loop's name, in both containers."""

    def __init__(self, account: StorageAccount, *, loop: str) -> None:
        self._loop = loop
        self._containers = [BlobFiles(account, container) for container in (names.LOGS, names.MODELS)]

    async def drop_all(self, *, most: int) -> int:
        """Delete up to this many blobs, and tell how many went; the loop's record stays."""
        dropped = 0
        for files in self._containers:
            async for blob in files.listing(names.loop_prefix(self._loop)):
                if blob.name == names.configuration_blob(self._loop):
                    continue
                if dropped >= most:
                    return dropped
                await files.delete(str(blob.name))
                dropped += 1
        return dropped
