"""Files of a log of others, read one after another in batches of events; what cannot be read is counted and told, and stops nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.domain.errors import UnreadableError
from shared.domain.events import JoinedEvent
from shared.joining.foreign.reader import DsjsonReader, Encode
from shared.joining.splitting import MAX_LINE, LineSplitter
from shared.services.concurrency import collector_at_rest

MOST_TOLD: Final = 100
"""Lines that could not be read are told one by one; of more than these only the number."""

_AHEAD: Final = timedelta(days=1)
"""Clocks differ, and so do the zones of those who forgot theirs."""


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
    """A line that could not be read, and why; of a damaged file, all that follows."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class HowFar:
    """What was read: ``bytes`` as they are stored, ``lines`` that are not empty.

    ``thinned`` lines were logged with the remark that others were left out by chance. ``told`` are the first of the ``malformed`` ones.
    """

    files: int = 0
    bytes: int = 0
    lines: int = 0
    thinned: int = 0
    malformed: int = 0
    told: tuple[Malformed, ...] = ()


class LogReader:
    """Reads files; ``done`` tells how far it is. Memory is bounded by a batch."""

    def __init__(self, *, now: datetime, encode: Encode | None = None, tell: Callable[[HowFar], None] = lambda _: None) -> None:
        self.done = HowFar()
        self._now = now
        self._encode = encode
        self._tell = tell
        self._file = ""
        self._line = 0
        self._is_damaged = False
        self._reader = DsjsonReader(undated=now, encode=encode)
        self._batch: list[JoinedEvent] = []
        self._size = 0

    async def batches(self, files: Sequence[LogFile], *, events: Callable[[], int], size: int) -> AsyncIterator[list[JoinedEvent]]:
        """Give events in order, as many at a time as are asked for then, or fewer if their lines have ``size`` bytes; none is empty."""
        for file in files:
            async for full in self._full_batches(file, events, size):
                yield full
        if self._batch:
            yield self._taken()

    async def _full_batches(self, file: LogFile, events: Callable[[], int], size: int) -> AsyncIterator[list[JoinedEvent]]:
        """Read a file to its end, or to where it is damaged."""
        self._file, self._line, self._is_damaged = file.name, 0, False
        self._reader = DsjsonReader(undated=self._now, encode=self._encode)
        splitter = LineSplitter()
        async for block in file.blocks():
            self.done = replace(self.done, bytes=self.done.bytes + len(block))
            lines = splitter.feed(block)
            while await asyncio.to_thread(self._fill, lines, events(), size):
                yield self._taken()
            self._tell(self.done)
            if self._is_damaged:
                break
        else:
            lines = splitter.end()
            while await asyncio.to_thread(self._fill, lines, events(), size):
                yield self._taken()
        self.done = replace(self.done, files=self.done.files + 1)
        self._tell(self.done)

    def _taken(self) -> list[JoinedEvent]:
        batch, self._batch, self._size = self._batch, [], 0
        return batch

    def _fill(self, lines: Iterator[bytes], events: int, size: int) -> bool:
        """Read until the batch is full, and tell whether it is."""
        try:
            with collector_at_rest():
                for text in lines:
                    self._read(text)
                    if len(self._batch) >= events or self._size >= size:
                        return True
        except UnreadableError as error:
            self._line += 1
            self._is_damaged = True
            self._note(error)
        return False

    def _read(self, text: bytes) -> None:
        self._line += 1
        if not text.strip():
            return
        self.done = replace(self.done, lines=self.done.lines + 1)
        try:
            self._add(text)
        except UnreadableError as error:
            self._note(error)

    def _add(self, text: bytes) -> None:
        if len(text) > MAX_LINE:
            raise UnreadableError(f"the line is longer than {MAX_LINE >> 20} MiB")
        read = self._reader.read(text, self._line)
        if read.events[0].decision.decided_at > self._now + _AHEAD:
            raise UnreadableError("its Timestamp lies in the future")
        if read.is_thinned:
            self.done = replace(self.done, thinned=self.done.thinned + 1)
        self._batch.extend(read.events)
        self._size += len(text)

    def _note(self, error: UnreadableError) -> None:
        told = self.done.told
        if len(told) < MOST_TOLD:
            told = (*told, Malformed(self._file, self._line, str(error)))
        self.done = replace(self.done, malformed=self.done.malformed + 1, told=told)
