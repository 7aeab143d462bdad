"""A lease of a file: it keeps two trainers from doing the same work. What makes that safe is the pointer's ETag."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from shared.domain.errors import StorageUnavailableError
from shared.storage.files import Files

logger = logging.getLogger(__name__)

LEASE_SECONDS = 15
_RENEW_SECONDS = 5


@asynccontextmanager
async def lease(files: Files, name: str) -> AsyncIterator[bool]:
    """Hold the lease while the context lasts; gives False when another holds it.

    A holder that dies keeps others out for at most `LEASE_SECONDS`. One that cannot renew goes on, and may find at its
    commit that another was faster.
    """
    await files.write_once(name, b"")
    held = await files.acquire(name, seconds=LEASE_SECONDS)
    if held is None:
        yield False
        return
    renewing = asyncio.create_task(_renew(files, name, held), name="renew lease")
    try:
        yield True
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        with suppress(StorageUnavailableError):
            await files.release(name, held)


async def _renew(files: Files, name: str, held: str) -> None:
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            await files.renew(name, held)
        except StorageUnavailableError:
            logger.warning("the trainer's lease could not be renewed; another may take over")
