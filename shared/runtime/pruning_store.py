"""The models of a loop as the deployment publishes them: whoever commits, what that made needless is removed."""

from shared.domain.errors import ConflictError
from shared.domain.ledger import Pointer
from shared.services.models.pruning import Pruner
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage


class PruningModelStore(FileModelStore):
    """A `FileModelStore` whose commits remove what nothing needs any more; a removal that fails does not fail the commit."""

    def __init__(self, storage: Storage, *, loop: str, models_kept: int) -> None:
        super().__init__(storage, loop=loop)
        self._pruner = Pruner(self, models_kept=models_kept)

    async def write_state(self, version: str, data: bytes) -> None:
        """Write the learner behind a model."""
        self._pruner.written.states.add(version)
        await super().write_state(version, data)

    async def write_figures(self, name: str, data: bytes) -> None:
        """Write live figures."""
        self._pruner.written.figures.add(name)
        await super().write_figures(name, data)

    async def write_breakdown(self, name: str, data: bytes) -> None:
        """Write a breakdown."""
        self._pruner.written.breakdowns.add(name)
        await super().write_breakdown(name, data)

    async def write_lookback(self, name: str, data: bytes) -> None:
        """Write what a trainer has to remember."""
        self._pruner.written.lookbacks.add(name)
        await super().write_lookback(name, data)

    async def commit(self, pointer: Pointer, *, expected: str | None) -> str:
        """Replace the pointer on condition, and then remove what the one before it needed and this one does not."""
        try:
            etag = await super().commit(pointer, expected=expected)
        except ConflictError:
            await self._pruner.overtaken()
            raise
        await self._pruner.after(pointer)
        return etag
