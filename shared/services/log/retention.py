"""Housekeeping: tomorrow's tables ahead of midnight; what is old, or from before the log was deleted, dropped whole."""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain.clock import Clock, days_before
from shared.domain.errors import ConflictError
from shared.domain.ledger import Pointer
from shared.domain.ports import EventLog, JoinedLog, LoopConfiguration, ModelStore
from shared.joining.join import EARLY, REMEMBERED
from shared.services.log.erasure import clear_deleted
from shared.services.models.pruning import Pruner, next_number

logger = logging.getLogger(__name__)

_MARGIN = timedelta(days=1)

_MOST_AHEAD: Final = 8
"""States for a commit that has not come about: that many were written by runs that died, one after another."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How many models are kept, and after what time every writer has heard that the log was deleted."""

    models_kept: int
    settled_for: timedelta


class Retention:
    """Keeps the hot log as long as the trainer may need it, the joined log as long as the loop's owner wants it, and the last models."""

    def __init__(
        self,
        log: EventLog,
        joined: JoinedLog,
        store: ModelStore,
        configuration: LoopConfiguration,
        *,
        clock: Clock,
        terms: Terms,
    ) -> None:
        self._log = log
        self._joined = joined
        self._store = store
        self._configuration = configuration
        self._clock = clock
        self._terms = terms
        self._pruner = Pruner(store, models_kept=terms.models_kept)

    async def run(self) -> None:
        """Do what is due; doing so again changes nothing, and stopped half-way, the next run does the rest."""
        stored = await self._store.pointer()
        if stored is None:
            return
        pointer = stored[0]
        self._log.follow(pointer.log)
        loop = await asyncio.to_thread(self._configuration.read)
        if loop.resets == pointer.resets:  # first of all: later on another model may have been begun
            await self._store.checkpoints.delete()  # of one that was published, or that nobody wants any more
        await self._log.create_tables(self._clock.now() + timedelta(days=1))
        needed = pointer.watermark - loop.reward_wait - REMEMBERED - EARLY - _MARGIN
        dropped = await self._log.drop_tables(before=needed)
        pruned = await self._pruner.sweep(await self._numbered_on(*stored))
        cleared = await clear_deleted(self._log, self._joined, settled_for=self._terms.settled_for)
        expired = await self._expire(loop.log_retention_days)
        facts = {"tables_dropped": dropped + cleared.tables, "models_dropped": pruned.models, "chunks_dropped": expired + cleared.chunks}
        logger.info("retention done", extra=facts)

    async def _expire(self, days: int) -> int:
        """Delete chunks, and copies of damaged segments, that are older than this many days; none if it is negative."""
        if days < 0:
            return 0
        before = days_before(self._clock.now(), days)
        chunks = await self._joined.drop_chunks(before=before)
        return chunks + await self._joined.drop_quarantined(before=before)

    async def _numbered_on(self, pointer: Pointer, etag: str) -> Pointer:
        """Give the pointer the next number where run after run died just before it could: then no commit can name what they left."""
        ahead = [version async for version in self._store.states() if version >= next_number(pointer)]
        if len(ahead) < _MOST_AHEAD:
            return pointer
        new = replace(pointer, sequence=pointer.sequence + 1)
        try:
            await self._store.commit(new, expected=etag)
        except ConflictError:
            return pointer
        logger.warning(
            "runs of the trainer died just before their commit; the files that they left are removed", extra={"states": len(ahead)}
        )
        return new
