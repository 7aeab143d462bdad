"""Automatic optimisation: evaluations that are asked for by a timer, and whose best policy is put to use if it is surely better."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.domain.clock import Clock, later
from shared.domain.errors import RequestError
from shared.domain.evaluation import Asked, EvaluationKind
from shared.domain.loop import LoopSettings
from shared.domain.ports import ModelStore
from shared.joining.chunks import ChunkName
from shared.services.analysis.evaluations import Evaluations
from shared.services.training.retraining import MOST_AHEAD, Chunks, way_back

logger = logging.getLogger(__name__)

SPAN: Final = timedelta(days=14)
"""How much of the log an evaluation looks at, at least, and how much has to be there to begin with."""

ENOUGH: Final = 10_000
"""Or so many learned events that the log has, imported ones among them, whatever their days. So far back an evaluation goes if it can."""

HISTORY: Final = 24
"""Evaluations that are kept of those that the timer asked for."""


class Settings(Protocol):
    """The loop's settings: `shared.services.loops.configuring.Configurator`."""

    async def read(self) -> LoopSettings:
        """Give the settings in force."""
        ...


class Optimizer:
    """Asks for one loop's evaluations when they are due."""

    def __init__(self, evaluations: Evaluations, settings: Settings, log: Chunks, store: ModelStore, *, clock: Clock) -> None:
        self._evaluations = evaluations
        self._log = log
        self._settings = settings
        self._store = store
        self._clock = clock

    async def run(self) -> bool:
        """Ask for the evaluation that is due, if there is one, and tell whether; doing so again changes nothing.

        Raises `StorageUnavailableError`.
        """
        loop, now = await self._settings.read(), self._clock.now()
        due = due_at(loop, now)
        if due is None:
            return False
        history = await self._evaluations.of_kind(EvaluationKind.AUTO)
        next_due = later(due, loop.auto_optimization_frequency)  # what was asked for after that, was asked for by a clock that was wrong
        if any(due <= each.job.created_at < next_due for each in history):
            return False
        asked = await self._asked(loop, due)
        if asked is None:
            return False
        job_id = f"auto-{due:%Y%m%dT%H%M%SZ}"
        try:
            await self._evaluations.submit(asked, online=loop.policy, request_id=job_id, job_id=job_id, kind=EvaluationKind.AUTO)
        except RequestError as error:
            logger.warning("automatic optimisation could not ask for its evaluation: %s", error)
            return False
        for each in history[HISTORY - 1 :]:
            await self._evaluations.delete(each.job.id)
        return True

    async def _asked(self, loop: LoopSettings, due: datetime) -> Asked | None:
        """Give what to ask for; None while there is too little to go by."""
        stored, logged = await self._store.pointer(), await self._evaluations.logged()
        if stored is None or logged is None:
            return None
        until, since = stored[0].watermark, logged.since
        newest = await newest_chunks(self._log, stored[0].chunk, events=ENOUGH)
        if until - since < SPAN and newest.learned < ENOUGH:
            return None
        first = min(until - max(SPAN, loop.auto_optimization_frequency), newest.since or until)
        return Asked(f"Automatic optimisation of {due:%Y-%m-%d}", max(since, first), until, (), seeks_better=True)


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest chunks of the joined log: how many of their events teach something, and when they begin (None: there are none)."""

    learned: int
    since: datetime | None


async def newest_chunks(log: Chunks, newest: str, *, events: int) -> Newest:
    """Go back through the joined log until so many of its events teach something, or it ends; raises as the log does.

    A chunk of an earlier release, which does not say how many do, counts as none.
    """
    way = await way_back(log, newest, lambda name, link, way: way.learned < events and way.count < MOST_AHEAD)
    return Newest(way.learned, min((ChunkName.parse(name).since for name in way.ahead), default=None))


def due_at(loop: LoopSettings, now: datetime) -> datetime | None:
    """Give the last time at which an evaluation was due; None if there has been none.

    Without a start date the first one is due a period after automatic optimisation was switched on, as far as that is known.
    """
    start = loop.auto_optimization_start or (loop.edited_at and loop.edited_at + loop.auto_optimization_frequency)
    if not loop.is_auto_optimization_enabled or start is None or now < start:
        return None
    return start + (now - start) // loop.auto_optimization_frequency * loop.auto_optimization_frequency
