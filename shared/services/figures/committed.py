"""What the trainer counts, in storage: written before each commit under a name made from its content, and named by the pointer.

So it is part of the commit: a window counts once, whatever is stopped, and a trainer that was beaten changes nothing.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from shared.domain.budget import UNBOUNDED, Budget
from shared.domain.ledger import Pointer
from shared.domain.ports import ModelStore
from shared.learning.sizes import bytes_in
from shared.services.models.publishing import digest

Kept = TypeVar("Kept")


class Keeper(Generic[Kept]):
    """Writes what is kept, and keeps at hand what it wrote last while the budget has room for it."""

    def __init__(self, store: ModelStore, budget: Budget | None = None) -> None:
        self._store = store
        self._budget = budget or Budget(UNBOUNDED)
        self.used_at = self._budget.monotonic()
        self._warm: tuple[str, Kept] | None = None  # under a name that tells the content, so it is right whoever committed it

    def close(self) -> None:
        """Keep nothing any more."""
        self._warm = None
        self._budget.drop(self)

    def let_go(self) -> int:
        """Read it when it is needed again."""
        self._warm = None
        return 0

    @abstractmethod
    async def _stored(self, name: str) -> Kept | None:
        """Read a file; None for one that is begun anew."""

    async def _before(self, name: str) -> Kept | None:
        """Give what a pointer names; None if it names nothing, or nothing that can be gone on with."""
        if not name:
            return None
        warm = self._warm
        return warm[1] if warm is not None and warm[0] == name else await self._stored(name)

    async def _write(self, pointer: Pointer, add: Callable[[], tuple[Kept, bytes]], write: Callable[[str, bytes], Awaitable[None]]) -> str:
        """Write what ``add`` makes in a thread, and give the name that the next pointer is to have for it."""
        kept, data = await asyncio.to_thread(add)
        name = f"{pointer.sequence + 1:08d}-{digest(data)}"
        await write(name, data)
        self._warm, self.used_at = (name, kept), self._budget.monotonic()
        self._budget.hold(self, bytes_in(kept))
        return name
