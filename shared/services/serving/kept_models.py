"""Models by their versions, to decide by once more: the published one, and those before it that are still kept."""

import asyncio
import time
from typing import Final

from shared.domain.budget import Budget
from shared.domain.errors import NewerFormatError, StorageUnavailableError, UnreadableError
from shared.domain.ports import ModelStore
from shared.learning import artifact
from shared.learning.model import Model
from shared.learning.sizes import bytes_in

_MOST: Final = 3
"""Models that are kept at hand: clients decide by the newest and, for a poll interval, by the one before."""


class KeptModels:
    """The models of one loop, counted in ``budget``.

    They are this one's own: Rank would wait while a batch is scored by the same one.
    """

    def __init__(self, store: ModelStore, budget: Budget) -> None:
        self._store = store
        self._budget = budget
        self._models: dict[str, Model] = {}
        self.used_at = budget.monotonic()

    async def of(self, version: str) -> Model | None:
        """Give the model of a version ("": one that knows nothing); None if it is not kept. Raises `StorageUnavailableError`."""
        if not version:
            return Model.cold()
        self.used_at = time.monotonic()
        model = self._models.get(version) or await self._loaded(version)
        if model is not None:
            self._models = dict([*[each for each in self._models.items() if each[0] != version], (version, model)][-_MOST:])
        return model

    def count(self) -> None:
        """Count what is at hand: models grow with what they were asked."""
        self._budget.hold(self, bytes_in(*self._models.values()))

    def let_go(self) -> int:
        """Let go of all of them."""
        self._models = {}
        return 0

    def close(self) -> None:
        """Let go of them for good: the loop is gone."""
        self._models = {}
        self._budget.drop(self)

    async def _loaded(self, version: str) -> Model | None:
        try:
            return await asyncio.to_thread(artifact.load_model, await self._store.artifact(version))
        except UnreadableError:
            return None
        except NewerFormatError as cause:
            raise StorageUnavailableError("the model of a ticket needs a later release, which other processes may have") from cause
