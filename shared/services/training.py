"""The trainer: joins the window behind the watermark, learns it, and commits model and watermark in one conditional write.

Killed at any step it leaves either the old pointer, and the window is done again, or the new one, and it goes on from there.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.clock import EPOCH, Clock, to_micros
from shared.domain.errors import ConflictError
from shared.domain.events import JoinedEvent, Observation, SkipReason
from shared.domain.ledger import Counters, Lookback, Opened, Pointer, Provenance, Segment, SegmentHead
from shared.domain.loop import LoopSettings
from shared.domain.ports import EventLog, LoopConfiguration, ModelStore
from shared.joining.chunks import ChunkName, compressed
from shared.joining.dsjson import lines
from shared.joining.join import EARLY, REMEMBERED, Joined, Window, event_ids, join
from shared.learning import artifact
from shared.learning.encoding import Encoders
from shared.learning.learner import Learner
from shared.services.concurrency import collector_at_rest, together
from shared.services.figures.keeping import FigureKeeper
from shared.services.figures.logged import logged
from shared.services.figures.sums import Figures, figures
from shared.services.figures.timeline import Timeline
from shared.services.figures.window import Span, window
from shared.services.lessons import lessons
from shared.services.publishing import Content, beginner, beginning, digest, settings_text, write_version
from shared.services.retraining import Chunks, Retrainer
from shared.services.windows import Limits, Plan, is_due, plan_window

logger = logging.getLogger(__name__)

MAX_STEPS = 1_000
"""Of one run; the next goes on from there."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What one step of the trainer committed."""

    pointer: Pointer
    learned: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How the loop stands: for how long what follows the watermark could have been learned already, and how old the model is."""

    lag: timedelta
    model_age: timedelta | None


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be done next, and from where: to learn the window of the plan, or to begin the model anew."""

    pointer: Pointer
    etag: str | None
    loop: LoopSettings
    plan: Plan | None

    @property
    def is_last(self) -> bool:
        """Whether nothing more waits behind it."""
        return self.plan is not None and not self.plan.is_cut


@dataclass(frozen=True, slots=True)
class _Work:
    """What a window came to: ``chunk`` names its chunk, which is written, and ``content`` is None if nothing was learned."""

    joined: Joined
    content: Content | None
    chunk: str
    apprentice: ApprenticeMetrics
    figures: Figures
    timeline: Timeline


@dataclass(slots=True)
class _Warm:
    """The learner as it was committed last, so that a warm trainer need not load it; dropped before it is changed."""

    version: str = ""
    learner: Learner | None = field(default=None)


class Trainer:
    """Learns one loop's log, in bounded steps, as far as it can be learned now."""

    def __init__(
        self,
        log: EventLog,
        chunks: Chunks,
        store: ModelStore,
        configuration: LoopConfiguration,
        *,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._log = log
        self._store = store
        self._configuration = configuration
        self._clock = clock
        self._limits = limits
        self._figures = FigureKeeper(store)
        self._retrainer = Retrainer(chunks, store, clock=clock)
        self._encoders = Encoders()
        self._warm = _Warm()

    async def run(self) -> list[Commit]:
        """Catch up; gives the commits made. Another trainer at work, or one that was faster, ends the run without harm.

        Raises `StorageUnavailableError`, `NewerFormatError` or `UnreadableError`; what was committed stays.
        """
        commits: list[Commit] = []
        for _ in range(MAX_STEPS):
            task = await self._due()
            if task is None:
                break
            async with self._store.lease() as is_mine:
                if not is_mine:
                    logger.info("another trainer is at work")
                    break
                if (await self._stored())[1] != task.etag:
                    continue
                try:
                    commits.append(await self._do(task))
                except ConflictError:
                    logger.info("another commit came first; it stands and this run's work is dropped")
                    break
            if task.is_last:
                break
        return commits

    async def standing(self) -> Standing:
        """Look how far it has come; raises as `run`."""
        pointer, _ = await self._stored()
        loop = await asyncio.to_thread(self._configuration.read)
        pointer, now = pointer or await beginning(self._log, loop, clock=self._clock), self._clock.now()
        lag = now - loop.reward_wait - self._limits.grace - pointer.watermark
        return Standing(max(lag, timedelta(0)), now - pointer.published_at if pointer.version else None)

    async def _due(self) -> _Task | None:
        pointer, etag = await self._stored()
        loop = await asyncio.to_thread(self._configuration.read)  # after the pointer, which followed no later settings than these
        pointer = pointer or await beginning(self._log, loop, clock=self._clock)
        if loop.resets != pointer.resets:
            return _Task(pointer, etag, loop, None)
        now = self._clock.now()
        plan = await plan_window(self._log, pointer, horizon=now - loop.reward_wait - self._limits.grace, limits=self._limits)
        return _Task(pointer, etag, loop, plan) if plan is not None and is_due(plan, pointer, loop, now=now) else None

    async def _stored(self) -> tuple[Pointer | None, str | None]:
        stored = await self._store.pointer()
        if stored is None:
            return None, None
        self._log.follow(stored[0].log)
        return stored

    async def _do(self, task: _Task) -> Commit:
        if task.plan is not None:
            return await self._step(task.plan, task.pointer, task.etag, task.loop)
        self._warm = _Warm()
        anew = await self._retrainer.run(task.pointer, task.etag, task.loop)
        self._warm = _Warm(anew.pointer.version, anew.learner)
        return Commit(anew.pointer, anew.pointer.learned)

    async def _step(self, plan: Plan, pointer: Pointer, etag: str | None, loop: LoopSettings) -> Commit:
        learner = await self._learner(pointer.version, loop)
        with collector_at_rest():
            work = await self._work(plan, pointer, learner, loop)
        new, kept = await together(
            self._write_model(plan, pointer, work, loop),
            self._figures.add(pointer, work.timeline, until=plan.until),
        )
        new = replace(new, figures=kept)
        await self._store.commit(new, expected=etag)
        self._warm = _Warm(new.version, learner)
        facts = {"loop": loop.name, "model_version": new.version, "watermark": new.watermark.isoformat(), "events": plan.decisions}
        logger.info("window committed", extra=facts | _counted(work.joined.counters) | asdict(work.figures))
        return Commit(new, work.joined.counters.learned)

    async def _read(self, plan: Plan, pointer: Pointer, loop: LoopSettings) -> Window:
        observations, opened = await together(  # in this order: they are the smaller part, opened while storage sends the larger
            self._observations(plan, loop),
            self._log.decisions([*plan.stragglers, *plan.fresh]),
        )
        uncounted = {head.key.name for head in plan.observations}
        due = [segment for segment in observations if segment.head.key.name in uncounted]
        horizon = REMEMBERED + loop.reward_wait + EARLY + self._limits.lookback
        sightings = await self._log.sightings(
            plan.since - horizon,
            plan.until + EARLY + self._limits.grace,
            event_ids(opened, due),
            opened=Opened(plan.since, plan.until, opened),
        )
        return Window(
            since=plan.since,
            until=plan.until,
            fresh=[segment for segment in opened if segment.head.key.sealed_at >= plan.since],
            stragglers=[segment for segment in opened if segment.head.key.sealed_at < plan.since],
            observations=observations,
            uncounted=uncounted,
            sightings=sightings,
            unknown=pointer.lookback.unknown,
        )

    async def _observations(self, plan: Plan, loop: LoopSettings) -> Sequence[Segment[Observation]]:
        """Open all that may belong to a decision of the window, and all that is to be counted."""
        early = plan.since - EARLY - 2 * self._limits.lookback
        segments = list(await self._log.observations_between(early, plan.until + loop.reward_wait + self._limits.grace))
        present = {segment.head.key.name for segment in segments}
        missing = [head for head in plan.observations if head.key.name not in present]
        return [*segments, *await self._log.observations(missing)]

    async def _learner(self, version: str, loop: LoopSettings) -> Learner:
        warm, self._warm = self._warm, _Warm()
        if not version:
            return beginner(loop)
        if warm.learner is not None and warm.version == version:
            return warm.learner
        return await asyncio.to_thread(artifact.load_learner, await self._store.state(version))

    async def _work(self, plan: Plan, pointer: Pointer, learner: Learner, loop: LoopSettings) -> _Work:
        """Do all that takes a window's events, so that none of them is left when it is done."""
        read = await self._read(plan, pointer, loop)
        joined = await asyncio.to_thread(join, read, loop=loop)
        text = await asyncio.to_thread(lines, joined.events)  # not beside the learner: the two would fight for the interpreter
        apprentice = pointer.apprentice.after(joined.events)
        chunk, content = await together(
            self._write_chunk(plan, pointer, text),
            asyncio.to_thread(self._learn, learner, joined.events),
        )
        span = Span(plan.until, self._clock.now(), loop.reward_wait + self._limits.grace)
        sums, timeline = await asyncio.to_thread(_figures, joined, span)
        return _Work(replace(joined, events=()), content, chunk, apprentice, sums, timeline)

    def _learn(self, learner: Learner, events: Sequence[JoinedEvent]) -> Content | None:
        batch = lessons(events, self._encoders.of(learner.interactions))
        if not len(batch):
            return None
        learner.learn(batch)
        return Content.of(learner)

    async def _write_chunk(self, plan: Plan, pointer: Pointer, text: bytes) -> str:
        """Write the window's lines under a name made from their content, which it gives; that of the chunk before if there are none."""
        if not text:
            return pointer.chunk
        chunk = await asyncio.to_thread(partial(compressed, text, after=pointer.chunk))
        name = str(ChunkName(pointer.log.generation, plan.since, plan.until, digest(chunk)))
        await self._store.write_chunk(name, chunk, parent=pointer.chunk)
        return name

    async def _write_model(self, plan: Plan, pointer: Pointer, work: _Work, loop: LoopSettings) -> Pointer:
        """Write state and model under a name made from their content, and give the pointer that will make them and the chunk count."""
        new = replace(
            pointer,
            sequence=pointer.sequence + 1,
            watermark=plan.until,
            chunk=work.chunk,
            counters=pointer.counters.plus(work.joined.counters),
            lookback=self._lookback(plan, pointer, work.joined),
            apprentice=work.apprentice,
        )
        if work.content is None:
            return new
        now, version = self._clock.now(), work.content.version(new.sequence)
        origin = pointer.origin if pointer.origin.at > EPOCH else replace(pointer.origin, at=now)
        provenance = Provenance(
            parent=pointer.version,
            since=plan.since,
            until=plan.until,
            chunk=work.chunk,
            learned=work.content.learned,
            settings=settings_text(loop),
            published_at=now,
            replaced=pointer.version or pointer.previous,
            origin=origin,
        )
        await write_version(self._store, version, work.content, provenance=provenance)
        return replace(new, version=version, published_at=now, learned=work.content.learned, previous="", origin=origin)

    def _lookback(self, plan: Plan, pointer: Pointer, joined: Joined) -> Lookback:
        first = plan.until - self._limits.lookback
        return Lookback(
            decisions=_still_behind(first, pointer.lookback.decisions, [*plan.fresh, *plan.stragglers]),
            observations=_still_behind(first, pointer.lookback.observations, plan.observations),
            unknown=joined.unknown,
        )


def _figures(joined: Joined, span: Span) -> tuple[Figures, Timeline]:
    columns = logged(joined.events)
    skipped = [event for event in joined.events if event.skip is not None]
    return figures(columns), window(columns, skipped, joined.counters, span)


def _still_behind(first: datetime, seen: frozenset[str], heads: Sequence[SegmentHead]) -> frozenset[str]:
    """Keep the names of the segments sealed from ``first`` on; a name begins with that time."""
    names = seen | {head.key.name for head in heads}
    return frozenset(name for name in names if name >= f"{to_micros(first):016d}")


def _counted(counters: Counters) -> dict[str, int]:
    return {
        "quarantined": counters.skipped.get(SkipReason.QUARANTINED, 0),
        "rewards": counters.rewards,
        "late_rewards": counters.late_rewards,
        "unknown_rewards": counters.unknown_rewards,
    }
