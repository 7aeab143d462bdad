"""The live figures in storage: written before each commit under a name made from their content, and named by the pointer.

So they are part of the commit: a window counts once, whatever is stopped, and a trainer that was beaten changes nothing.
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
from shared.services.figures.files import Kept, dump, load
from shared.services.figures.timeline import Timeline
from shared.services.models.publishing import digest

logger = logging.getLogger(__name__)


class FigureKeeper:
    """Adds windows to a loop's figures, and keeps those that it wrote last while the budget has room for them."""

    def __init__(self, store: ModelStore, budget: Budget | None = None) -> None:
        self._store = store
        self._budget = budget or Budget(UNBOUNDED)
        self.used_at = self._budget.monotonic()
        self._warm: tuple[str, Kept] | None = None  # under a name that tells the content, so it is right whoever committed it

    async def add(self, pointer: Pointer, window: Timeline, *, until: datetime) -> str:
        """Write the figures with this window's, and give the name that the next pointer is to have for them.

        Figures that cannot be read are begun anew. Raises `NewerFormatError`, and as the store does.
        """
        if not len(window):
            return pointer.figures
        before = await self._before(pointer.figures) or Kept(EPOCH + timedelta(minutes=int(window.begins[0])), Timeline.none())
        kept = Kept(before.since, (before.timeline + window).folded(until))
        data = await asyncio.to_thread(dump, kept)
        name = f"{pointer.sequence + 1:08d}-{digest(data)}"
        await self._store.write_figures(name, data)
        self._warm, self.used_at = (name, kept), self._budget.monotonic()
        self._budget.hold(self, bytes_in(kept))
        return name

    def close(self) -> None:
        """Keep nothing any more."""
        self._warm = None
        self._budget.drop(self)

    def let_go(self) -> int:
        """Read them when they are needed again."""
        self._warm = None
        return 0

    async def _before(self, name: str) -> Kept | None:
        if not name:
            return None
        warm = self._warm
        if warm is not None and warm[0] == name:
            return warm[1]
        try:
            return load(await self._store.figures(name))
        except NewerFormatError:
            raise
        except UnreadableError as error:
            logger.error("the live figures cannot be read and start again from zero: %s", error, extra={"figures": name})
            return None
