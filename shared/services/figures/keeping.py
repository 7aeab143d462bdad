"""The live figures in storage, as `shared.services.figures.committed` says."""

import logging
from datetime import datetime, timedelta

from shared.domain.clock import EPOCH
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.ledger import Pointer
from shared.services.figures.committed import Keeper
from shared.services.figures.files import Kept, dump, load
from shared.services.figures.timeline import Timeline

logger = logging.getLogger(__name__)


class FigureKeeper(Keeper[Kept]):
    """Adds windows to a loop's figures."""

    async def add(self, pointer: Pointer, window: Timeline, *, until: datetime) -> str:
        """Write the figures with this window's, and give the name that the next pointer is to have for them.

        Figures that cannot be read are begun anew. Raises `NewerFormatError`, and as the store does.
        """
        if not len(window):
            return pointer.figures
        before = await self._before(pointer.figures) or Kept(EPOCH + timedelta(minutes=int(window.begins[0])), Timeline.none())

        def added() -> tuple[Kept, bytes]:
            kept = Kept(before.since, (before.timeline + window).folded(until))
            return kept, dump(kept)

        return await self._write(pointer, added, self._store.write_figures)

    async def _stored(self, name: str) -> Kept | None:
        try:
            return load(await self._store.figures(name))
        except NewerFormatError:
            raise
        except UnreadableError as error:
            logger.error("the live figures cannot be read and start again from zero: %s", error, extra={"figures": name})
            return None
