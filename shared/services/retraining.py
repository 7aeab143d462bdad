"""A model learned anew: from nothing, and the chunks of the last days, under the settings that are in force now.

The model before it serves on until the new one is published, in one conditional write; stopped before that, it is begun again.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from shared.domain.clock import Clock, days_before
from shared.domain.errors import UnreadableError
from shared.domain.ledger import ModelKind, Origin, Pointer, Provenance
from shared.domain.loop import LoopSettings
from shared.domain.ports import ModelStore
from shared.joining.chunks import ChunkName
from shared.joining.reading import read_lines
from shared.joining.rejoin import rejoin
from shared.learning.artifact import load_learner
from shared.learning.encoding import Encoders
from shared.learning.learner import Learner
from shared.services.concurrency import collector_at_rest
from shared.services.lessons import lessons
from shared.services.publishing import Content, beginner, settings_text, write_version

logger = logging.getLogger(__name__)

REWARDS: Final = ("reward_wait", "default_reward", "reward_aggregation")
"""The settings that say what an event has earned."""

MOST_BEHIND: Final = 100
"""Chunks that a learner that was begun may be behind the newest, to go on with."""


class Chunks(Protocol):
    """The joined log; raises as `shared.domain.ports.ModelStore` does."""

    async def chunks(self) -> Mapping[str, str]:
        """Tell of each chunk which one was before it ("": it was the first); some belong to no commit."""
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


class Retrainer:
    """Begins a loop's model anew."""

    def __init__(self, log: Chunks, store: ModelStore, *, clock: Clock) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._encoders = Encoders()

    async def run(self, pointer: Pointer, etag: str | None, loop: LoopSettings) -> Anew:
        """Learn and publish; watermark and counters stay, since they tell of the log. One chunk at a time is in memory.

        Raises `ConflictError` when another commit came first, and as the log and the store do.
        """
        names = recent(pointer.chunk, await self._log.chunks(), since=days_before(self._clock.now(), loop.model_retrain_days))
        learner = await self._learn(names if loop.model_retrain_days else (), loop)
        new = await self._write(pointer, loop, learner, first=names[0] if names else "")
        await self._store.commit(new, expected=etag)
        logger.info("model begun anew", extra={"model_version": new.version, "learned": new.learned, "resets": new.resets})
        return Anew(new, learner)

    async def go_on(self, begun: Begun, pointer: Pointer, etag: str | None, loop: LoopSettings) -> Anew | None:
        """Go on with a learner that was begun, to the newest chunk, and publish it, as if it had been begun anew with its first chunk.

        None, and nothing is done, where that cannot be: its chunks are not before the newest, there are too many behind it, or rewards
        are others now. Raises as `run`.
        """
        names = behind(begun.last, pointer.chunk, await self._log.chunks())
        if names is None or len(names) > MOST_BEHIND or any(getattr(begun.rewards, name) != getattr(loop, name) for name in REWARDS):
            return None
        learner = await asyncio.to_thread(load_learner, begun.state)
        if learner.interactions != beginner(loop).interactions:
            return None
        learner = await self._learn(names, loop, learner)
        new = await self._write(pointer, loop, learner, first=begun.first)
        await self._store.commit(new, expected=etag)
        logger.info("model of an evaluation published", extra={"model_version": new.version, "learned": new.learned})
        return Anew(new, learner)

    async def _learn(self, names: Sequence[str], loop: LoopSettings, learner: Learner | None = None) -> Learner:
        """Learn these chunks, from nothing or with a learner; one that cannot be used is left out, and said to be."""
        learner = learner or beginner(loop)
        for number, name in enumerate(names, start=1):
            try:
                text = await self._log.chunk(name)
                with collector_at_rest():
                    await asyncio.to_thread(study, learner, text, self._encoders, loop=loop)
            except UnreadableError as error:
                logger.error("a chunk is left out of the new model: %s", error, extra={"chunk": name})
            logger.info("learning anew", extra={"chunk": number, "chunks": len(names), "learned": learner.learned})
        return learner

    async def _write(self, pointer: Pointer, loop: LoopSettings, learner: Learner, *, first: str) -> Pointer:
        """Write what was learned, if anything was, and give the pointer that will publish it."""
        now, sequence, replaced = self._clock.now(), pointer.sequence + 1, pointer.version or pointer.previous
        new = without_model(pointer, at=now, resets=loop.resets)
        if not learner.learned:
            return new
        content = await asyncio.to_thread(Content.of, learner)
        version = content.version(sequence)
        origin = Origin(version, pointer.chunk, now)
        provenance = Provenance(
            parent="",
            since=ChunkName.parse(first).since,
            until=pointer.watermark,
            chunk=pointer.chunk,
            learned=content.learned,
            settings=settings_text(loop),
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


def recent(newest: str, parents: Mapping[str, str], *, since: datetime) -> list[str]:
    """Give the chunks of windows that ended after ``since``, back from the newest as far as there are any, oldest first.

    >>> chunk = "2026/05/17/1-{}-ab.json.gz".format
    >>> recent(chunk(30), {chunk(30): chunk(20), chunk(20): chunk(10), chunk(10): ""}, since=ChunkName.parse(chunk(10)).until)
    ['2026/05/17/1-20-ab.json.gz', '2026/05/17/1-30-ab.json.gz']
    """
    found: dict[str, None] = {}
    name = newest
    while name in parents and name not in found and ChunkName.parse(name).until > since:
        found[name] = None
        name = parents[name]
    return [*reversed(found)]


def behind(last: str, newest: str, parents: Mapping[str, str]) -> list[str] | None:
    """Give the chunks that came after ``last``, oldest first; None if the newest does not lead back to it.

    >>> behind("a", "c", {"c": "b", "b": "a", "a": ""}), behind("a", "a", {"a": ""}), behind("x", "c", {"c": "b", "b": ""})
    (['b', 'c'], [], None)
    """
    found: dict[str, None] = {}
    name = newest
    while name != last:
        if name not in parents or name in found:
            return None
        found[name] = None
        name = parents[name]
    return [*reversed(found)]


def study(learner: Learner, text: bytes, encoders: Encoders, *, loop: LoopSettings | None = None) -> Studied:
    """Learn a chunk's lines as one window: as they were decided then, or under the reward settings of ``loop``.

    Raises `UnreadableError`, before anything of it is learned.
    """
    events = [event if loop is None else rejoin(event, loop) for event in read_lines(text)]
    batch = lessons(events, encoders.of(learner.interactions))
    if len(batch):
        learner.learn(batch)
    return Studied(learned=len(batch), skipped=len(events) - len(batch))
