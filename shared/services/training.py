"""The trainer: joins the window behind the watermark, learns it, and commits model and watermark in one conditional write.

Killed at any step it leaves either the old pointer, and the window is done again, or the new one, and it goes on from there.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.clock import EPOCH, Clock, TimeLimit, to_micros
from shared.domain.errors import ConflictError, PersonalizerError
from shared.domain.events import JoinedEvent, SkipReason
from shared.domain.ledger import LEFT_BEHIND, Counters, Lookback, Opened, Pointer, Provenance, SegmentHead
from shared.domain.loop import LoopSettings
from shared.domain.ports import EventLog, LoopConfiguration, ModelStore
from shared.joining.chunks import ChunkName, compressed_parts
from shared.joining.dsjson import parts_of_lines
from shared.joining.join import EARLY, REMEMBERED, Joined, Window, join, keys_of, marks_of
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
from shared.services.room import Room
from shared.services.windows import Limits, Plan, is_due

logger = logging.getLogger(__name__)

MAX_STEPS = 1_000
"""Of one turn; the next goes on from there."""

RUN_TIME = timedelta(minutes=4)
"""How long a run goes on beginning things, unless it is told."""

SLICE = timedelta(seconds=20)
"""How long a model is learned anew, at most, before that is written down and windows may have a turn: what a killed run loses."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What one step of the trainer committed."""

    pointer: Pointer
    learned: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What was committed in a turn, and whether that was all that there is to do now."""

    commits: Sequence[Commit]
    is_done: bool


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
        return self.plan is not None and not self.plan.is_cut and self.loop.resets == self.pointer.resets


@dataclass(slots=True)
class _Shares:
    """The seconds that windows and a model begun anew have had of a turn; whichever had less has its turn, if it has anything to do.

    ``failure`` is why the model is not gone on with in this turn: windows are not to wait for that.
    """

    windows: float = 0.0
    anew: float = 0.0
    failure: PersonalizerError | None = None

    def add(self, task: _Task, seconds: float) -> None:
        if task.plan is None:
            self.anew += seconds
        else:
            self.windows += seconds


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
        self._room = Room(log, store.attempts, limits)
        self._figures = FigureKeeper(store)
        self._retrainer = Retrainer(chunks, store, clock=clock)
        self._encoders = Encoders()
        self._warm = _Warm()

    async def run(self, limit: TimeLimit | None = None) -> list[Commit]:
        """Catch up, for as long as the limit lets (`RUN_TIME`); gives the commits made. Raises as `turn`."""
        return [*(await self.turn(limit or TimeLimit(RUN_TIME))).commits]

    async def turn(self, limit: TimeLimit) -> Turn:
        """Do what there is to do until the limit is over; what is begun then is brought to its end.

        Another trainer at work, or one that was faster, ends the turn without harm. Raises `StorageUnavailableError`,
        `NewerFormatError` or `UnreadableError`; what was committed stays.
        """
        commits: list[Commit] = []
        shares = _Shares()
        is_done = False
        for _ in range(MAX_STEPS):
            task = None if limit.is_over else await self._due(shares)
            if task is None:
                is_done = not limit.is_over
                break
            async with self._store.lease() as is_mine:
                if not is_mine:
                    logger.info("another trainer is at work")
                    is_done = True
                    break
                if (await self._stored())[1] != task.etag:
                    continue
                try:
                    commits += await self._do(task, shares, limit)
                except ConflictError:
                    logger.info("another commit came first; it stands and this run's work is dropped")
                    is_done = True
                    break
            if task.is_last:
                is_done = True
                break
        if shares.failure is not None:
            raise shares.failure
        return Turn(commits, is_done)

    async def standing(self) -> Standing:
        """Look how far it has come; raises as `run`."""
        pointer, _ = await self._stored()
        loop = await asyncio.to_thread(self._configuration.read)
        pointer, now = pointer or await beginning(self._log, loop, clock=self._clock), self._clock.now()
        lag = now - loop.reward_wait - self._limits.grace - pointer.watermark
        return Standing(max(lag, timedelta(0)), now - pointer.published_at if pointer.version else None)

    async def _due(self, shares: _Shares) -> _Task | None:
        pointer, etag = await self._stored()
        loop = await asyncio.to_thread(self._configuration.read)  # after the pointer, which followed no later settings than these
        pointer = pointer or await beginning(self._log, loop, clock=self._clock)
        anew = _Task(pointer, etag, loop, None) if loop.resets != pointer.resets and shares.failure is None else None
        if anew is not None and await self._goes_first(anew, shares):
            return anew
        now = self._clock.now()
        plan = await self._room.plan(pointer, horizon=now - loop.reward_wait - self._limits.grace)
        return _Task(pointer, etag, loop, plan) if plan is not None and is_due(plan, pointer, loop, now=now) else anew

    async def _goes_first(self, anew: _Task, shares: _Shares) -> bool:
        """Whether the model has its turn before windows; one that an earlier run has begun does not: windows stop for nothing in it."""
        if shares.windows == shares.anew:
            return not await self._retrainer.is_begun(anew.pointer, anew.loop)
        return shares.anew < shares.windows

    async def _stored(self) -> tuple[Pointer | None, str | None]:
        stored = await self._store.pointer()
        if stored is None:
            return None, None
        self._log.follow(stored[0].log)
        return stored

    async def _do(self, task: _Task, shares: _Shares, limit: TimeLimit) -> Sequence[Commit]:
        """Do what is due, and count how long that took; raises as `run`, but what is wrong with the model alone only at the turn's end."""
        began = limit.spent
        try:
            if task.plan is not None:
                async with self._room.taken(task.pointer):
                    return [await self._step(task.plan, task.pointer, task.etag, task.loop)]
            return await self._begin_anew(task, limit.within(SLICE))
        except ConflictError:
            raise
        except PersonalizerError as error:
            if task.plan is not None:
                raise
            shares.failure = error
            return []
        finally:
            shares.add(task, limit.spent - began)

    async def _begin_anew(self, task: _Task, limit: TimeLimit) -> Sequence[Commit]:
        """Go on with the model that is begun anew; gives its commit once it is published."""
        self._warm = _Warm()
        anew = await self._retrainer.run(task.pointer, task.etag, task.loop, limit=limit)
        if anew is None:
            return []
        self._warm = _Warm(anew.pointer.version, anew.learner)
        return [Commit(anew.pointer, anew.pointer.learned)]

    async def _step(self, plan: Plan, pointer: Pointer, etag: str | None, loop: LoopSettings) -> Commit:
        learner = None if loop.resets != pointer.resets else await self._learner(pointer.version, loop)
        with collector_at_rest():
            work = await self._work(plan, pointer, learner, loop)
        new, kept = await together(
            self._write_model(plan, pointer, work, loop),
            self._figures.add(pointer, work.timeline, until=plan.until),
        )
        new = replace(new, figures=kept)
        await self._store.commit(new, expected=etag)
        self._warm = _Warm(new.version, learner) if learner is not None else _Warm()
        facts = {"loop": loop.name, "model_version": new.version, "watermark": new.watermark.isoformat(), "events": plan.decisions}
        logger.info("window committed", extra=facts | _counted(work.joined.counters) | asdict(work.figures))
        return Commit(new, work.joined.counters.learned)

    async def _read(self, plan: Plan, pointer: Pointer, loop: LoopSettings) -> Window:
        opened = await self._log.decisions([*plan.stragglers, *plan.fresh])
        reports = await self._log.reports(
            plan.since - EARLY - 2 * self._limits.lookback,
            plan.until + loop.reward_wait + self._limits.grace,
            keys_of(opened),
            due=plan.observations,
            counted=pointer.lookback.unknown | pointer.lookback.late,
        )
        horizon = REMEMBERED + loop.reward_wait + EARLY + 2 * self._limits.lookback
        sightings = await self._log.sightings(
            plan.since - horizon,
            plan.until + EARLY + self._limits.grace,
            marks_of(opened, reports),
            opened=Opened(plan.since, plan.until, opened),
        )
        return Window(
            since=plan.since,
            until=plan.until,
            fresh=[segment for segment in opened if segment.head.key.sealed_at >= plan.since],
            stragglers=[segment for segment in opened if segment.head.key.sealed_at < plan.since],
            reports=reports,
            sightings=sightings,
            unknown=pointer.lookback.unknown,
            late=pointer.lookback.late,
            grace=self._limits.grace,
        )

    async def _learner(self, version: str, loop: LoopSettings) -> Learner:
        warm, self._warm = self._warm, _Warm()
        if not version:
            return beginner(loop)
        if warm.learner is not None and warm.version == version:
            return warm.learner
        return await asyncio.to_thread(artifact.load_learner, await self._store.state(version))

    async def _work(self, plan: Plan, pointer: Pointer, learner: Learner | None, loop: LoopSettings) -> _Work:
        """Do all that takes a window's events, so that none of them is left when it is done.

        While the model is begun anew there is no learner: that one will learn the window's chunk.
        """
        read = await self._read(plan, pointer, loop)
        joined = await asyncio.to_thread(join, read, loop=loop)
        chunk = await asyncio.to_thread(_chunk, joined.events, pointer.chunk)  # not beside the learner: the two fight for the interpreter
        apprentice = pointer.apprentice.after(joined.events)
        name, content = await together(
            self._write_chunk(plan, pointer, chunk),
            asyncio.to_thread(self._learn, learner, joined.events),
        )
        span = Span(plan.until, self._clock.now(), loop.reward_wait + self._limits.grace)
        sums, timeline = await asyncio.to_thread(_figures, joined, span)
        return _Work(replace(joined, events=()), content, name, apprentice, sums, timeline)

    def _learn(self, learner: Learner | None, events: Sequence[JoinedEvent]) -> Content | None:
        if learner is None:
            return None
        batch = lessons(events, self._encoders.of(learner.interactions))
        if not len(batch):
            return None
        learner.learn(batch)
        return Content.of(learner)

    async def _write_chunk(self, plan: Plan, pointer: Pointer, chunk: bytes) -> str:
        """Write the window's chunk under a name made from its content, which it gives; that of the chunk before if there is none."""
        if not chunk:
            return pointer.chunk
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
        if loop.resets != pointer.resets and work.joined.counters.learned:
            return replace(new, resets=LEFT_BEHIND)
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
            late=joined.late,
        )


def _chunk(events: Sequence[JoinedEvent], after: str) -> bytes:
    """Write the events as a chunk; as nothing if there are none."""
    return compressed_parts(parts_of_lines(events), after=after) if events else b""


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
