"""What has to happen in time, above the ports."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from shared.domain.errors import StorageUnavailableError
from shared.domain.patience import seconds_left

logger = logging.getLogger(__name__)

CALL_DEADLINE = timedelta(seconds=30)
"""How long any single use of storage outside the Rank and Reward path may take, an engine's retries included."""


@asynccontextmanager
async def in_time(what: str, *, deadline: timedelta = CALL_DEADLINE) -> AsyncIterator[None]:
    """Raise `StorageUnavailableError` when what is inside has not ended after ``deadline``.

    It is earlier if the call that this is done for has less time left (`shared.domain.patience`).
    """
    try:
        seconds = seconds_left(deadline)
        if seconds <= 0:
            raise TimeoutError
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as cause:
        logger.warning("storage did not answer in time", extra={"operation": what})
        raise StorageUnavailableError(f"storage did not answer in time: {what}") from cause
