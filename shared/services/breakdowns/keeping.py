"""The breakdown in storage, as `shared.services.figures.committed` says."""

import asyncio
import logging
from datetime import datetime, timedelta

from shared.domain.clock import EPOCH
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.ledger import Pointer
from shared.services.breakdowns.files import Kept, dump, load
from shared.services.breakdowns.window import Breakdown
from shared.services.figures.committed import Keeper

logger = logging.getLogger(__name__)


class BreakdownKeeper(Keeper[Kept]):
    """Adds windows to a loop's breakdown."""

    async def add(self, pointer: Pointer, window: Breakdown, *, until: datetime) -> str:
        """Write the breakdown with this window's, and give the name that the next pointer is to have for it.

        One that cannot be read is begun anew, and so is one of a newer release: it only tells, and nothing is learned from it.
        """
        if window.actions.is_empty:
            return pointer.breakdown
        before = await self._before(pointer.breakdown)
        return await self._write(pointer, lambda: _added(before, window, until), self._store.write_breakdown)

    async def _stored(self, name: str) -> Kept | None:
        try:
            return await asyncio.to_thread(load, await self._store.breakdown(name))
        except (NewerFormatError, UnreadableError) as error:
            logger.error("the breakdown cannot be read and starts again from zero: %s", error, extra={"breakdown": name})
            return None


def _added(before: Kept | None, window: Breakdown, until: datetime) -> tuple[Kept, bytes]:
    first = EPOCH + timedelta(minutes=int(window.actions.begins.min()))
    known = before or Kept(first, first, Breakdown.none(window.feature))
    feature_since = known.feature_since if known.breakdown.feature == window.feature else first
    kept = Kept(known.since, feature_since, known.breakdown.plus(window).folded(until))
    return kept, dump(kept)
