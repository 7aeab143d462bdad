"""Files of a log of others, read one after another in batches of events; what cannot be read is counted and told, and stops nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.domain.errors import NoLogError, UnreadableError
from shared.domain.events import JoinedEvent
from shared.joining.foreign.reader import TERMS, DsjsonReader, Encode, Told
from shared.joining.foreign.terms import Terms
from shared.joining.layout import Documents, check_beginning, check_line, is_beside, objects, tidied
from shared.joining.splitting import MAX_LINE, Line, LineSplitter
from shared.services.importing.accounts import FileAccount, HowFar
from shared.services.process.concurrency import collector_at_rest

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
        """Read it, a block at a time; raises `PersonalizerError`: `UnreadableError` if only this file cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class _Cut:
    """A line that ends too early: damaged, or the first of an indented object."""

    line: int
    text: bytes
    error: UnreadableError


class LogReader:
    """Reads files. Memory is bounded by a batch."""

    def __init__(
        self,
        *,
        now: datetime,
        encode: Encode | None = None,
        terms: Terms = TERMS,
        tell: Callable[[HowFar], None] = lambda _: None,
    ) -> None:
        self._done = HowFar()
        self._lines = 0
        self._now = now
        self._encode = encode
        self._terms = terms
        self._tell = tell
        self._batch: list[JoinedEvent] = []
        self._size = 0
        self._begin("")

    @property
    def done(self) -> HowFar:
        """How far it is."""
        return replace(self._done, lines=self._lines)

    def _begin(self, name: str) -> None:
        self._file = FileAccount(name)
        self._line = 0
        self._is_fresh = True
        self._is_over = False
        self._is_log = False
        self._cut: _Cut | None = None
        self._documents = Documents()
        self._reader = DsjsonReader(undated=self._now, encode=self._encode, terms=self._terms, name=name)

    async def batches(self, files: Sequence[LogFile], *, events: Callable[[], int], size: int) -> AsyncIterator[list[JoinedEvent]]:
        """Give events in order, as many at a time as are asked for then, or fewer if their lines have ``size`` bytes; none is empty."""
        for file in files:
            async for full in self._full_batches(file, events, size):
                yield full
        if self._batch:
            yield self._taken()

    async def _full_batches(self, file: LogFile, events: Callable[[], int], size: int) -> AsyncIterator[list[JoinedEvent]]:
        """Read a file to its end, or to where it is damaged or turns out to be no log."""
        self._begin(file.name)
        splitter = LineSplitter()
        try:
            async for block in file.blocks():
                self._done = replace(self._done, bytes=self._done.bytes + len(block))
                lines = splitter.feed(block)
                while await asyncio.to_thread(self._fill, lines, events(), size):
                    yield self._taken()
                self._tell(self.done)
                if self._is_over:
                    break
            else:
                lines = splitter.end()
                while await asyncio.to_thread(self._fill, lines, events(), size):
                    yield self._taken()
        except UnreadableError as error:
            self._note(error, self._line + 1)
        self._reader.end()
        while await asyncio.to_thread(self._fill, iter(()), events(), size):
            yield self._taken()
        self._end()
        self._tell(self.done)

    def _taken(self) -> list[JoinedEvent]:
        batch, self._batch, self._size = self._batch, [], 0
        return batch

    def _fill(self, lines: Iterator[Line], events: int, size: int) -> bool:
        """Read until the batch is full, and tell whether it is."""
        try:
            with collector_at_rest():
                while True:
                    for told in self._reader.told():
                        self._add(told)
                        if len(self._batch) >= events or self._size >= size:
                            return True
                    text = None if self._is_over else next(lines, None)
                    if text is None:
                        return False
                    self._read(text)
        except UnreadableError as error:
            self._line += 1
            self._is_over = True
            self._note(error, self._line)
        return False

    def _end(self) -> None:
        self._settle_cut()
        if (told := self._documents.end()) is not None:
            self._note(told, self._documents.began)
        self._done = self._done.with_file(self._file)

    def _read(self, text: Line) -> None:
        """Read a line; raises `UnreadableError` for the first of a file that is none of lines."""
        if isinstance(text, UnreadableError):
            self._line += 1
            self._lines += 1
            self._note(text, self._line)
            return
        if self._is_fresh and text.strip():
            check_beginning(text)
            self._is_fresh = False
        self._line += 1
        text = tidied(text)
        if not text.strip():
            return
        if self._is_of_document(text):
            return
        self._lines += 1
        try:
            self._take(text)
        except UnreadableError as error:
            self._read_apart(text, error)

    def _read_apart(self, text: bytes, error: UnreadableError) -> None:
        """Read the events of a line that is none by itself, if it holds several; the last of them may be cut off."""
        for number, each in enumerate(objects(text)):
            self._lines += number > 0
            try:
                if len(each) < len(text):
                    self._take(each)
                    continue
            except UnreadableError as cause:
                error = cause
            if each.startswith(b"{") and not each.rstrip().endswith(b"}"):
                self._cut = _Cut(self._line, each, error)
            else:
                self._note(error, self._line)

    def _is_of_document(self, text: bytes) -> bool:
        """Tell whether the line belongs to what stands on several lines, and say so of the file."""
        documents, cut = self._documents, self._cut
        if cut is not None and documents.goes_on(text):
            self._cut = None
            self._say(documents.open(cut.text, cut.line))
        elif cut is not None:
            self._settle_cut()
        if documents.has(text):
            self._say(documents.take(text))
        elif documents.begins(text, is_among_events=self._is_log):
            self._lines += 1
            self._say(documents.open(text, self._line))
        else:
            return False
        return True

    def _say(self, error: UnreadableError | None) -> None:
        if error is not None:
            self._note(error, self._documents.began)

    def _settle_cut(self) -> None:
        """Say of a line that ends too early that it cannot be read, since no other goes on with it."""
        if self._cut is not None:
            cut, self._cut = self._cut, None
            self._note(cut.error, cut.line)

    def _take(self, text: bytes) -> None:
        check_line(text, is_among_events=self._is_log)
        if len(text) > MAX_LINE:
            raise UnreadableError(f"the line is longer than {MAX_LINE >> 20} MiB")
        self._reader.take(text, self._line)
        self._is_log = True

    def _add(self, told: Told) -> None:
        """Take in what came of a line."""
        read = told.outcome
        if not isinstance(read, UnreadableError) and read.events[0].decision.decided_at > self._now + _AHEAD:
            read = UnreadableError("its Timestamp lies in the future")
        if isinstance(read, UnreadableError):
            self._note(read, told.number)
            return
        if read.is_thinned or read.is_apprentice:
            so_far = self._done
            self._done = replace(so_far, thinned=so_far.thinned + read.is_thinned, apprentice=so_far.apprentice + read.is_apprentice)
        for what in read.notes:
            self._file.note(what, told.number)
        self._file.read += 1
        self._batch.extend(read.events)
        self._size += told.size

    def _note(self, error: UnreadableError, number: int) -> None:
        """Count and tell what was passed over or refused; of a file that lies beside logs, and has no event, no more is read."""
        if not isinstance(error, NoLogError) and not self._is_log and is_beside(self._file.name):
            self._is_over = True
            error = NoLogError("one of the files that Azure keeps beside its logs")
        self._done = self._done.with_error(self._file, error, number)
