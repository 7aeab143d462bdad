"""One append-only log: a table a day, a row a segment."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Generic, Protocol, TypeVar

from shared.domain.clock import EPOCH
from shared.domain.errors import StorageUnavailableError
from shared.domain.events import Decision, Observation
from shared.domain.ledger import LogEpoch, SegmentHead, SegmentKey
from shared.storage import names, queries
from shared.storage.appender import Appender, Limits
from shared.storage.clocks import LogClock
from shared.storage.failures import in_time
from shared.storage.ports import AbsentError, KeyRange, Row, Storage
from shared.storage.rows import KEY_COLUMNS, OpenedRow, gone, head, opened, own
from shared.storage.segments import MAX_BYTES, MAX_EVENTS, always_fits, approximate_bytes, check_size, encode

logger = logging.getLogger(__name__)

Event = TypeVar("Event", Decision, Observation)

LIMITS = Limits(batch_events=MAX_EVENTS, batch_bytes=MAX_BYTES, waiting_events=20_000, waiting_bytes=64 * 1024 * 1024)
_LARGE_BYTES = 256 * 1024
"""Of events, from which on they are encoded in a thread: less takes a millisecond or two, for which the calls beside it can wait."""
_READERS = 4
"""Partitions read at once."""
_MOVED_ROWS = 16
_AHEAD = timedelta(minutes=10)
"""How far ahead of storage's clock a row may be sealed: it is learned so much later."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Whose log it is, over how many partitions a minute is spread, and how long an append may take, waiting and retries included.

    ``generation`` is the log's first: a later one is told by the pointer. A writer that has not heard for longer than ``asks_after``
    whether the log was deleted asks before it acknowledges; it has to be below the time after which tables of a deleted log are dropped.
    ``grace`` is how far clocks may be apart at a deletion.
    """

    loop: str
    shards: int
    append_deadline: timedelta
    generation: int = 1
    asks_after: timedelta = timedelta(seconds=15)
    grace: timedelta = timedelta(seconds=30)


class Epochs(Protocol):
    """What says which generation is written and which are read."""

    @property
    def epoch(self) -> LogEpoch:
        """What this process knows of."""
        ...

    async def refresh(self) -> None:
        """Ask storage; raises `StorageUnavailableError`."""
        ...

    async def confirm(self) -> None:
        """Ask storage if that was not done lately; raises `StorageUnavailableError` when what was written just now may not stay."""
        ...


class HotLog(Generic[Event]):
    """Appends events of one kind and reads them back as segments."""

    def __init__(
        self,
        storage: Storage,
        *,
        kind: names.Kind,
        settings: LogSettings,
        clock: LogClock,
        decode: Callable[[Row], list[Event]],
        epochs: Epochs,
    ) -> None:
        self._time = storage.time
        self._stored = storage.rows
        self._kind = kind
        self._settings = settings
        self._clock = clock
        self._decode: Callable[[Row], list[Event]] = decode
        self._epochs = epochs
        self._writer = secrets.token_hex(4)
        self._shard = int(self._writer, 16) % settings.shards
        self._rows = 0
        self._newest = EPOCH
        self._floor = EPOCH
        self._row_under_way = asyncio.Lock()
        self._appender: Appender[Event] = Appender(self._write, size_of=approximate_bytes, limits=LIMITS, monotonic=self._time.monotonic)
        self._reading = asyncio.Semaphore(_READERS)

    # --- writing ---------------------------------------------------------------------------------------------------------

    async def append(self, events: Sequence[Event]) -> None:
        """Return once the events are stored, in one row; see `shared.domain.ports.EventLog`."""
        due = self._time.monotonic() + self._settings.append_deadline.total_seconds()
        if always_fits(events):
            check_size(events)
        else:
            await asyncio.to_thread(check_size, events)
        await self._appender.append(events, due=due)

    async def _write(self, appends: Sequence[Sequence[Event]]) -> None:
        """Store a batch in one row; raises `TooLargeError` if it does not fit."""
        events = [event for append in appends for event in append]
        size = sum(map(approximate_bytes, events))
        columns = encode(events) if size < _LARGE_BYTES else await asyncio.to_thread(encode, events)
        async with self._row_under_way:
            sealed_at = self._newest = max(self._clock.now(), self._floor, *map(_time, events))
            self._rows += 1
            name = names.RowName(
                sealed_at,
                self._writer,
                self._rows,
                count=len(events),
                rewards=sum(map(_is_reward, events)),
                size=size,
            )
            key = {"PartitionKey": names.partition(sealed_at, self._shard), "RowKey": str(name)}
            self._check_sealed(sealed_at)
            async with in_time("append to the log", deadline=self._settings.append_deadline):
                with self._time.sending_within(self._settings.append_deadline):
                    generation = await self._put({**key, **columns}, sealed_at)
                self._check_sealed(sealed_at)
                await self._settle({**key, **columns}, sealed_at, generation)

    async def _settle(self, row: Row, sealed_at: datetime, generation: int) -> None:
        """See to it that a row stays (`shared.storage.epochs`): it is written again where it belongs if the log was deleted meanwhile."""
        await self._epochs.confirm()
        epoch = self._epochs.epoch
        if epoch.generation == generation:
            return
        if sealed_at < epoch.since:
            raise StorageUnavailableError("the log was deleted meanwhile")
        await self._put(row, sealed_at)

    async def _put(self, row: Row, sealed_at: datetime) -> int:
        """Write the row under its own unique key, and tell to which generation; again, after an answer that was lost, changes nothing.

        Without a table it is the day's first row, or the log was deleted: which of them it is has to be known before one is made.
        """
        generation = self._epochs.epoch.generation  # another thread may follow a later one meanwhile
        try:
            await self._stored.put(self._name(generation, sealed_at.date()), row)
        except AbsentError:
            await self._epochs.refresh()
            generation = self._epochs.epoch.generation
            await self._put_in_new(self._name(generation, sealed_at.date()), row)
        return generation

    async def _put_in_new(self, table: str, row: Row) -> None:
        await self._stored.create(table)
        try:
            await self._stored.put(table, row)
        except AbsentError as cause:
            raise StorageUnavailableError("a table of the log was dropped as soon as it was made") from cause

    def _check_sealed(self, sealed_at: datetime) -> None:
        """Refuse a row that the trainer may look for before it is there, or that nobody looks for in a foreseeable time.

        Raises `StorageUnavailableError`: nobody is told that the row is stored, so nothing acknowledged is lost with it. It is neither
        deleted nor sealed anew: a trainer may have opened it, and without it among the sightings a repeated call, or its second copy,
        would be learned again. As it stands, a trainer that still comes by counts it, and what repeats its decisions is a duplicate.
        """
        if self._clock.earliest() - sealed_at > self._settings.append_deadline:
            raise StorageUnavailableError("the row came too late to be sure to be learned")
        if sealed_at - self._clock.latest() > _AHEAD:
            raise StorageUnavailableError("this instance's clock was ahead of storage's, which is known only now")

    @property
    def newest(self) -> datetime:
        """When this process sealed its newest row."""
        return self._newest

    def seal_from(self, at: datetime) -> None:
        """Seal no row earlier than this from now on."""
        self._floor = max(self._floor, at)

    async def newest_from(self, at: datetime) -> datetime | None:
        """Tell the time of the newest row that was sealed at this time or later, as far as days have tables that are read."""
        until = datetime.combine(at.date() + timedelta(days=2), time(), tzinfo=at.tzinfo)
        newest = None
        async for minute in self.heads(at, until):
            newest = minute[-1].key.sealed_at
        return newest

    async def row_under_way(self) -> None:
        """Return once the row that is being written, if there is one, is stored or has failed."""
        async with self._row_under_way:
            return

    async def create_table(self, day: datetime) -> None:
        """Make the day's table ahead of its first row."""
        await self._stored.create(self.table_name(day))

    async def move(self, table: names.DayTable, *, since: datetime) -> int:
        """Copy what was sealed from then on to the table that is written now, and tell how many rows; again changes nothing."""
        moved = 0
        async for row in self._query(table.name, queries.sealed_on(table.day, since), page=_MOVED_ROWS):
            ours = own(row)
            if ours is None:
                logger.error("a row of the log has the keys of no segment and is not moved", extra={"row": row["RowKey"]})
                continue
            await self._put(ours, head(row).key.sealed_at)
            moved += 1
        return moved

    async def is_written(self, table: names.DayTable, *, since: datetime) -> bool:
        """Whether a row of this table was sealed from then on."""
        rows = self._query(table.name, queries.sealed_on(table.day, since), select=KEY_COLUMNS)
        return await anext(rows, None) is not None

    # --- reading ---------------------------------------------------------------------------------------------------------

    async def heads(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SegmentHead]]:
        """List segments without opening them, a minute at a time, in sealed order."""
        minute = ""
        heads: list[SegmentHead] = []
        async for row in self.rows(since, until, select=KEY_COLUMNS):
            if names.minute(row["PartitionKey"]) != minute:
                if heads:
                    yield sorted(heads, key=_key)
                minute, heads = names.minute(row["PartitionKey"]), []
            heads.append(head(row))
        if heads:
            yield sorted(heads, key=_key)

    async def ranges(self, since: datetime, until: datetime) -> AsyncIterator[queries.Range]:
        """Cut ``[since, until)`` into ranges of an hour at most, each of which one query may bring."""
        cut = queries.Range(since, until)
        async for minute in self.heads(since, until):
            for each in minute:
                if cut.is_full_with(each):
                    yield replace(cut, until=each.key.sealed_at)
                    cut = queries.Range(each.key.sealed_at, until)
                cut = cut.plus(each)
        yield cut

    async def rows(
        self, since: datetime, until: datetime, *, select: list[str] | None = None, page: int = queries.MOST_ROWS
    ) -> AsyncIterator[Row]:
        """Read the rows sealed in ``[since, until)``, minute by minute; within a minute in the order of the shards.

        Each is there once. What has no place in the log, or a place outside of that time by one of its keys, is none of them.
        """
        epoch = self._epochs.epoch
        for day in queries.days(since, until):
            parts = []
            for generation in queries.generations(epoch, day.date()):
                first = max(day, since if generation == epoch.generation else max(since, epoch.since))
                if first < (last := min(until, day + queries.DAY)):
                    table = self._name(generation, day.date())
                    parts.append(self._query(table, queries.sealed_between(first, last), select=select, page=page))
            async for row in queries.merged(parts):
                if max(since, day) <= head(row).key.sealed_at < min(until, day + queries.DAY):
                    yield row

    async def open(self, heads: Sequence[SegmentHead]) -> Sequence[OpenedRow[Event]]:
        """Read and decode these segments: one for each."""
        ordered = sorted(heads, key=lambda each: (each.key.partition, each.key))
        runs = [run for _, group in groupby(ordered, key=lambda each: each.key.partition) for run in queries.runs(group)]
        tasks = [asyncio.create_task(self._open_run(run)) for run in runs]
        try:
            segments = [segment for run in tasks for segment in await run]
        finally:
            for task in tasks:
                task.cancel()
        return sorted(segments, key=lambda each: each.segment.head.key)

    async def _open_run(self, heads: Sequence[SegmentHead]) -> list[OpenedRow[Event]]:
        epoch, day = self._epochs.epoch, heads[0].key.sealed_at.date()
        wanted = {each.key.name: each.key for each in heads}
        chosen = queries.named(heads)
        found: dict[str, Row] = {}
        async with self._reading:
            for generation in queries.generations(epoch, day):
                async for row in self._query(self._name(generation, day), chosen, page=len(heads) + 1):
                    key = wanted.get(row["RowKey"])
                    if key is not None and (generation == epoch.generation or key.sealed_at >= epoch.since):
                        found[key.name] = row
        return [self.decode(found[each.key.name]) if each.key.name in found else self._told(gone(each)) for each in heads]

    def decode(self, row: Row) -> OpenedRow[Event]:
        """Open one row."""
        return self._told(opened(row, self._decode))

    def _told(self, each: OpenedRow[Event]) -> OpenedRow[Event]:
        if each.damage:
            logger.error("a segment of the log is damaged", extra={"row": each.segment.head.key.name, "damage": each.damage})
        return each

    async def _query(
        self, table: str, chosen: KeyRange, *, select: list[str] | None = None, page: int = queries.MOST_ROWS
    ) -> AsyncIterator[Row]:
        async for rows in self._stored.read(table, chosen, select=select, page=min(page, queries.MOST_ROWS)):
            for row in rows:
                yield row

    def table_name(self, day: datetime) -> str:
        """Name the table that this day's rows are written to."""
        return self._name(self._epochs.epoch.generation, day.date())

    def _name(self, generation: int, day: date) -> str:
        return names.DayTable(self._settings.loop, generation, self._kind, day).name


def _key(segment_head: SegmentHead) -> SegmentKey:
    return segment_head.key


def _time(event: Decision | Observation) -> datetime:
    return event.decided_at if isinstance(event, Decision) else event.observed_at


def _is_reward(event: Decision | Observation) -> bool:
    return isinstance(event, Observation) and not event.is_activation
