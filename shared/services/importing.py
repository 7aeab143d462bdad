"""A log of others, taken into a loop's joined log: its events become chunks, and the loop's model learns them, before it learns its own.

It is done as the trainer does it: chunks, then state and model, then the pointer in one conditional write, time and again. Stopped at any
step, what was committed stays; run again, it goes on behind that, since events that are there already are left out.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from shared.domain.clock import EPOCH, Clock
from shared.domain.errors import BusyError, ConflictError, InvalidRequestError, UnreadableError
from shared.domain.events import JoinedEvent
from shared.domain.ledger import Pointer, Provenance
from shared.domain.loop import LoopSettings
from shared.domain.ports import EventLog, JoinedLog, LoopConfiguration, ModelStore
from shared.joining.chunks import ChunkName, compressed
from shared.joining.dsjson import line
from shared.joining.foreign import DsjsonReader
from shared.joining.reading import read_lines
from shared.joining.splitting import MAX_LINE, LineSplitter
from shared.learning import artifact
from shared.learning.encoding import Encoder
from shared.learning.learner import Learner
from shared.services.concurrency import collector_at_rest, together
from shared.services.lessons import lessons
from shared.services.publishing import Content, beginner, beginning, digest, settings_text, write_version

logger = logging.getLogger(__name__)

MOST_TOLD: Final = 100
"""Lines that could not be read are told one by one; of more than these only the number."""

_PATIENCE: Final = 20
"""Seconds that the right to train is waited for: longer than a holder who died keeps it."""

_TICK: Final = timedelta(microseconds=1)


class LogFile(Protocol):
    """A file of a log, wherever it lies."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    @property
    def size(self) -> int:
        """Its bytes, as they are stored."""
        ...

    def blocks(self) -> AsyncIterator[bytes]:
        """Read it, a block at a time; raises `PersonalizerError` when it cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that could not be read, and why."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """How far an import has come.

    ``events`` are those that were new: learned, or kept as ones that nothing is learned from. ``repeated`` are left out since their
    event id (and slot) had come already. ``thinned`` were logged with the remark that others were left out by chance. ``version`` is the
    model that was published last, "" if none was.
    """

    files: int = 0
    bytes: int = 0
    lines: int = 0
    learned: int = 0
    skipped: int = 0
    repeated: int = 0
    thinned: int = 0
    malformed: int = 0
    told: tuple[Malformed, ...] = ()
    chunks: int = 0
    version: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def events(self) -> int:
        """How many events are in the loop's log now that were not before."""
        return self.learned + self.skipped

    def with_malformed(self, malformed: Malformed) -> "Imported":
        """Count a line that could not be read."""
        told = (*self.told, malformed) if len(self.told) < MOST_TOLD else self.told
        return replace(self, malformed=self.malformed + 1, told=told)


@dataclass(frozen=True, slots=True)
class Pace:
    """How much goes into a chunk, at most, and how many chunks into a commit."""

    events: int = 20_000
    bytes: int = 32 * 1024 * 1024
    chunks: int = 5


class EventIds:
    """Which events have come already: 8 bytes for each."""

    def __init__(self) -> None:
        self._known: npt.NDArray[np.uint64] = np.empty(0, dtype=np.uint64)

    def fresh(self, events: Sequence[JoinedEvent]) -> list[bool]:
        """Tell which are new, the first of several alike; they are known from then on."""
        ids = np.array([_fingerprint(event) for event in events], dtype=np.uint64)
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

    async def run(self, files: Sequence[LogFile], *, tell: Callable[[Imported], None] = lambda _: None) -> Imported:
        """Import these files, in this order, and say time and again how far that is; one that is damaged is left at that place.

        Raises `InvalidRequestError` for a loop that has learned events of its own, `BusyError` when others commit at the same time, and
        as the ports. What was committed stays.
        """
        async with self._right_to_train():
            run = await self._begin(tell)
            for file in files:
                await run.read(file)
            return await run.finish()

    @asynccontextmanager
    async def _right_to_train(self) -> AsyncIterator[None]:
        for _ in range(_PATIENCE):
            async with self._store.lease() as is_mine:
                if is_mine:
                    yield
                    return
            await asyncio.sleep(1)
        raise BusyError("the trainer, or another import, is at work on this loop; try again when it is done")

    async def _begin(self, tell: Callable[[Imported], None]) -> "_Run":
        stored, etag = await self._store.pointer() or (None, None)
        loop = await asyncio.to_thread(self._configuration.read)
        pointer = stored or await beginning(self._log, loop, clock=self._clock)
        if pointer.counters.processed:
            raise InvalidRequestError(
                f"the loop {loop.name} has learned from {pointer.counters.processed} events of its own; what is imported has to come first:"
                " import into a new loop, and move its model over",
                target="loop",
            )
        known = EventIds()
        for name in await self._joined.chain():
            known.fresh(await asyncio.to_thread(_events, await self._joined.chunk(name)))
        return _Run(self._store, self._clock, self._pace, _State(pointer, etag, loop, await self._learner(pointer, loop)), known, tell)

    async def _learner(self, pointer: Pointer, loop: LoopSettings) -> Learner:
        if not pointer.version:
            return beginner(loop)
        return await asyncio.to_thread(artifact.load_learner, await self._store.state(pointer.version))


@dataclass(slots=True)
class _State:
    """What is committed (``pointer``, and the ``loop``'s settings it follows), and what was learned since; ``chunk`` is the newest."""

    pointer: Pointer
    etag: str | None
    loop: LoopSettings
    learner: Learner
    chunk: str = ""
    chunks: int = 0
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        self.chunk = self.pointer.chunk


@dataclass(slots=True)
class _Source:
    """The file that is being read, and the line that it has come to."""

    file: LogFile
    reader: DsjsonReader
    line: int = 0
    is_damaged: bool = False


@dataclass(slots=True)
class _Batch:
    """Events that will be a chunk, and their lines."""

    events: list[JoinedEvent] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    bytes: int = 0

    def add(self, event: JoinedEvent) -> None:
        text = line(event)
        self.events.append(event)
        self.lines.append(text)
        self.bytes += len(text)

    def only(self, wanted: Sequence[bool]) -> "_Batch":
        kept = [(event, text) for event, text, is_wanted in zip(self.events, self.lines, wanted, strict=True) if is_wanted]
        return _Batch([event for event, _ in kept], [text for _, text in kept])


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
        self._batch = _Batch()
        self._done = Imported()
        self._latest = clock.now() + timedelta(days=1)
        self._began = clock.now()

    async def read(self, file: LogFile) -> None:
        """Read a file to its end, or to where it is damaged."""
        splitter = LineSplitter()
        reader = DsjsonReader(undated=self._began, encode=lambda asked, action: self._encoder.encode(asked).logged(action))
        self._source = _Source(file, reader)
        async for block in file.blocks():
            self._done = replace(self._done, bytes=self._done.bytes + len(block))
            await self._take(splitter.feed(block))
            self._tell(self._done)
            if self._source.is_damaged:
                break
        else:
            await self._take(splitter.end())
        self._done = replace(self._done, files=self._done.files + 1)
        self._tell(self._done)

    async def finish(self) -> Imported:
        """Commit what is left."""
        await self._flush()
        await self._commit()
        return self._done

    async def _take(self, lines: Iterator[bytes]) -> None:
        """Read these lines; wherever a chunk is full, it is learned first."""
        while await asyncio.to_thread(self._fill, lines):
            await self._flush()

    def _fill(self, lines: Iterator[bytes]) -> bool:
        """Read until a chunk is full, and tell whether it is."""
        try:
            with collector_at_rest():
                for text in lines:
                    self._read_line(text)
                    if len(self._batch.events) >= self._pace.events or self._batch.bytes >= self._pace.bytes:
                        return True
        except UnreadableError as error:  # not this line: the rest of the file
            self._source.line += 1
            self._source.is_damaged = True
            self._note(error)
        return False

    def _read_line(self, text: bytes) -> None:
        self._source.line += 1
        if not text.strip():
            return
        self._done = replace(self._done, lines=self._done.lines + 1)
        try:
            self._add(text)
        except UnreadableError as error:
            self._note(error)

    def _add(self, text: bytes) -> None:
        if len(text) > MAX_LINE:
            raise UnreadableError(f"the line is longer than {MAX_LINE >> 20} MiB")
        read = self._source.reader.read(text, self._source.line)
        if read.events[0].decision.decided_at > self._latest:
            raise UnreadableError("its Timestamp lies in the future")
        if read.is_thinned:
            self._done = replace(self._done, thinned=self._done.thinned + 1)
        for event in read.events:
            self._batch.add(event)

    def _note(self, error: UnreadableError) -> None:
        self._done = self._done.with_malformed(Malformed(self._source.file.name, self._source.line, str(error)))

    async def _flush(self) -> None:
        """Write a chunk of what was read and is new, and learn it."""
        read, self._batch = self._batch, _Batch()
        new = read.only(await asyncio.to_thread(self._known.fresh, read.events))
        self._done = replace(self._done, repeated=self._done.repeated + len(read.events) - len(new.events))
        if not new.events:
            return
        times = [event.decision.decided_at for event in new.events]
        since, until = min(times), max(times) + _TICK
        name, learned = await together(self._write_chunk(new, since, until), asyncio.to_thread(self._learn, new.events))
        self._note_chunk(name, since, until)
        self._done = replace(
            self._done,
            learned=self._done.learned + learned,
            skipped=self._done.skipped + len(new.events) - learned,
            chunks=self._done.chunks + 1,
        )
        if self._state.chunks >= self._pace.chunks:
            await self._commit()
        self._tell(self._done)

    async def _write_chunk(self, new: _Batch, since: datetime, until: datetime) -> str:
        parent = self._state.chunk
        data = await asyncio.to_thread(partial(compressed, b"".join(new.lines), after=parent))
        name = str(ChunkName(self._state.pointer.log.generation, since, until, digest(data)))
        await self._store.write_chunk(name, data, parent=parent)
        return name

    def _learn(self, events: Sequence[JoinedEvent]) -> int:
        with collector_at_rest():
            batch = lessons(events, self._encoder)
            if len(batch):
                self._state.learner.learn(batch)
        return len(batch)

    def _note_chunk(self, name: str, since: datetime, until: datetime) -> None:
        state = self._state
        state.chunk, state.chunks = name, state.chunks + 1
        state.since = min(since, state.since or since)
        state.until = max(until, state.until or until)
        self._done = replace(self._done, since=min(since, self._done.since or since), until=max(until, self._done.until or until))

    async def _commit(self) -> None:
        """Publish what was learned since the last time; watermark and counters stay, since they tell of the loop's own events."""
        state = self._state
        if not state.chunks or state.since is None or state.until is None:
            return
        content = await asyncio.to_thread(Content.of, state.learner) if state.learner.learned else None
        new = replace(state.pointer, sequence=state.pointer.sequence + 1, chunk=state.chunk, resets=state.loop.resets)
        if content is not None:
            new = await self._write_model(new, content, state.since, state.until)
        try:
            etag = await self._store.commit(new, expected=state.etag)
        except ConflictError as cause:
            raise BusyError("another commit came first; what was imported before it is there: import again to go on") from cause
        logger.info("log imported", extra={"loop": state.loop.name, "model_version": new.version, "learned": new.learned})
        state.pointer, state.etag, state.chunks, state.since, state.until = new, etag, 0, None, None
        self._done = replace(self._done, version=new.version)

    async def _write_model(self, new: Pointer, content: Content, since: datetime, until: datetime) -> Pointer:
        now, old, version = self._clock.now(), self._state.pointer, content.version(new.sequence)
        if old.version.endswith(f"-{content.digest}"):
            return new  # there was nothing to learn in these chunks
        origin = old.origin if old.origin.at > EPOCH else replace(old.origin, at=now)
        provenance = Provenance(
            parent=old.version,
            since=since,
            until=until,
            chunk=new.chunk,
            learned=content.learned,
            settings=settings_text(self._state.loop),
            published_at=now,
            replaced=old.version or old.previous,
            origin=origin,
        )
        await write_version(self._store, version, content, provenance=provenance)
        return replace(new, version=version, published_at=now, learned=content.learned, previous="", origin=origin)


def _fingerprint(event: JoinedEvent) -> int:
    key = f"{event.decision.event_id}\0{event.decision.slot}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")


def _events(text: bytes) -> list[JoinedEvent]:
    with collector_at_rest():
        return list(read_lines(text))
