"""A model learned anew: from nothing and the joined log, under the settings that are in force now.

How far back it learns is `reach`'s to say: as much as the model before it knew, unless the loop's owner has set a number of days.

The model before it serves on until the new one is published, in one conditional write. That may take many runs of the trainer: what was
learned is kept in a checkpoint, and the next run goes on from there, to the bytes that one run would have come to.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.domain.checkpoint import AnewProgress, Checkpoint
from shared.domain.clock import EARLIEST, Clock, TimeLimit, days_before, to_micros
from shared.domain.errors import ConflictError, NewerFormatError, PersonalizerError, StorageUnavailableError, UnreadableError
from shared.domain.ledger import Link, ModelKind, Origin, Pointer, Provenance
from shared.domain.loop import LoopSettings
from shared.domain.ports import ModelStore
from shared.joining.chunks import ChunkName
from shared.joining.reading import read_lines
from shared.joining.rejoin import rejoin
from shared.learning.artifact import dump_state, load_learner
from shared.learning.encoding import Encoders
from shared.learning.learner import Learner
from shared.learning.sizes import bytes_in
from shared.services.models.publishing import Content, beginner, learned_anew, settings_text, write_version
from shared.services.process.concurrency import collector_at_rest
from shared.services.process.sharing import Shared
from shared.services.training.lessons import Lessons

logger = logging.getLogger(__name__)

REWARDS: Final = ("reward_wait", "default_reward", "reward_aggregation")
"""The settings that say what an event has earned."""

MOST_BEHIND: Final = 100
"""Chunks that a learner that was begun may be behind the newest, to go on with."""

MOST_AHEAD: Final = 20_000
"""Names of chunks that a checkpoint holds, some 30 bytes each; what comes after them is looked for when they are done."""

WARY_AFTER: Final = 2
"""Processes that took up a checkpoint and came no further: what one learns from then on is written down chunk by chunk."""

GIVEN_UP_AFTER: Final = 12
"""And after so many the next chunk is left out: it must be what they died of."""

_MOST_REMEMBERED: Final = 100_000
"""Chunks whose place is remembered while the log is gone back through, a day at a time."""


class Chunks(Protocol):
    """The joined log; raises as `shared.domain.ports.ModelStore` does."""

    async def chunks(self) -> Mapping[str, str]:
        """Tell of each chunk which one was before it ("": it was the first); some belong to no commit."""
        ...

    async def beside(self, name: str) -> Mapping[str, Link]:
        """Tell the places of this chunk and of those whose windows began on the same day, if they are there."""
        ...

    async def chunk(self, name: str) -> bytes:
        """Read a chunk's lines; raises `UnreadableError` when it is not there or not what its name says."""
        ...


@dataclass(frozen=True, slots=True)
class Studied:
    """What came of a chunk."""

    learned: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Anew:
    """What was published, with its learner, to go on from."""

    pointer: Pointer
    learner: Learner


@dataclass(frozen=True, slots=True)
class Begun:
    """The state of a learner that learned all chunks from ``first`` to ``last`` from nothing, under the reward settings of ``loop``."""

    state: bytes
    first: str
    last: str
    rewards: LoopSettings


@dataclass(slots=True)
class Way:
    """The chunks on the way back to ``end``, where it was left: the oldest of them in order, and how many there are in all.

    ``learned`` counts the events that teach something in all of them but ``uncounted`` chunks, which do not say.
    """

    ahead: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_AHEAD))
    count: int = 0
    learned: int = 0
    uncounted: int = 0
    end: str = ""

    def take(self, link: Link) -> None:
        """Go on behind the chunk at the end."""
        self.ahead.append(self.end)  # of more than fit, the newest go
        self.count += 1
        self.learned += link.learned or 0
        self.uncounted += link.learned is None
        self.end = link.parent


IsWanted = Callable[[str, Link, Way], bool]
"""Whether a chunk is wanted, of this name and at this place, behind those that are on the way already."""


@dataclass(slots=True)
class _Course:
    """A model on its way: the learner, as it stands behind ``reached``, and the rest as in `Checkpoint`, with the ETag that has."""

    learner: Learner
    purpose: str
    progress: AnewProgress
    first: str = ""
    reached: str = ""
    ahead: deque[str] = field(default_factory=deque)
    tries: int = 0
    etag: str | None = None

    def pass_(self, *, is_read: bool) -> None:
        """Be done with the next chunk, learned or left out."""
        name = self.ahead.popleft()
        done, left_out = self.progress.done + 1, self.progress.left_out + (not is_read)
        self.progress = replace(self.progress, done=done, left_out=left_out, learned=self.learner.learned)
        self.reached = name
        if is_read and not self.first:
            self.first = name

    def head_for(self, way: Way) -> None:
        """Take what was found ahead."""
        self.ahead = way.ahead
        self.progress = replace(self.progress, chunks=self.progress.done + way.count)

    def is_over(self, newest: str) -> bool:
        """Whether all is learned up to the newest chunk."""
        return not self.ahead and self.reached == newest

    def checkpoint(self) -> Checkpoint:
        """Write it down. Raises `UnreadableError` for a learner that could not be read back: better now than time and again."""
        state = dump_state(self.learner)
        load_learner(state)
        return Checkpoint(self.progress, self.purpose, self.first, self.reached, tuple(self.ahead), state, self.tries)

    @staticmethod
    def of(kept: Checkpoint, etag: str) -> "_Course":
        """Take up what was written down; raises as `load_learner`."""
        learner, ahead = load_learner(kept.state), deque(kept.ahead)
        return _Course(learner, kept.purpose, kept.progress, kept.first, kept.reached, ahead, kept.tries, etag)


class Retrainer:
    """Begins a loop's model anew."""

    def __init__(self, log: Chunks, store: ModelStore, *, clock: Clock) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._course: _Course | None = None
        self.sharing(Shared())

    def sharing(self, shared: Shared) -> None:
        """Keep what is kept at hand within what all loops of the process share; to be said before it is used."""
        self._encoders = shared.encoders
        self._learners = shared.learners
        self.used_at = self._learners.monotonic()

    def close(self) -> None:
        """Keep nothing at hand any more."""
        self._keep(None)

    def let_go(self) -> int:
        """Do likewise, for other loops to have the room: the checkpoint has it all."""
        self._course = None
        return 0

    def _keep(self, course: _Course | None) -> None:
        self._course, self.used_at = course, self._learners.monotonic()
        self._learners.hold(self, 0 if course is None else bytes_in(course.learner))

    async def is_begun(self, pointer: Pointer, loop: LoopSettings) -> bool:
        """Tell whether an earlier run has begun what `run` would go on with; raises as that does."""
        course = self._course
        if course is not None:
            return course.purpose == purpose(pointer, loop)
        try:
            progress = await self._store.checkpoints.progress()
        except UnreadableError:
            return True  # something was; what is the matter with it is told when it is read
        return progress is not None and progress.resets == loop.resets

    async def run(self, pointer: Pointer, etag: str | None, loop: LoopSettings, *, limit: TimeLimit | None = None) -> Anew | None:
        """Learn, for as long as the limit lets, and publish what is learned up to the newest chunk; None if it is not that far yet.

        Watermark and counters stay, since they tell of the log. One chunk at a time is in memory; one at least is learned. Raises
        `ConflictError` when another commit came first, or another run was at the same model, and as the log and the store do.
        """
        course = await self._taken_up(purpose(pointer, loop)) or await self._begun(pointer, loop)
        try:
            await self._learn(course, pointer, loop, TimeLimit(timedelta(0)) if course.tries > WARY_AFTER else limit)
        except ConflictError:
            raise
        except PersonalizerError:
            await self._excuse(course)
            raise
        course.tries = 0
        far = course.progress
        logger.info("retraining", extra={"loop": loop.name, "chunk": far.done, "chunks": far.chunks, "learned": far.learned})
        if not course.is_over(pointer.chunk):
            await self._save(course)
            self._keep(course)
            return None
        new = await self._write(pointer, loop, course.learner, first=course.first)
        await self._store.commit(new, expected=etag)
        logger.info("model retrained", extra={"model_version": new.version, "learned": new.learned, "resets": new.resets})
        await self._drop(course)
        return Anew(new, course.learner)

    async def go_on(self, begun: Begun, pointer: Pointer, etag: str | None, loop: LoopSettings) -> Anew | None:
        """Go on with a learner that was begun, to the newest chunk, and publish it, as if it had been begun anew with its first chunk.

        None, and nothing is done, where that cannot be: its chunks are not before the newest, there are too many behind it, one that is
        begun anew would learn older ones as well, or rewards are others now. Raises as `run`.
        """
        if any(getattr(begun.rewards, name) != getattr(loop, name) for name in REWARDS):
            return None
        if not await self._is_far_enough(begun, pointer, loop):
            return None
        way = await way_back(self._log, pointer.chunk, lambda name, _, way: name != begun.last and way.count < MOST_BEHIND)
        if way.end != begun.last:
            return None
        learner = await asyncio.to_thread(load_learner, begun.state)
        if learner.interactions != beginner(loop).interactions:
            return None
        for name in way.ahead:
            await self._study(learner, name, pointer, loop)
        new = await self._write(pointer, loop, learner, first=begun.first)
        await self._store.commit(new, expected=etag)
        logger.info("model of an evaluation published", extra={"model_version": new.version, "learned": new.learned})
        return Anew(new, learner)

    async def _is_far_enough(self, begun: Begun, pointer: Pointer, loop: LoopSettings) -> bool:
        """Whether no chunk from before its first one would be learned if the model were begun anew."""
        way = await way_back(self._log, pointer.chunk, reach(pointer, loop, now=self._clock.now()))
        return way.count <= MOST_AHEAD and begun.first not in [*way.ahead][1:]

    # --- one model on its way -------------------------------------------------------------------------------------------

    async def _taken_up(self, wanted: str) -> _Course | None:
        """Give what this process, or else the checkpoint, has of the model that is wanted; what is of no use is deleted."""
        course = self._course
        self._keep(None)  # whatever fails, what was kept in memory is not gone on with
        if course is not None and course.purpose == wanted:
            return course
        try:
            stored = await self._store.checkpoints.read()
            if stored is not None and stored[0].purpose == wanted:
                return await self._tried_again(await asyncio.to_thread(_Course.of, *stored))
        except NewerFormatError:
            raise
        except UnreadableError as error:
            logger.error("the retraining begins again from its first chunk: %s", error)
            await self._store.checkpoints.delete()
        else:
            if stored is not None:
                await self._store.checkpoints.delete(expected=stored[1])
        return None

    async def _tried_again(self, course: _Course) -> _Course:
        """Note that a process takes it up, lest what kills one is taken on for ever; with what killed too many it is done."""
        if course.tries >= GIVEN_UP_AFTER and course.ahead:
            facts = {"chunk": course.ahead[0], "tries": course.tries}
            logger.error("a chunk is left out of the new model: every process that came to it died", extra=facts)
            course.pass_(is_read=False)
            course.tries = 0
        course.tries += 1
        await self._save(course)
        return course

    async def _begun(self, pointer: Pointer, loop: LoopSettings) -> _Course:
        """Begin: find the chunks that are to be learned, and note them, so that they stay the same ones however long it takes."""
        now = self._clock.now()
        course = _Course(beginner(loop), purpose(pointer, loop), AnewProgress(loop.resets, now, chunks=0, done=0, learned=0))
        if loop.model_retrain_days or not loop.retrains_last_days:
            course.head_for(await way_back(self._log, pointer.chunk, reach(pointer, loop, now=now)))
        if course.ahead:
            course.tries = 1
            await self._save(course)
        else:
            course.reached = pointer.chunk
        return course

    async def _learn(self, course: _Course, pointer: Pointer, loop: LoopSettings, limit: TimeLimit | None) -> None:
        """Learn chunk by chunk; ends at the newest, or with the chunk after which the time is over."""
        while not course.is_over(pointer.chunk):
            if not course.ahead:
                course.head_for(await self._way_since(course.reached, pointer.chunk))
            if course.ahead:
                course.pass_(is_read=await self._study(course.learner, course.ahead[0], pointer, loop))
            else:  # retention was there first
                course.reached = pointer.chunk
            if limit is not None and limit.is_over:
                return

    async def _way_since(self, reached: str, newest: str) -> Way:
        return await way_back(self._log, newest, lambda name, _, __: name != reached)

    async def _study(self, learner: Learner, name: str, pointer: Pointer, loop: LoopSettings) -> bool:
        """Learn a chunk, and tell whether it could be read; one that could not is left out, and said to be."""
        try:
            text = await self._log.chunk(name)
            with collector_at_rest():
                await asyncio.to_thread(study, learner, text, self._encoders, loop=loop)
        except UnreadableError as error:
            stored = await self._store.pointer()
            if stored is None or stored[0].log != pointer.log:
                raise ConflictError("the log was deleted meanwhile") from error
            logger.error("a chunk is left out of the new model: %s", error, extra={"chunk": name})
            return False
        return True

    async def _excuse(self, course: _Course) -> None:
        """Note that whoever took it up has not died: it tells why it comes no further, as when storage is away. What was learned stays."""
        course.tries = 0
        try:
            await self._save(course)
        except PersonalizerError as error:
            logger.warning("the checkpoint of a retraining could not be written: %s", error)

    async def _save(self, course: _Course) -> None:
        course.etag = await self._store.checkpoints.write(await asyncio.to_thread(course.checkpoint), expected=course.etag)

    async def _drop(self, course: _Course) -> None:
        """Delete the checkpoint of a model that is published; where that fails, retention does it."""
        if course.etag is None:
            return
        try:
            await self._store.checkpoints.delete(expected=course.etag)
        except StorageUnavailableError as error:
            logger.warning("a checkpoint that nobody needs any more is left to retention: %s", error)

    async def _write(self, pointer: Pointer, loop: LoopSettings, learner: Learner, *, first: str) -> Pointer:
        """Write what was learned, if anything was, and give the pointer that will publish it."""
        now, sequence, replaced = self._clock.now(), pointer.sequence + 1, pointer.version or pointer.previous
        new = without_model(pointer, at=now, resets=loop.resets)
        if not learner.learned:
            return new
        content = await asyncio.to_thread(Content.of, learner)
        version = content.version(sequence)
        told = settings_text(loop)
        origin = Origin(version, pointer.chunk, now, (learned_anew(first, pointer.chunk, told),))
        provenance = Provenance(
            parent="",
            since=ChunkName.parse(first).since,
            until=ChunkName.parse(pointer.chunk).until,
            chunk=pointer.chunk,
            learned=content.learned,
            settings=told,
            kind=ModelKind.RETRAINED,
            published_at=now,
            replaced=replaced,
            first=first,
            origin=origin,
        )
        await write_version(self._store, version, content, provenance=provenance)
        return replace(new, version=version, learned=content.learned, previous="", origin=origin)


def without_model(pointer: Pointer, *, at: datetime, resets: int) -> Pointer:
    """Give the pointer that takes the model away: what is learned next is learned from nothing."""
    return replace(
        pointer,
        sequence=pointer.sequence + 1,
        version="",
        published_at=at,
        learned=0,
        previous=pointer.version or pointer.previous,
        resets=resets,
        origin=Origin("", pointer.chunk, at),
    )


def purpose(pointer: Pointer, loop: LoopSettings) -> str:
    """Tell what a model that is begun anew is for: what it learns, under which settings, and the model that it is to take the place of.

    That one serves on meanwhile; when its owner puts another in its place, the model is not wanted any more.
    """
    told = {
        "resets": loop.resets,
        "reward_wait": loop.reward_wait.total_seconds(),
        "default_reward": loop.default_reward,
        "reward_aggregation": loop.reward_aggregation,
        "interactions": beginner(loop).interactions.text(),
        "generation": pointer.log.generation,
        "replaces": pointer.version or pointer.previous,
        "published": to_micros(pointer.published_at),
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def reach(pointer: Pointer, loop: LoopSettings, *, now: datetime) -> IsWanted:
    """Tell which chunks a model that is begun anew now learns again.

    Where the loop's owner has set `LoopSettings.model_retrain_days`, those whose windows ended within these days. Otherwise as many events
    as the model knows that the pointer names, or these days, whichever is more; all that are kept where the log was imported. A chunk that
    does not say how many events it has counts as none. What retention is about to delete is not learned again, whichever comes first.
    """
    since = days_before(now, loop.model_retrain_days)
    kept_since = EARLIEST if loop.log_retention_days < 0 else days_before(now, loop.log_retention_days)

    def is_wanted(name: str, link: Link, way: Way) -> bool:
        if ChunkName.parse(name).until < kept_since:
            return False
        if loop.model_retrain_days and ChunkName.parse(name).until > since:
            return True
        if loop.retrains_last_days:
            return False
        return bool(pointer.imported) or link.learned is None or way.learned < pointer.learned

    return is_wanted


async def way_back(log: Chunks, newest: str, is_wanted: IsWanted) -> Way:
    """Go back from the newest chunk, as far as they are there and wanted, and give the way from there on.

    Lists no more of the log than the days that these chunks are of.
    """
    way, known, seen = Way(end=newest), dict[str, Link](), set[str]()
    while way.end and way.end not in seen:
        if way.end not in known:
            if len(known) > _MOST_REMEMBERED:
                known.clear()
            known.update(await log.beside(way.end))
        if way.end not in known or not is_wanted(way.end, known[way.end], way):
            break
        seen.add(way.end)
        way.take(known[way.end])
    way.ahead.reverse()
    return way


def study(learner: Learner, text: bytes, encoders: Encoders, *, loop: LoopSettings | None = None) -> Studied:
    """Learn a chunk's lines as one window: as they were decided then, or under the reward settings of ``loop``.

    One line at a time is read. Raises `UnreadableError`, before anything of it is learned.
    """
    taken, count = Lessons(encoders.of(learner.interactions), rewarded=learner.rewarded), 0
    for event in read_lines(text):
        taken.add(event if loop is None else rejoin(event, loop))
        count += 1
    batch = taken.batch()
    if len(batch):
        learner.learn(batch)
    return Studied(learned=len(batch), skipped=count - len(batch))
