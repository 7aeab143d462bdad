"""What has to be gone for good: what the log's deletion left behind, and all of a loop that was deleted."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from shared.domain.ports import EventLog, JoinedLog

logger = logging.getLogger(__name__)


class LoopFiles(Protocol):
    """All blobs of one loop; raises `StorageUnavailableError`."""

    async def drop_all(self, *, most: int) -> int:
        """Delete up to this many blobs, but not the loop's record, and tell how many went."""
        ...


@dataclass(frozen=True, slots=True)
class Cleared:
    """What went."""

    tables: int
    chunks: int
    quarantined: int


async def clear_deleted(log: EventLog, joined: JoinedLog, *, settled_for: timedelta) -> Cleared:
    """Remove what is from before the log was deleted; nobody reads it any more. Stopped half-way, the next call does the rest.

    ``settled_for`` is after what time every writer has heard of the deletion: until then, tables that they may write to stay.
    """
    chunks = await joined.drop_chunks(before=None)
    quarantined = await joined.drop_quarantined(before=None)
    return Cleared(await log.sweep(settled_for=settled_for), chunks, quarantined)


class Erasure:
    """Removes all that is stored of one loop but its record."""

    BLOBS_A_RUN = 20_000

    def __init__(self, log: EventLog, files: LoopFiles) -> None:
        self._log = log
        self._files = files

    async def run(self) -> bool:
        """Remove tables and blobs, a bounded number of them, and tell whether nothing was left; again does the rest.

        Processes that have not heard of the loop's end may still write for a while: only a run that finds nothing says that all is gone.
        """
        tables = await self._log.drop_all()
        blobs = await self._files.drop_all(most=self.BLOBS_A_RUN)
        logger.info("loop erased", extra={"tables_dropped": tables, "blobs_dropped": blobs})
        return not tables and not blobs
