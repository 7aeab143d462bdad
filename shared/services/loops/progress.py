"""What the loop has done and still has to do, counted from storage."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.checkpoint import AnewProgress
from shared.domain.clock import EPOCH, Clock
from shared.domain.errors import BusyError, NewerFormatError, UnreadableError
from shared.domain.ledger import Counters, Pointer, SegmentHead
from shared.domain.lookback import Lookback, Seen
from shared.domain.loop import LoopSettings
from shared.domain.ports import EventLog, ModelStore
from shared.joining.chunks import ChunkName
from shared.services.serving.model_server import ModelServer, Served
from shared.services.training.lookbacks import remembered

AHEAD = timedelta(days=1)
"""Another instance's clock may be ahead of ours."""
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """Counters up to the watermark, and what waits behind it.

    ``lag`` is for how long the oldest waiting decision could have been learned already, and ``chunk`` the newest of the joined log
    ("": there is none, or it was deleted). ``published_learned`` counts the events of the published model alone. ``anew`` tells how far
    the model is that is begun anew, if one is. ``counters`` are of the loop's own events; ``imported`` others were taken into its log.
    """

    served: Served
    published_version: str
    published_learned: int
    watermark: datetime | None
    lag: timedelta
    counters: Counters
    apprentice: ApprenticeMetrics
    pending: int
    pending_rewards: int
    chunk: str
    anew: AnewProgress | None = None
    imported: int = 0

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
        """Count; raises `StorageUnavailableError`, `NewerFormatError` or `UnreadableError`, or `BusyError` if the log is being deleted."""
        for _ in range(_ATTEMPTS):
            committed = await self._pointer()
            pointer = committed or await self._beginning()
            progress = await self._count(pointer, is_committed=committed is not None)
            if (await self._pointer() or pointer).log == pointer.log == self._log.epoch:
                return progress
        raise BusyError("the log is being deleted")

    async def _count(self, pointer: Pointer, *, is_committed: bool) -> Progress:
        served = await self._models.served()
        until = self._clock.now() + AHEAD
        behind = await waiting(self._log, pointer, await remembered(self._store, pointer), until=until, span=self._lookback)
        due = min((head.key.sealed_at for head in behind.decisions), default=until) + served.settings.reward_wait + self._grace
        return Progress(
            served=served,
            published_version=pointer.version,
            published_learned=pointer.learned,
            watermark=pointer.watermark if is_committed else None,
            lag=max(timedelta(0), self._clock.now() - due),
            counters=pointer.counters,
            apprentice=pointer.apprentice,
            pending=behind.count,
            pending_rewards=behind.rewards,
            chunk=pointer.chunk if _is_kept(pointer) else "",
            anew=await self._anew(pointer, served.settings) if is_committed else None,
            imported=pointer.imported,
        )

    async def _anew(self, pointer: Pointer, loop: LoopSettings) -> AnewProgress | None:
        """Tell how far the model is that is begun anew; nowhere, if that is due and no run has come by yet. None if none is."""
        if pointer.resets == loop.resets:
            return None
        try:
            begun = await self._store.checkpoints.progress()
        except NewerFormatError:
            raise
        except UnreadableError:
            begun = None  # the trainer will say so, and begin it again
        if begun is not None and begun.resets == loop.resets:
            return begun
        is_due = pointer.resets < loop.resets  # or else this process has not heard of the settings yet
        return AnewProgress(loop.resets, EPOCH, chunks=0, done=0, learned=0) if is_due else None

    async def _pointer(self) -> Pointer | None:
        stored = await self._store.pointer()
        if stored is None:
            return None
        self._log.follow(stored[0].log)
        return stored[0]

    async def _beginning(self) -> Pointer:
        earliest = await self._log.earliest()
        return Pointer(sequence=0, version="", published_at=EPOCH, watermark=earliest or self._clock.now(), log=self._log.epoch)


def _is_kept(pointer: Pointer) -> bool:
    """Whether the pointer's chunk belongs to the log as it is since its deletion."""
    return bool(pointer.chunk) and ChunkName.parse(pointer.chunk).generation >= pointer.log.generation


@dataclass(frozen=True, slots=True)
class Waiting:
    """The segments that no commit has dealt with."""

    decisions: Sequence[SegmentHead]
    observations: Sequence[SegmentHead]

    @property
    def count(self) -> int:
        """How many decisions they hold."""
        return sum(head.count for head in self.decisions)

    @property
    def rewards(self) -> int:
        """How many rewards they hold."""
        return sum(head.rewards for head in self.observations)


async def waiting(log: EventLog, pointer: Pointer, lookback: Lookback, *, until: datetime, span: timedelta) -> Waiting:
    """List what was sealed before ``until`` and waits behind the watermark, stragglers included.

    ``lookback`` is what was remembered with the pointer, and ``span`` how far behind the watermark stragglers are looked for.
    """
    since = pointer.watermark - span
    decisions = await _unseen(log.decision_heads(since, until), lookback.decisions, pointer.watermark)
    observations = await _unseen(log.observation_heads(since, until), lookback.observations, pointer.watermark)
    return Waiting(decisions, observations)


async def _unseen(minutes: AsyncIterator[Sequence[SegmentHead]], seen: Seen, watermark: datetime) -> list[SegmentHead]:
    heads = [head async for minute in minutes for head in minute]
    return [head for head in heads if head.key.sealed_at >= watermark or not seen.has(head.key.name, head.key.sealed_at)]
