"""The breakdown in storage: written before each commit under a name made from its content, and named by the pointer, as live figures are.

So it is part of the commit: a window counts once, whatever is stopped, and a trainer that was beaten changes nothing.
"""

import asyncio
import logging
from datetime import datetime, timedelta

from shared.domain.budget import UNBOUNDED, Budget
from shared.domain.clock import EPOCH
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.ledger import Pointer
from shared.domain.ports import ModelStore
from shared.learning.sizes import bytes_in
from shared.services.breakdowns.files import Kept, dump, load
from shared.services.breakdowns.window import Breakdown
from shared.services.models.publishing import digest

logger = logging.getLogger(__name__)


class BreakdownKeeper:
    """Adds windows to a loop's breakdown, and keeps what it wrote last while the budget has room for it."""

    def __init__(self, store: ModelStore, budget: Budget | None = None) -> None:
        self._store = store
        self._budget = budget or Budget(UNBOUNDED)
        self.used_at = self._budget.monotonic()
        self._warm: tuple[str, Kept] | None = None  # under a name that tells the content, so it is right whoever committed it

    async def add(self, pointer: Pointer, window: Breakdown, *, until: datetime) -> str:
        """Write the breakdown with this window's, and give the name that the next pointer is to have for it.

        One that cannot be read is begun anew, and so is one of a newer release: it only tells, and nothing is learned from it.
        """
        if window.actions.is_empty:
            return pointer.breakdown
        before = await self._before(pointer.breakdown)
        kept, data = await asyncio.to_thread(_added, before, window, until)
        name = f"{pointer.sequence + 1:08d}-{digest(data)}"
        await self._store.write_breakdown(name, data)
        self._warm, self.used_at = (name, kept), self._budget.monotonic()
        self._budget.hold(self, bytes_in(kept))
        return name

    def close(self) -> None:
        """Keep nothing any more."""
        self._warm = None
        self._budget.drop(self)

    def let_go(self) -> int:
        """Read it when it is needed again."""
        self._warm = None
        return 0

    async def _before(self, name: str) -> Kept | None:
        if not name:
            return None
        warm = self._warm
        if warm is not None and warm[0] == name:
            return warm[1]
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
