"""Batches of what clients decided and observed by themselves, stored as if it had been decided and observed here.

The join goes by the time at which something is stored, and looks back no further than appends may take. So a client's own time counts
within half the grace; what it says is older is taken for that old.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b

from shared.domain.clock import Clock
from shared.domain.events import Decision, LearningMode, Observation
from shared.domain.identity import id_mark
from shared.domain.ports import EventLog
from shared.domain.uploads import Interaction, Report
from shared.joining.dsjson import situation_text
from shared.learning.interactions import EVERYTHING
from shared.services.process.sharing import MARK, Shared
from shared.services.serving.model_server import ModelServer

_STEP = timedelta(microseconds=1)
"""Between two lines of a batch that count as equally old: their order stays."""


class Uploads:
    """Stores batches, each in one row: all of it or none."""

    def __init__(
        self, log: EventLog, models: ModelServer, *, clock: Clock, grace: timedelta, place: str = "", shared: Shared | None = None
    ) -> None:
        """``place`` tells this life of the loop from all others in what they share."""
        self._log = log
        self._models = models
        self._clock = clock
        self._grace = grace
        shared = shared or Shared()
        self._encoder = shared.encoders.of(EVERYTHING)
        self._reported = shared.reported
        self._place = place
        self._under_way: dict[bytes, asyncio.Future[None]] = {}
        """The marks of what is stored just now, and what ends with that."""

    async def interactions(self, batch: Sequence[Interaction]) -> None:
        """Return once these decisions, at least one, are stored; raises as `shared.domain.ports.EventLog.append_decisions`."""
        mode = (await self._models.served()).settings.learning_mode
        times = times_of([each.at for each in batch], now=self._clock.now(), grace=self._grace)
        await self._log.append_decisions(await asyncio.to_thread(self._decisions, batch, times, mode))

    async def observations(self, batch: Sequence[Report]) -> None:
        """Return once these rewards and activations, at least one, are stored; raises as `interactions`.

        What has an id, and was stored by this process lately, is not stored again. What another process has stored is: then the join
        (`shared.joining.join`) lets one of them count.
        """
        marks = dict.fromkeys(mark for each in batch if (mark := self._mark(each)))
        while others := {self._under_way[mark] for mark in marks if mark in self._under_way}:
            await asyncio.wait(others)  # they are stored just now: that may fail
        new = {mark for mark in marks if self._reported.get(mark) is None}
        ended = asyncio.get_running_loop().create_future()
        self._under_way.update(dict.fromkeys(new, ended))
        try:
            await self._store([each for each in batch if not (mark := self._mark(each)) or _taken(new, mark)])
            for mark in marks:
                self._reported.put(mark, True)
        finally:
            self._under_way = {mark: other for mark, other in self._under_way.items() if other is not ended}
            ended.set_result(None)

    async def _store(self, fresh: Sequence[Report]) -> None:
        if not fresh:
            return
        times = times_of([each.at for each in fresh], now=self._clock.now(), grace=self._grace)
        observed = [_observation(each, at) for each, at in zip(fresh, times, strict=True)]
        await self._log.append_observations(observed)

    def _mark(self, report: Report) -> bytes:
        """Tell a report that has an id from all others, of all loops; b"" for one that has none."""
        if not report.id:
            return b""
        parts = (self._place, report.id, report.event_id, report.slot, repr(report.reward))
        return blake2b("\0".join([f"{len(each)} {each}" for each in parts]).encode("utf-8", "surrogatepass"), digest_size=MARK).digest()

    def _decisions(self, batch: Sequence[Interaction], times: Sequence[datetime], mode: LearningMode) -> list[Decision]:
        return [self._decision(each, at, mode) for each, at in zip(batch, times, strict=True)]

    def _decision(self, each: Interaction, at: datetime, mode: LearningMode) -> Decision:
        return Decision(
            event_id=each.event_id,
            decided_at=at,
            model_version=each.model_version,
            mode=mode,
            probabilities=each.probabilities,
            chosen=each.chosen,
            deferred=each.deferred,
            situation=situation_text(each.situation),
            encoded=self._encoder.encode(each.situation).logged(each.chosen),
        )


def times_of(told: Sequence[datetime | None], *, now: datetime, grace: timedelta) -> list[datetime]:
    """Give the times that count for those that clients tell: none is ahead, and none is older than half the grace."""
    oldest = now - grace / 2
    floors = [min(oldest + number * _STEP, now) for number in range(len(told))]
    return [now if at is None else min(max(at, floor), now) for at, floor in zip(told, floors, strict=True)]


def _observation(report: Report, at: datetime) -> Observation:
    mark = 0 if report.reward is None else id_mark(report.id)  # several activations say no more than one
    return Observation(report.event_id, at, report.reward, report.slot, mark)


def _taken(new: set[bytes], mark: bytes) -> bool:
    """Take one out of what is new; tells whether it was there."""
    if mark not in new:
        return False
    new.remove(mark)
    return True
