"""One window, from its segments to its commit: joined, told of, written as a chunk, learned, published.

Killed at any step it leaves either the old pointer, and the window is done again, or the new one.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta

from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.attempt import NOTED
from shared.domain.clock import Clock
from shared.domain.events import Decision, EventKey, JoinedEvent, SkipReason
from shared.domain.ledger import LEFT_BEHIND, Counters, Opened, Pointer, Provenance, Reports, Segment, Sighting
from shared.domain.lookback import Lookback
from shared.domain.loop import LoopSettings
from shared.domain.ports import EventLog, ModelStore
from shared.joining.chunks import ChunkName, compressed_parts
from shared.joining.dsjson import parts_of_lines
from shared.joining.join import EARLY, REMEMBERED, Joined, Window, join, keys_of, marks_of
from shared.learning import artifact
from shared.learning.encoding import Batch, Encoders
from shared.learning.learner import Learner
from shared.learning.sizes import bytes_in
from shared.services.breakdowns.keeping import BreakdownKeeper
from shared.services.breakdowns.window import Breakdown, broken_down
from shared.services.figures.keeping import FigureKeeper
from shared.services.figures.logged import logged
from shared.services.figures.sums import Figures, figures
from shared.services.figures.timeline import Timeline
from shared.services.figures.trial import Tried
from shared.services.figures.window import Span, window
from shared.services.models.publishing import Content, beginner, digest, line_of, settings_text, write_version
from shared.services.process.concurrency import collector_at_rest, give_memory_back, together
from shared.services.process.sharing import Shared
from shared.services.training.lessons import lessons
from shared.services.training.lookbacks import LookbackKeeper
from shared.services.training.windows import Limits, Plan

logger = logging.getLogger(__name__)

_ORDINARY_WAIT = timedelta(hours=2)
"""With a longer one, thousands of calls of storage may look through it: what they leave behind has to be collected meanwhile."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What one step of the trainer committed."""

    pointer: Pointer
    learned: int


@dataclass(frozen=True, slots=True)
class _Extract:
    """What is left of a window's events when it was joined: ``batch`` is what is learned of them (None: nothing), ``chunk`` their lines.

    ``events`` counts those lines.
    """

    counters: Counters
    unknown: frozenset[str]
    late: frozenset[str]
    apprentice: ApprenticeMetrics
    figures: Figures
    timeline: Timeline
    breakdown: Breakdown
    batch: Batch | None
    chunk: bytes
    events: int


@dataclass(frozen=True, slots=True)
class _Work:
    """What a window came to: ``chunk`` names its chunk, which is written, and ``content`` is None if nothing was learned."""

    extract: _Extract
    content: Content | None
    chunk: str


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What the next window has to know, and the number of rewards that there was no room for."""

    lookback: Lookback
    forgotten: int


@dataclass(slots=True)
class _Warm:
    """The learner as it was committed last, so that a warm trainer need not load it; dropped before it is changed.

    It is there while `Shared.learners` has room for it: its state in storage is the truth.
    """

    version: str = ""
    learner: Learner | None = field(default=None)


class Stepper:
    """Does one loop's windows, one after another."""

    def __init__(self, log: EventLog, store: ModelStore, lookbacks: LookbackKeeper, *, clock: Clock, limits: Limits) -> None:
        self._log = log
        self._store = store
        self._lookbacks = lookbacks
        self._clock = clock
        self._limits = limits
        self._warm = _Warm()
        self.sharing(Shared())

    def sharing(self, shared: Shared) -> None:
        """Keep what is kept at hand within what all loops of the process share; to be said before it is used."""
        self._figures = FigureKeeper(self._store, shared.logs)
        self._breakdowns = BreakdownKeeper(self._store, shared.logs)
        self._encoders = shared.encoders
        self._learners = shared.learners
        self.used_at = self._learners.monotonic()

    def take_up(self, version: str, learner: Learner) -> None:
        """Go on with this learner from the model of this version."""
        self._keep(_Warm(version, learner))

    def forget(self) -> None:
        """Load the learner when it is needed again."""
        self._keep(_Warm())

    def close(self) -> None:
        """Keep nothing any more."""
        self.forget()
        self._figures.close()
        self._breakdowns.close()

    def let_go(self) -> int:
        """Do likewise, for other loops to have the room."""
        self._warm = _Warm()
        return 0

    def _keep(self, warm: _Warm) -> None:
        self._warm, self.used_at = warm, self._learners.monotonic()
        self._learners.hold(self, 0 if warm.learner is None else bytes_in(warm.learner))

    async def step(self, plan: Plan, pointer: Pointer, etag: str | None, loop: LoopSettings) -> Commit:
        """Do the window of the plan and commit it, if the pointer's ETag is still this.

        Raises `ConflictError` when another commit came first, and as the log and the store do.
        """
        learner = None if loop.resets != pointer.resets else await self._learner(pointer.version, loop)
        with collector_at_rest() if loop.reward_wait <= _ORDINARY_WAIT else nullcontext():
            work = await self._work(plan, pointer, learner, loop)
        remembered = self._remembered(plan, work.extract)
        (new, (kept, breakdown)), lookback = await together(
            together(self._write_model(plan, pointer, work, loop), self._write_figures(plan, pointer, work.extract)),
            self._lookbacks.keep(pointer, remembered.lookback),
        )
        counters = replace(new.counters, forgotten_rewards=new.counters.forgotten_rewards + remembered.forgotten)
        new = replace(new, figures=kept, breakdown=breakdown, lookback=lookback, counters=counters)
        await self._store.commit(new, expected=etag)
        if plan.size > NOTED:
            await asyncio.to_thread(give_memory_back)
        self._keep(_Warm(new.version, learner) if learner is not None else _Warm())
        facts = {"loop": loop.name, "model_version": new.version, "watermark": new.watermark.isoformat(), "events": plan.decisions}
        logger.info("window committed", extra=facts | _counted(work.extract.counters) | asdict(work.extract.figures))
        return Commit(new, work.extract.counters.learned)

    async def _read(self, plan: Plan, loop: LoopSettings) -> Window:
        opened = await self._log.decisions([*plan.stragglers, *plan.fresh])
        reports = await self._reports(plan, loop, keys_of(opened))
        sightings = await self._sightings(plan, loop, marks_of(opened, reports), opened)
        return Window(
            since=plan.since,
            until=plan.until,
            fresh=[segment for segment in opened if segment.head.key.sealed_at >= plan.since],
            stragglers=[segment for segment in opened if segment.head.key.sealed_at < plan.since],
            reports=reports,
            sightings=sightings,
            unknown=plan.lookback.unknown,
            late=plan.lookback.late,
            grace=self._limits.grace,
        )

    async def _reports(self, plan: Plan, loop: LoopSettings, keys: AbstractSet[EventKey]) -> Reports:
        """Look through the observations, unless nothing is to be found in them: an idle loop need not go over all of its wait."""
        counted = plan.lookback.unknown | plan.lookback.late
        if not (keys or plan.observations or counted):
            return Reports()
        return await self._log.reports(
            plan.since - EARLY - 2 * self._limits.lookback,
            plan.until + loop.reward_wait + self._limits.grace,
            keys,
            due=plan.observations,
            counted=counted,
        )

    async def _sightings(
        self, plan: Plan, loop: LoopSettings, marks: AbstractSet[int], opened: Sequence[Segment[Decision]]
    ) -> Mapping[int, Sequence[Sighting]]:
        """Look through whose decisions there are, unless none is asked for."""
        horizon = REMEMBERED + loop.reward_wait + EARLY + 2 * self._limits.lookback
        if not marks:
            return {}
        return await self._log.sightings(
            plan.since - horizon,
            plan.until + EARLY + self._limits.grace,
            marks,
            opened=Opened(plan.since, plan.until, opened),
        )

    async def _learner(self, version: str, loop: LoopSettings) -> Learner:
        warm = self._warm
        self.forget()
        if not version:
            return beginner(loop)
        if warm.learner is not None and warm.version == version:
            return warm.learner
        return await asyncio.to_thread(artifact.load_learner, await self._store.state(version))

    async def _work(self, plan: Plan, pointer: Pointer, learner: Learner | None, loop: LoopSettings) -> _Work:
        """Write the window's chunk and learn what is in it; its events are gone by then.

        While the model is begun anew there is no learner: that one will learn the window's chunk.
        """
        extract = await self._extracted(plan, pointer, learner, loop)
        chunk, content = await together(
            self._write_chunk(plan, pointer, extract),
            asyncio.to_thread(_learn, learner, extract.batch),
        )
        return _Work(replace(extract, batch=None, chunk=b""), content, chunk)

    async def _extracted(self, plan: Plan, pointer: Pointer, learner: Learner | None, loop: LoopSettings) -> _Extract:
        read = await self._read(plan, loop)
        span = Span(plan.until, self._clock.now(), loop.reward_wait + self._limits.grace)
        handed_over = [read]
        del read  # who has to hold a window's events holds them alone: what is done with goes
        return await asyncio.to_thread(self._extract, handed_over, pointer, span, learner, loop)

    def _extract(self, read: list[Window], pointer: Pointer, span: Span, learner: Learner | None, loop: LoopSettings) -> _Extract:
        """Do all that takes a window's events, one thing after another: two would fight for the interpreter.

        Takes the window out of the list, and lets go of each event when its lines are written.
        """
        joined = join(read.pop(), loop=loop)
        sums, timeline, breakdown = _figures(joined, span, loop.breakdown_feature)
        batch = None if learner is None else _lessons(learner, joined.events, self._encoders)
        apprentice = pointer.apprentice.after(joined.events)
        events, count, joined = deque(joined.events), len(joined.events), replace(joined, events=())
        chunk = compressed_parts(parts_of_lines(_let_go(events)), after=pointer.chunk) if events else b""
        return _Extract(joined.counters, joined.unknown, joined.late, apprentice, sums, timeline, breakdown, batch, chunk, count)

    async def _write_chunk(self, plan: Plan, pointer: Pointer, extract: _Extract) -> str:
        """Write the window's chunk under a name made from its content, which it gives; that of the chunk before if there is none."""
        if not extract.chunk:
            return pointer.chunk
        name = str(ChunkName(pointer.log.generation, plan.since, plan.until, digest(extract.chunk)))
        await self._store.write_chunk(name, extract.chunk, parent=pointer.chunk, learned=extract.counters.learned, events=extract.events)
        return name

    async def _write_model(self, plan: Plan, pointer: Pointer, work: _Work, loop: LoopSettings) -> Pointer:
        """Write state and model under a name made from their content, and give the pointer that will make them and the chunk count."""
        new = replace(
            pointer,
            sequence=pointer.sequence + 1,
            watermark=plan.until,
            chunk=work.chunk,
            counters=pointer.counters.plus(work.extract.counters),
            apprentice=work.extract.apprentice,
        )
        if loop.resets != pointer.resets and work.extract.counters.learned:
            return replace(new, resets=LEFT_BEHIND)
        if work.content is None:
            return new
        now, version = self._clock.now(), work.content.version(new.sequence)
        origin = line_of(pointer, at=now)
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

    async def _write_figures(self, plan: Plan, pointer: Pointer, extract: _Extract) -> tuple[str, str]:
        """Write live figures and breakdown with the window's, and give the names that the new pointer is to have for them."""
        return await together(
            self._figures.add(pointer, extract.timeline, until=plan.until),
            self._breakdowns.add(pointer, extract.breakdown, until=plan.until),
        )

    def _remembered(self, plan: Plan, found: _Extract) -> _Remembered:
        """Put together what the next window has to know of this one and of those before it, as far as there is room for that."""
        first, most = plan.until - self._limits.lookback, self._limits.max_remembered
        decisions, observations = (
            seen.plus([head.key.name for head in heads if head.key.sealed_at >= first], first=first)
            for seen, heads in (
                (plan.lookback.decisions, [*plan.fresh, *plan.stragglers]),
                (plan.lookback.observations, plan.observations),
            )
        )
        forgotten = max(len(found.unknown) + len(found.late) - most, 0)
        if forgotten:
            newest = sorted([*found.unknown, *found.late])[forgotten:]
            logger.warning(
                "too many rewards are late or unknown; the oldest are forgotten and stay counted as they are", extra={"rewards": forgotten}
            )
            found = replace(found, unknown=found.unknown.intersection(newest), late=found.late.intersection(newest))
        if max(len(decisions), len(observations)) > most:
            logger.error("there are too many segments behind the watermark; events that arrive among the oldest are not learned")
        lookback = Lookback(decisions.at_most(most), observations.at_most(most), found.unknown, found.late)
        return _Remembered(lookback, forgotten)


def _lessons(learner: Learner, events: Sequence[JoinedEvent], encoders: Encoders) -> Batch:
    return lessons(events, encoders.of(learner.interactions), rewarded=learner.rewarded)


def _learn(learner: Learner | None, batch: Batch | None) -> Content | None:
    if learner is None or batch is None or not len(batch):
        return None
    learner.learn(batch)
    return Content.of(learner)


def _let_go(events: deque[JoinedEvent]) -> Iterator[JoinedEvent]:
    while events:
        yield events.popleft()


def _figures(joined: Joined, span: Span, feature: str) -> tuple[Figures, Timeline, Breakdown]:
    columns = logged(joined.events)
    skipped = [event for event in joined.events if event.skip is not None]
    return (
        figures(columns),
        window(columns, skipped, joined.counters, span, Tried.of(joined.events)),
        broken_down(joined.events, columns, feature),
    )


def _counted(counters: Counters) -> dict[str, int]:
    return {
        "quarantined": counters.skipped.get(SkipReason.QUARANTINED, 0),
        "rewards": counters.rewards,
        "late_rewards": counters.late_rewards,
        "unknown_rewards": counters.unknown_rewards,
    }
