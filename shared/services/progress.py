"""What the loop has done and still has to do, counted from storage."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.clock import EPOCH, Clock
from shared.domain.ledger import Counters, Pointer, SegmentHead
from shared.domain.ports import EventLog, ModelStore
from shared.services.serving import ModelServer, Served

_AHEAD = timedelta(days=1)
"""Another instance's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Counters up to the watermark, and what waits behind it.

    ``lag`` is for how long the oldest waiting decision could have been learned already.
    """

    served: Served
    published_version: str
    watermark: datetime | None
    lag: timedelta
    counters: Counters
    apprentice: ApprenticeMetrics
    pending: int
    pending_rewards: int

    @property
    def ranked(self) -> int:
        """All decisions ever stored."""
        return self.counters.processed + self.pending

    @property
    def rewards(self) -> int:
        """All rewards ever stored."""
        return self.counters.rewards + self.pending_rewards


class ProgressReport:
    """Counts, from the pointer and from the heads of the segments behind it."""

    def __init__(
        self, log: EventLog, store: ModelStore, models: ModelServer, *, clock: Clock, grace: timedelta, lookback: timedelta
    ) -> None:
        self._log = log
        self._store = store
        self._models = models
        self._clock = clock
        self._grace = grace
        self._lookback = lookback

    async def served(self) -> Served:
        """Tell what this process serves; asks storage nothing."""
        return await self._models.served()

    async def read(self) -> Progress:
        """Count; raises `StorageUnavailableError`, `NewerFormatError` or `UnreadableError`."""
        served = await self._models.served()
        stored = await self._store.pointer()
        pointer = stored[0] if stored else await self._beginning()
        since, until = pointer.watermark - self._lookback, self._clock.now() + _AHEAD
        waiting = await _unseen(self._log.decision_heads(since, until), pointer.lookback.decisions, pointer.watermark)
        rewards = await _unseen(self._log.observation_heads(since, until), pointer.lookback.observations, pointer.watermark)
        due = min((head.key.sealed_at for head in waiting), default=until) + served.settings.reward_wait + self._grace
        return Progress(
            served=served,
            published_version=pointer.version,
            watermark=pointer.watermark if stored else None,
            lag=max(timedelta(0), self._clock.now() - due),
            counters=pointer.counters,
            apprentice=pointer.apprentice,
            pending=sum(head.count for head in waiting),
            pending_rewards=sum(head.rewards for head in rewards),
        )

    async def _beginning(self) -> Pointer:
        earliest = await self._log.earliest()
        return Pointer(sequence=0, version="", published_at=EPOCH, watermark=earliest or self._clock.now())


async def _unseen(minutes: AsyncIterator[Sequence[SegmentHead]], seen: frozenset[str], watermark: datetime) -> list[SegmentHead]:
    return [head async for minute in minutes for head in minute if head.key.sealed_at >= watermark or head.key.name not in seen]
