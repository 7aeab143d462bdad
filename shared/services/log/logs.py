"""The log as a whole: from when to when it goes, and its deletion.

Deleted is what was sealed before one moment, the cut. The pointer tells that moment and a new generation in the one conditional write
that also moves the watermark and the counters there: from then on no reader sees anything sealed earlier. Writers that have not heard
of it yet go on in the old generation's tables, where what they seal after the cut is found.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.clock import EPOCH, Clock
from shared.domain.errors import BusyError, ConflictError, StorageUnavailableError, UnreadableError
from shared.domain.events import SkipReason
from shared.domain.ledger import COMMIT_WITHIN, Counters, LogEpoch, Pointer
from shared.domain.lookback import Lookback
from shared.domain.ports import EventLog, JoinedLog, ModelStore
from shared.joining.chunks import ChunkName
from shared.joining.reading import read_line
from shared.services.log.erasure import clear_deleted
from shared.services.loops.progress import AHEAD, Waiting, waiting
from shared.services.training.lookbacks import remembered

logger = logging.getLogger(__name__)

_ATTEMPTS = 8
_COMMIT = timedelta(seconds=30)
"""How long the commit itself may take."""
_MOST_GENERATIONS = 16
"""That are read beside each other while tables of deleted logs are still there."""
_CLEARING_SECONDS = 5.0
_FIRST_BYTES = 1024 * 1024
"""Of the oldest chunk, whose first events tell when the log begins."""


@dataclass(frozen=True, slots=True)
class DateRange:
    """From when to when something is logged."""

    since: datetime
    until: datetime


class Logs:
    """The joined log of one loop and what will be joined to it."""

    def __init__(
        self, log: EventLog, joined: JoinedLog, store: ModelStore, *, clock: Clock, lookback: timedelta, settled_for: timedelta
    ) -> None:
        self._log = log
        self._joined = joined
        self._store = store
        self._clock = clock
        self._lookback = lookback
        self._settled_for = settled_for

    async def date_range(self) -> DateRange | None:
        """Tell from when to when the log goes; None when nothing is logged.

        It begins with its first event: the window of that one may have begun long before, with the day. It ends with the last window.

        Raises `StorageUnavailableError`, `NewerFormatError` or `UnreadableError`.
        """
        pointer, _ = await self._pointer()
        chunks = [ChunkName.parse(name) for name in await self._joined.chain()]
        heads = (await self._waiting(pointer, until=self._clock.now() + AHEAD)).decisions
        since = [*await self._begun(chunks), *[head.key.sealed_at for head in heads]]
        until = [*[chunk.until for chunk in chunks], *[head.key.sealed_at for head in heads]]
        return DateRange(min(since), max(until)) if since else None

    async def _begun(self, chunks: Sequence[ChunkName]) -> list[datetime]:
        """Tell when each chunk's events begin, which is known of the oldest one only by a look into it."""
        if not chunks:
            return []
        oldest = min(chunks, key=lambda each: each.since)
        with suppress(UnreadableError):
            found = await self._joined.head(str(oldest), size=_FIRST_BYTES)
            times = [read_line(line).decision.decided_at for line in found[0]] if found else []
            if times:
                return [max(oldest.since, min(times)), *[each.since for each in chunks if each is not oldest]]
        return [each.since for each in chunks]

    async def delete(self) -> None:
        """Delete what is logged up to now; returns once no reader sees it any more, and what is stored of it will be removed soon.

        What is called for after that is in the log. Raises `BusyError` when others kept committing, `ClocksDifferError` when clocks are
        too far apart, and as `date_range`: then nothing was deleted.
        """
        cut = await self._log.cut()
        epoch = await self._switch(cut)
        logger.info("log deleted", extra={"generation": epoch.generation, "cut": cut.isoformat()})
        with suppress(StorageUnavailableError, TimeoutError):  # what is left, retention removes
            async with asyncio.timeout(_CLEARING_SECONDS):
                await clear_deleted(self._log, self._joined, settled_for=self._settled_for)

    async def _switch(self, cut: datetime) -> LogEpoch:
        for _ in range(_ATTEMPTS):
            pointer, etag = await self._pointer()
            new = await self._cut_off(pointer, cut)
            if self._clock.now() - cut > COMMIT_WITHIN - _COMMIT:
                break  # writers would not have as long to hear of it as they need
            try:
                await self._store.commit(new, expected=etag)
            except ConflictError:
                continue
            self._log.follow(new.log)
            return new.log
        raise BusyError("the trainer was at work all the time, or storage slow; repeat the call")

    async def _cut_off(self, pointer: Pointer, cut: datetime) -> Pointer:
        """Give the pointer of a log that begins at the cut, as figures do; it still names a chunk, lest the next be taken for the first.

        Where another deletion has cut later meanwhile, it begins there: what that one deleted does not come back.
        """
        cut = max(cut, pointer.log.since)
        dropped = await self._waiting(pointer, until=cut)
        oldest = min({pointer.log.generation, *await self._log.generations()})
        if pointer.log.generation + 1 - oldest > _MOST_GENERATIONS:
            raise BusyError("earlier deletions have not been cleared up yet", retry_after=timedelta(minutes=1))
        count = Counters(skipped={SkipReason.LOG_DELETED.value: dropped.count}, rewards=dropped.rewards)
        return replace(
            pointer,
            sequence=pointer.sequence + 1,
            watermark=max(pointer.watermark, cut),
            counters=pointer.counters.plus(count),
            lookback=Lookback(),
            log=LogEpoch(pointer.log.generation + 1, since=cut, oldest=oldest),
            figures="",
            breakdown="",
            imported=0,
        )

    async def _waiting(self, pointer: Pointer, *, until: datetime) -> Waiting:
        return await waiting(self._log, pointer, await remembered(self._store, pointer), until=until, span=self._lookback)

    async def _pointer(self) -> tuple[Pointer, str | None]:
        stored = await self._store.pointer()
        if stored is not None:
            self._log.follow(stored[0].log)
            return stored
        beginning = await self._log.earliest() or self._clock.now()
        return Pointer(sequence=0, version="", published_at=EPOCH, watermark=beginning, log=self._log.epoch), None
