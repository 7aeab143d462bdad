"""Storage's own failures leave here as ours; nothing above this room knows an Azure exception."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

from azure.core.exceptions import AzureError, HttpResponseError

from shared.domain.errors import StorageUnavailableError

logger = logging.getLogger(__name__)

CALL_DEADLINE = timedelta(seconds=30)
"""How long any single use of storage outside the Rank and Reward path may take, the SDK's retries included."""


@asynccontextmanager
async def storage_failures(what: str, *, deadline: timedelta = CALL_DEADLINE) -> AsyncIterator[None]:
    """Turn every failure of storage inside into `StorageUnavailableError`, at the latest after ``deadline``.

    Answers that have a meaning of their own (not found, already there, condition not met) must be caught inside.
    """
    with _translated(what):
        async with asyncio.timeout(deadline.total_seconds()):
            yield


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as cause:
        logger.warning("storage did not answer in time", extra={"operation": what})
        raise StorageUnavailableError(f"storage did not answer in time: {what}") from cause
    except HttpResponseError as cause:
        logger.warning("storage refused", extra={"operation": what, "status": cause.status_code, "reason": cause.reason})
        raise StorageUnavailableError(f"storage refused with status {cause.status_code}: {what}") from cause
    except (AzureError, OSError) as cause:
        logger.warning("storage cannot be reached", extra={"operation": what, "error": type(cause).__name__})
        raise StorageUnavailableError(f"storage cannot be reached: {what}") from cause
