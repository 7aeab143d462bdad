"""One append-only log in Table storage: a table a day, a row a segment."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Any, Generic, TypeVar

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.domain.clock import Clock
from shared.domain.errors import UnreadableError
from shared.domain.events import Decision, Observation
from shared.domain.ledger import Segment, SegmentHead, SegmentKey
from shared.storage import names
from shared.storage.appender import Appender, Limits
from shared.storage.failures import storage_failures
from shared.storage.segments import MAX_BYTES, MAX_EVENTS, TooLargeError, approximate_bytes, check_size, encode

logger = logging.getLogger(__name__)

Event = TypeVar("Event", Decision, Observation)

LIMITS = Limits(batch_events=MAX_EVENTS, batch_bytes=MAX_BYTES, waiting_events=20_000, waiting_bytes=64 * 1024 * 1024)
KEY_COLUMNS = ["PartitionKey", "RowKey"]
"""All that it takes to list segments: their names tell the rest."""
_READERS = 4
"""Partitions read at once."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Whose log it is, over how many partitions a minute is spread, and how long an append may take, retries included."""

    loop: str
    shards: int
    append_deadline: timedelta
    generation: int = 1


class HotLog(Generic[Event]):
    """Appends events of one kind and reads them back as segments."""

    def __init__(
        self,
        tables: Callable[[], TableServiceClient],
        *,
        kind: names.Kind,
        settings: LogSettings,
        clock: Clock,
        decode: Callable[[Row], list[Event]],
        limits: Limits = LIMITS,
    ) -> None:
        self._service = tables
        self._kind = kind
        self._settings = settings
        self._clock = clock
        self._decode: Callable[[Row], list[Event]] = decode
        self._writer = secrets.token_hex(4)
        self._shard = int(self._writer, 16) % settings.shards
        self._rows = 0
        self._clients: dict[date, TableClient] = {}
        self._appender: Appender[Event] = Appender(self._write, size_of=approximate_bytes, limits=limits)
        self._reading = asyncio.Semaphore(_READERS)

    # --- writing ---------------------------------------------------------------------------------------------------------

    async def append(self, events: Sequence[Event]) -> None:
        """Return once the events are stored, in one row; see `shared.domain.ports.EventLog`."""
        check_size(events)
        await self._appender.append(events)

    async def _write(self, appends: Sequence[Sequence[Event]]) -> None:
        events = [event for append in appends for event in append]
        try:
            columns = encode(events)
        except TooLargeError:
            middle = len(appends) // 2  # each append fits by itself: check_size saw to it
            await self._write(appends[:middle])
            await self._write(appends[middle:])
            return
        sealed_at = max(self._clock.now(), *map(_time, events))
        self._rows += 1
        name = names.RowName(sealed_at, self._writer, self._rows, count=len(events), rewards=sum(map(_is_reward, events)))
        key = {"PartitionKey": names.partition(sealed_at, self._shard), "RowKey": str(name)}
        async with storage_failures("append to the log", deadline=self._settings.append_deadline):
            await self._put(self._table(sealed_at), {**key, **columns})

    async def _put(self, table: TableClient, row: Row) -> None:
        """Write the row under its own unique key: doing so again, after an answer that was lost, changes nothing."""
        try:
            await table.upsert_entity(row, mode=UpdateMode.REPLACE)
        except ResourceNotFoundError:  # the day's first row
            await self._create(table)
            await table.upsert_entity(row, mode=UpdateMode.REPLACE)

    async def create_table(self, day: datetime) -> None:
        """Make the day's table ahead of its first row."""
        async with storage_failures("create a table of the log"):
            await self._create(self._table(day))

    async def _create(self, table: TableClient) -> None:
        try:
            await table.create_table()
        except ResourceExistsError:
            return

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

    async def rows(self, since: datetime, until: datetime, *, select: list[str] | None = None) -> AsyncIterator[Row]:
        """Read the rows sealed in ``[since, until)``, minute by minute; within a minute in the order of the shards."""
        first, last = names.partitions_between(since, until)
        chosen = (
            f"PartitionKey ge '{first}' and PartitionKey lt '{last}'"
            f" and RowKey ge '{names.row_time(since)}' and RowKey lt '{names.row_time(until)}'"
        )
        for day in _days(since, until):
            async for row in self._query(day, chosen, select=select):
                yield row

    async def open(self, heads: Sequence[SegmentHead]) -> Sequence[tuple[Segment[Event], Row | None]]:
        """Read and decode these segments, each with its row if it did not verify."""
        ordered = sorted(heads, key=lambda each: (each.key.partition, each.key))
        groups = [list(group) for _, group in groupby(ordered, key=lambda each: each.key.partition)]
        tasks = [asyncio.create_task(self._open_partition(group)) for group in groups]
        try:
            opened = [segment for group in tasks for segment in await group]
        finally:
            for task in tasks:
                task.cancel()
        return sorted(opened, key=lambda each: each[0].head.key)

    async def _open_partition(self, heads: Sequence[SegmentHead]) -> list[tuple[Segment[Event], Row | None]]:
        wanted = {each.key.name: each for each in heads}
        chosen = f"PartitionKey eq '{heads[0].key.partition}' and RowKey ge '{heads[0].key.name}' and RowKey le '{heads[-1].key.name}'"
        async with self._reading:
            rows = self._query(heads[0].key.sealed_at, chosen)
            return [self.decode(row) async for row in rows if row["RowKey"] in wanted]

    def decode(self, row: Row) -> tuple[Segment[Event], Row | None]:
        """Open one row; a damaged one comes back without events and with the row itself."""
        segment_head = head(row)
        try:
            events = self._decode(row)
            if len(events) != segment_head.count:
                raise UnreadableError("a segment does not hold as many events as it says")
        except UnreadableError as damage:
            logger.error("a segment of the log does not verify", extra={"row": row["RowKey"], "damage": str(damage)})
            return Segment(segment_head, None), row
        return Segment(segment_head, events), None

    async def _query(self, day: datetime, chosen: str, *, select: list[str] | None = None) -> AsyncIterator[Row]:
        table = self._table(day)
        pages = table.query_entities(chosen, select=select).by_page()
        while True:
            async with storage_failures("read the log"):
                try:
                    rows = [row async for row in await anext(pages)]
                except (ResourceNotFoundError, StopAsyncIteration):  # no table that day, or no more pages
                    return
            for row in rows:
                yield row

    def table_name(self, day: datetime) -> str:
        """Name the table of this day."""
        return names.DayTable(self._settings.loop, self._settings.generation, self._kind, day.date()).name

    def _table(self, at: datetime) -> TableClient:
        day = at.date()
        if day not in self._clients:
            self._clients[day] = self._service().get_table_client(self.table_name(at))
        return self._clients[day]


def head(row: Row) -> SegmentHead:
    """Read what a row's keys tell of its segment; raises `NewerFormatError` or `UnreadableError`."""
    name = names.RowName.parse(row["RowKey"])
    return SegmentHead(SegmentKey(name.sealed_at, row["RowKey"], row["PartitionKey"]), name.count, name.rewards)


def _key(segment_head: SegmentHead) -> SegmentKey:
    return segment_head.key


def _time(event: Decision | Observation) -> datetime:
    return event.decided_at if isinstance(event, Decision) else event.observed_at


def _is_reward(event: Decision | Observation) -> bool:
    return isinstance(event, Observation) and not event.is_activation


def _days(since: datetime, until: datetime) -> Iterable[datetime]:
    day = datetime.combine(since.date(), time(), tzinfo=since.tzinfo)
    while day < until:
        yield day
        day += timedelta(days=1)
