"""Housekeeping: tomorrow's tables ahead of midnight, old days and old models dropped whole."""

import asyncio
import logging
from datetime import timedelta

from shared.domain.clock import Clock
from shared.domain.ports import EventLog, LoopConfiguration, ModelStore
from shared.joining.join import EARLY, REMEMBERED

logger = logging.getLogger(__name__)

_MARGIN = timedelta(days=1)


class Retention:
    """Keeps the hot log as long as the trainer may need it, and the last models; the cold log is not its business."""

    def __init__(self, log: EventLog, store: ModelStore, configuration: LoopConfiguration, *, clock: Clock, models_kept: int) -> None:
        self._log = log
        self._store = store
        self._configuration = configuration
        self._clock = clock
        self._models_kept = models_kept

    async def run(self) -> None:
        """Do what is due; doing so again changes nothing."""
        stored = await self._store.pointer()
        if stored is None:
            return
        loop = await asyncio.to_thread(self._configuration.read)
        await self._log.create_tables(self._clock.now() + timedelta(days=1))
        needed = stored[0].watermark - loop.reward_wait - REMEMBERED - EARLY - _MARGIN
        dropped = await self._log.drop_tables(before=needed)
        pruned = await self._prune(stored[0].version)
        logger.info("retention done", extra={"tables_dropped": dropped, "models_dropped": pruned})

    async def _prune(self, published: str) -> int:
        """Delete what is older than the published model: all but the last models, and states that have none."""
        models = sorted([version async for version in self._store.versions()])
        kept = set(models[-self._models_kept :])
        states = {version async for version in self._store.states()}
        old = [version for version in sorted(states.union(models)) if version < published and version not in kept]
        for version in old:
            await self._store.delete(version)
        return len(old)
