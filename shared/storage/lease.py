"""A lease of a blob: it keeps two trainers from doing the same work. What makes that safe is the pointer's ETag."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import BlobLeaseClient

from shared.domain.errors import StorageUnavailableError
from shared.storage.blobs import BlobFiles
from shared.storage.deletions import is_being_deleted
from shared.storage.failures import storage_failures

logger = logging.getLogger(__name__)

LEASE_SECONDS = 15
_RENEW_SECONDS = 5
_HELD_BY_ANOTHER = 409


@asynccontextmanager
async def lease(files: BlobFiles, name: str) -> AsyncIterator[bool]:
    """Hold the lease while the context lasts; gives False when another holds it.

    A holder that dies keeps others out for at most `LEASE_SECONDS`. One that cannot renew goes on, and may find at its
    commit that another was faster.
    """
    await files.write_once(name, b"")
    client = BlobLeaseClient(files.container.get_blob_client(name))
    if not await _acquire(client):
        yield False
        return
    renewing = asyncio.create_task(_renew(client), name="renew lease")
    try:
        yield True
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        with suppress(StorageUnavailableError):
            async with storage_failures("release the trainer's lease"):
                await client.release()


async def _acquire(client: BlobLeaseClient) -> bool:
    async with storage_failures("acquire the trainer's lease"):
        try:
            await client.acquire(lease_duration=LEASE_SECONDS)
        except HttpResponseError as refused:
            if refused.status_code == _HELD_BY_ANOTHER and not is_being_deleted(refused):
                return False
            raise
    return True


async def _renew(client: BlobLeaseClient) -> None:
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            async with storage_failures("renew the trainer's lease"):
                await client.renew()
        except StorageUnavailableError:
            logger.warning("the trainer's lease could not be renewed; another may take over")
