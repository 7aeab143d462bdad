"""A log of others, taken into a loop's joined log: its events become chunks, and the loop's model learns them, before it learns its own.

It is done as the trainer does it: chunks, then state and model, then the pointer in one conditional write, time and again. Stopped at any
step, what was committed stays; run again, it goes on behind that, since events that are there already are left out.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.clock import Clock, days_before
from shared.domain.errors import BusyError, ConflictError, InvalidRequestError
from shared.domain.events import JoinedEvent, LearningMode, Situation
from shared.domain.ledger import Pointer, Provenance
from shared.domain.loop import ApprenticeLearning, LoopSettings
from shared.domain.ports import EventLog, JoinedLog, LoopConfiguration, ModelStore
from shared.joining.chunks import ChunkName, compressed
from shared.joining.dsjson import lines
from shared.joining.foreign.reader import TERMS
from shared.joining.foreign.terms import Terms
from shared.joining.reading import read_lines
from shared.learning import artifact
from shared.learning.encoding import Encoder
from shared.learning.learner import Learner
from shared.services.importing.accounts import HowFar
from shared.services.importing.files import LogFile, LogReader
from shared.services.models.publishing import Content, beginner, beginning, digest, line_of, settings_text, write_version
from shared.services.process.concurrency import collector_at_rest, together
from shared.services.training.lessons import lessons

logger = logging.getLogger(__name__)

_PATIENCE: Final = 20
"""Seconds that the right to train is waited for: longer than a holder who died keeps it."""

_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Imported:
    """How far an import has come.

    ``apprentice`` tells how the policy would have done in the latest of the imported events of Apprentice mode.

    ``learned`` and ``skipped`` events were new; nothing is learned from the latter. ``repeated`` are left out since their event id (and
    slot) had come already. ``version`` is the model that was published last, "" if none was.
    """

    read: HowFar = field(default_factory=HowFar)
    learned: int = 0
    skipped: int = 0
    repeated: int = 0
    chunks: int = 0
    version: str = ""
    since: datetime | None = None
    until: datetime | None = None
    apprentice: ApprenticeMetrics = field(default_factory=ApprenticeMetrics)

    @property
    def events(self) -> int:
        """How many events are in the loop's log now that were not before."""
        return self.learned + self.skipped


@dataclass(frozen=True, slots=True)
class Pace:
    """How much goes into a chunk: a fifth of what was learned, but from ``first`` to ``events`` events, and how much into a commit.

    An evaluation scores a chunk by the model of all before it, so that the first ones have to be short.
    """

    first: int = 500
    events: int = 5_000
    bytes: int = 32 * 1024 * 1024
    commit: int = 50_000

    def chunk(self, learned: int) -> int:
        """Give the size of the next chunk.

        >>> [Pace().chunk(learned) for learned in (0, 4_000, 1_000_000)]
        [500, 800, 5000]
        """
        return min(max(self.first, learned // 5), self.events)


class EventIds:
    """Which events have come already: 8 bytes for each. They are known by id and slot and, if it ``is_exact``, time, choice and reward."""

    def __init__(self, *, is_exact: bool = False) -> None:
        self._fingerprint = _exact_fingerprint if is_exact else _fingerprint
        self._known: npt.NDArray[np.uint64] = np.empty(0, dtype=np.uint64)

    def fresh(self, events: Sequence[JoinedEvent]) -> list[bool]:
        """Tell which are new, the first of several alike; they are known from then on."""
        ids = np.array([self._fingerprint(event) for event in events], dtype=np.uint64)
        if not len(ids):
            return []
        unique, first = np.unique(ids, return_index=True)
        places = np.searchsorted(self._known, unique)
        is_new = np.ones(len(unique), dtype=bool)
        inside = places < len(self._known)
        is_new[inside] = self._known[places[inside]] != unique[inside]
        self._known = np.insert(self._known, places[is_new], unique[is_new])
        fresh = np.zeros(len(ids), dtype=bool)
        fresh[first[is_new]] = True
        return [bool(each) for each in fresh]

    def new(self, events: Sequence[JoinedEvent]) -> list[JoinedEvent]:
        """Give those that are new, as `fresh` tells."""
        return [event for event, is_one in zip(events, self.fresh(events), strict=True) if is_one]


class Importer:
    """Takes logs into one loop."""

    def __init__(
        self,
        log: EventLog,
        joined: JoinedLog,
        store: ModelStore,
        configuration: LoopConfiguration,
        *,
        clock: Clock,
        pace: Pace | None = None,
    ) -> None:
        self._log = log
        self._joined = joined
        self._store = store
        self._configuration = configuration
        self._clock = clock
        self._pace = pace or Pace()

    async def run(self, files: Sequence[LogFile], *, terms: Terms = TERMS, tell: Callable[[Imported], None] = lambda _: None) -> Imported:
        """Import these files, in this order, and say time and again how far that is; one that is damaged is left at that place.

        ``terms`` say how to take them; whether to imitate is the loop's to say.

        Raises `InvalidRequestError` for a loop that has learned events of its own, and for events older than its log is kept, `BusyError`
        when others commit at the same time, and as the ports. What was committed stays.
        """
        async with self._right_to_train():
            run = await self._begin(terms, tell)
            return await run.go(files)

    @asynccontextmanager
    async def _right_to_train(self) -> AsyncIterator[None]:
        for _ in range(_PATIENCE):
            async with self._store.lease() as is_mine:
                if is_mine:
                    yield
                    return
            await asyncio.sleep(1)
        raise BusyError("the trainer, or another import, is at work on this loop; try again when it is done")

    async def _begin(self, terms: Terms, tell: Callable[[Imported], None]) -> "_Run":
        stored, etag = await self._store.pointer() or (None, None)
        loop = await asyncio.to_thread(self._configuration.read)
        pointer = stored or await beginning(self._log, loop, clock=self._clock)
        if pointer.counters.processed:
            raise InvalidRequestError(
                f"the loop {loop.name} has learned from {pointer.counters.processed} events of its own; imported events have to come first:"
                " import into a new loop, and move its model over",
                target="loop",
            )
        known = EventIds()
        for name in await self._joined.chain():
            known.fresh(await asyncio.to_thread(_events, await self._joined.chunk(name)))
        state = _State(pointer, etag, loop, await self._learner(pointer, loop), terms)
        return _Run(self._store, self._clock, self._pace, state, known, tell)

    async def _learner(self, pointer: Pointer, loop: LoopSettings) -> Learner:
        if not pointer.version:
            return beginner(loop)
        return await asyncio.to_thread(artifact.load_learner, await self._store.state(pointer.version))


@dataclass(slots=True)
class _State:
    """What is committed (``pointer``), under the ``loop``'s settings, and what was learned since.

    That are ``waiting`` events, in the chunks from ``first`` to ``chunk``.
    """

    pointer: Pointer
    etag: str | None
    loop: LoopSettings
    learner: Learner
    terms: Terms
    chunk: str = ""
    first: str = ""
    waiting: int = 0
    since: datetime | None = None
    until: datetime | None = None
    apprentice: ApprenticeMetrics = field(default_factory=ApprenticeMetrics)

    def __post_init__(self) -> None:
        self.chunk, self.apprentice = self.pointer.chunk, self.pointer.apprentice


class _Run:
    """One import under way."""

    def __init__(
        self, store: ModelStore, clock: Clock, pace: Pace, state: _State, known: EventIds, tell: Callable[[Imported], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._pace = pace
        self._state = state
        self._known = known
        self._tell = tell
        self._encoder = Encoder(state.learner.interactions)
        self._reader = LogReader(
            now=clock.now(), encode=self._encoded, terms=replace(state.terms, imitates=_imitates(state.loop)), tell=self._read_on
        )
        self._done = Imported()

    async def go(self, files: Sequence[LogFile]) -> Imported:
        """Read, learn and commit."""
        async for batch in self._reader.batches(files, events=self._chunk, size=self._pace.bytes):
            await self._take(batch)
        await self._commit()
        return replace(self._done, read=self._reader.done)

    def _chunk(self) -> int:
        return self._pace.chunk(self._state.learner.learned)

    def _encoded(self, situation: Situation, action: int) -> bytes:
        return self._encoder.encode(situation).logged(action)

    def _read_on(self, read: HowFar) -> None:
        self._done = replace(self._done, read=read)
        self._tell(self._done)

    async def _take(self, read: Sequence[JoinedEvent]) -> None:
        """Write a chunk of what is new in it, and learn it."""
        new = await asyncio.to_thread(self._known.new, read)
        self._done = replace(self._done, read=self._reader.done, repeated=self._done.repeated + len(read) - len(new))
        if not new:
            return
        times = [event.decision.decided_at for event in new]
        since, until = min(times), max(times) + _TICK
        self._check_age(until)
        text = await asyncio.to_thread(lines, new)
        name, learned = await together(self._write_chunk(text, since, until, new), asyncio.to_thread(self._learn, new))
        self._note_chunk(name, since, until)
        self._done = replace(
            self._done,
            learned=self._done.learned + learned,
            skipped=self._done.skipped + len(new) - learned,
            chunks=self._done.chunks + 1,
            apprentice=self._done.apprentice.after(new),
        )
        self._state.apprentice = self._state.apprentice.after(new)
        self._state.waiting += len(new)
        if self._state.waiting >= self._pace.commit:
            await self._commit()
        self._tell(self._done)

    def _check_age(self, until: datetime) -> None:
        """Refuse what retention would delete: imported again, it would not be known to have been there."""
        days = self._state.loop.log_retention_days
        if days >= 0 and until < days_before(self._clock.now(), days):
            raise InvalidRequestError(
                f"the loop {self._state.loop.name} keeps its log for {days} days (logRetentionDays), and events of {until:%Y-%m-%d} are"
                f" older: run python -m cli config set logRetentionDays=-1 --loop {self._state.loop.name} --key KEY, which keeps the log"
                " for ever, and import again",
                target="logRetentionDays",
            )

    async def _write_chunk(self, text: bytes, since: datetime, until: datetime, events: Sequence[JoinedEvent]) -> str:
        parent = self._state.chunk
        data = await asyncio.to_thread(partial(compressed, text, after=parent))
        name = str(ChunkName(self._state.pointer.log.generation, since, until, digest(data)))
        learned = sum(event.skip is None for event in events)
        await self._store.write_chunk(name, data, parent=parent, learned=learned, events=len(events))
        return name

    def _learn(self, events: Sequence[JoinedEvent]) -> int:
        with collector_at_rest():
            batch = lessons(events, self._encoder, rewarded=self._state.learner.rewarded)
            if len(batch):
                self._state.learner.learn(batch)
        return len(batch)

    def _note_chunk(self, name: str, since: datetime, until: datetime) -> None:
        state = self._state
        state.chunk, state.first = name, state.first or name
        state.since = min(since, state.since or since)
        state.until = max(until, state.until or until)
        self._done = replace(self._done, since=min(since, self._done.since or since), until=max(until, self._done.until or until))

    async def _commit(self) -> None:
        """Publish what was learned since the last time; watermark and counters stay, since they tell of the loop's own events."""
        state = self._state
        if not state.waiting or state.since is None or state.until is None:
            return
        content = await asyncio.to_thread(Content.of, state.learner) if state.learner.learned else None
        new = replace(
            state.pointer,
            sequence=state.pointer.sequence + 1,
            chunk=state.chunk,
            resets=state.loop.resets,
            apprentice=state.apprentice,
            imported=state.pointer.imported + state.waiting,
        )
        if content is not None:
            new = await self._write_model(new, content, state.since, state.until)
        try:
            etag = await self._store.commit(new, expected=state.etag)
        except ConflictError as cause:
            raise BusyError("another commit came first. Events imported before it are kept. Import again to continue") from cause
        logger.info("log imported", extra={"loop": state.loop.name, "model_version": new.version, "learned": new.learned})
        state.pointer, state.etag, state.waiting, state.first, state.since, state.until = new, etag, 0, "", None, None
        self._done = replace(self._done, version=new.version)

    async def _write_model(self, new: Pointer, content: Content, since: datetime, until: datetime) -> Pointer:
        now, old, version = self._clock.now(), self._state.pointer, content.version(new.sequence)
        if old.version.endswith(f"-{content.digest}"):
            return new  # there was nothing to learn in these chunks
        origin = line_of(old, at=now)
        provenance = Provenance(
            parent=old.version,
            since=since,
            until=until,
            chunk=new.chunk,
            learned=content.learned,
            settings=settings_text(self._state.loop),
            published_at=now,
            replaced=old.version or old.previous,
            first=self._state.first,
            origin=origin,
        )
        await write_version(self._store, version, content, provenance=provenance)
        return replace(new, version=version, published_at=now, learned=content.learned, previous="", origin=origin)


def _imitates(loop: LoopSettings) -> bool:
    """Whether the loop would learn its own events of Apprentice mode by imitation; a model that knows rewards learns those of others."""
    return loop.learning_mode is LearningMode.APPRENTICE and loop.apprentice_learning is ApprenticeLearning.IMITATE


def _fingerprint(event: JoinedEvent) -> int:
    return _hashed(f"{event.decision.event_id}\0{event.decision.slot}")


def _exact_fingerprint(event: JoinedEvent) -> int:
    decision = event.decision
    return _hashed(f"{decision.event_id}\0{decision.slot}\0{decision.decided_at}\0{decision.chosen}\0{event.reward}")


def _hashed(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _events(text: bytes) -> list[JoinedEvent]:
    with collector_at_rest():
        return list(read_lines(text))
