"""The event log on Table storage: `shared.domain.ports.EventLog`."""

import logging
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from shared.domain.clock import Clock, from_micros, to_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.events import Decision, EventKey, Observation
from shared.domain.identity import fingerprint
from shared.domain.ledger import LogEpoch, Opened, Pointer, Segment, SegmentHead, SegmentKey, Sighting, Sought
from shared.domain.ports import ModelFeed
from shared.storage import names
from shared.storage.account import StorageAccount
from shared.storage.blobs import BlobFiles
from shared.storage.failures import storage_failures
from shared.storage.hot_log import HotLog, LogSettings
from shared.storage.pointers import read_pointer
from shared.storage.rows import SIGHTED_COLUMNS, Event, OpenedRow, Row, head, sightings
from shared.storage.segments import decode_decisions, decode_observations
from shared.storage.sightings import Sightings
from shared.storage.tail import Known, Tail

logger = logging.getLogger(__name__)

_REMEMBERED_OBSERVATIONS = 2_000_000
_REMEMBERED_SIGHTINGS = 8_000_000
"""At 16 bytes each."""
_BLOCK = timedelta(minutes=10)
"""Of the log, read at once when an event is looked for; the next one is twice as long if this held little."""
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _OpenObservations:
    segment: Segment[Observation]

    @property
    def key(self) -> SegmentKey:
        return self.segment.head.key

    @property
    def weight(self) -> int:
        return self.segment.head.count


@dataclass(frozen=True, slots=True)
class _SightingsOfSegment:
    key: SegmentKey
    fingerprints: "array[int]"
    micros: "array[int]"

    @property
    def weight(self) -> int:
        return len(self.micros)


def _sightings_of(segment: Segment[Decision], marks: Mapping[EventKey, int]) -> _SightingsOfSegment:
    """Give what the log's row holds besides the events, of a segment that is open."""
    events = segment.events or ()
    fingerprints = array("Q", [marks.get(key) or fingerprint(key) for key in [event.key for event in events]])
    return _SightingsOfSegment(segment.head.key, fingerprints, array("Q", [to_micros(event.decided_at) for event in events]))


class TableEventLog:
    """Decisions and observations of one loop, in day tables."""

    def __init__(self, account: StorageAccount, *, settings: LogSettings, clock: Clock, settled: timedelta) -> None:
        self._account = account
        self._settings = settings
        self._clock = clock
        self._settled = settled
        self._epoch = LogEpoch(settings.generation, oldest=settings.generation)
        self._pointers = BlobFiles(account, names.MODELS)
        self._quarantine = BlobFiles(account, names.LOGS)
        self._decisions: HotLog[Decision] = HotLog(
            lambda: account.tables, kind=names.Kind.DECISIONS, settings=settings, clock=clock, decode=decode_decisions, epochs=self
        )
        self._observations: HotLog[Observation] = HotLog(
            lambda: account.tables, kind=names.Kind.OBSERVATIONS, settings=settings, clock=clock, decode=decode_observations, epochs=self
        )
        self._remember(self._epoch)

    def _remember(self, epoch: LogEpoch) -> None:
        """Start remembering what is read of this epoch."""
        self._remembered = epoch
        self._open_tail = Tail(self._load_observations, clock=self._clock, settled=self._settled, max_weight=_REMEMBERED_OBSERVATIONS)
        self._sighting_tail = Tail(self._load_sightings, clock=self._clock, settled=self._settled, max_weight=_REMEMBERED_SIGHTINGS)

    def _tails(self) -> tuple[Tail[_OpenObservations], Tail[_SightingsOfSegment]]:
        """Give what is remembered of the log, none of it from before the log was deleted."""
        epoch = self._epoch
        if epoch != self._remembered:
            self._remember(epoch)
        return self._open_tail, self._sighting_tail

    # --- epochs ----------------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> LogEpoch:
        """What this process knows of."""
        return self._epoch

    def follow(self, epoch: LogEpoch) -> None:
        """Write and read this epoch's generation from now on, unless a later one is known; any thread may say so."""
        if epoch.generation > self._epoch.generation:
            self._epoch = epoch

    async def refresh(self) -> None:
        """Follow what the pointer says; raises `StorageUnavailableError`.

        One that cannot be read, as after a downgrade, tells nothing: what is known goes on, lest Rank stop for it.
        """
        file = await self._pointers.read(names.pointer_blob(self._settings.loop))
        if file is None:
            return
        try:
            self.follow(read_pointer(file.data).log)
        except UnreadableError as reason:
            logger.warning("whether the log was deleted is not known: %s", reason)

    async def cut(self) -> datetime:
        """Part what this process has sealed so far from what it will seal; what was sealed before is stored, or has failed."""
        logs = (self._decisions, self._observations)
        at = max(self._clock.now(), *[log.newest + _MICROSECOND for log in logs])
        for log in logs:
            log.seal_from(at)
        for log in logs:
            await log.row_under_way()
        return at

    async def generations(self) -> set[int]:
        """List the generations that have a table."""
        return {table.generation for table in await self._all_tables()}

    async def sweep(self, *, settled_for: timedelta) -> int:
        """Drop the tables of older generations that nobody writes to any more, and tell how many.

        What belongs to the log all the same, written by those who had not heard of the deletion, is moved first. Of those tables
        none has got a row for this long. Stopped half-way, the next call does the rest.
        """
        epoch = self._epoch
        quiet_since = self._clock.now() - settled_for
        old = [table for table in await self._all_tables() if table.generation < epoch.generation]
        dropped = 0
        for table in old:
            if table.day >= epoch.since.date():
                if epoch.since > quiet_since or await self._log_of(table).is_written(table, since=quiet_since):
                    continue
                await self._log_of(table).move(table, since=epoch.since)
            await self._drop(table)
            dropped += 1
        return dropped

    def _log_of(self, table: names.DayTable) -> "HotLog[Decision] | HotLog[Observation]":
        return self._decisions if table.kind is names.Kind.DECISIONS else self._observations

    # --- appending -------------------------------------------------------------------------------------------------------

    async def append_decision(self, decision: Decision) -> None:
        """Return once the decision is stored."""
        await self._decisions.append((decision,))

    async def append_decisions(self, decisions: Sequence[Decision]) -> None:
        """Return once the decisions are stored, in one row."""
        await self._decisions.append(decisions)

    async def append_observation(self, observation: Observation) -> None:
        """Return once the observation is stored."""
        await self._observations.append((observation,))

    async def append_observations(self, observations: Sequence[Observation]) -> None:
        """Return once the observations are stored, in one row."""
        await self._observations.append(observations)

    # --- days ------------------------------------------------------------------------------------------------------------

    async def earliest(self) -> datetime | None:
        """Tell the first day that has a table, or when the log was deleted on that day."""
        days = [table.day for table in await self.day_tables()]
        return max(datetime.combine(min(days), time(), tzinfo=UTC), self._epoch.since) if days else None

    async def day_tables(self) -> list[names.DayTable]:
        """List the tables of this loop's log: those of the generation that is written now."""
        return [table for table in await self._all_tables() if table.generation == self._epoch.generation]

    async def _all_tables(self) -> list[names.DayTable]:
        async with storage_failures("list the tables of the log"):
            found = [names.DayTable.parse(table.name) async for table in self._account.tables.list_tables()]
        return [table for table in found if table is not None and table.loop == self._settings.loop]

    async def create_tables(self, day: datetime) -> None:
        """Make a day's tables ahead of their first rows."""
        await self._decisions.create_table(day)
        await self._observations.create_table(day)

    async def drop_tables(self, *, before: datetime) -> int:
        """Drop the tables of the days that ended before this time, and tell how many."""
        old = [table for table in await self.day_tables() if table.day < before.date()]
        for table in old:
            await self._drop(table)
        return len(old)

    async def drop_all(self) -> int:
        """Drop every table of this loop, of whatever generation, and tell how many."""
        tables = await self._all_tables()
        for table in tables:
            await self._drop(table)
        return len(tables)

    async def _drop(self, table: names.DayTable) -> None:
        async with storage_failures("drop a table of the log"):
            await self._account.tables.delete_table(table.name)

    # --- reading ---------------------------------------------------------------------------------------------------------

    def decision_heads(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SegmentHead]]:
        """List segments of decisions."""
        return self._decisions.heads(since, until)

    def observation_heads(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SegmentHead]]:
        """List segments of observations."""
        return self._observations.heads(since, until)

    async def decisions(self, heads: Sequence[SegmentHead]) -> Sequence[Segment[Decision]]:
        """Open segments of decisions."""
        return [await self._kept(self._decisions, each) for each in await self._decisions.open(heads)]

    async def observations(self, heads: Sequence[SegmentHead]) -> Sequence[Segment[Observation]]:
        """Open segments of observations."""
        return [await self._kept(self._observations, each) for each in await self._observations.open(heads)]

    async def observations_between(self, since: datetime, until: datetime) -> Sequence[Segment[Observation]]:
        """Open all segments of observations sealed in ``[since, until)``; what is there for good is read once."""
        return [item.segment for item in await self._tails()[0].between(since, until)]

    async def sightings(
        self, since: datetime, until: datetime, keys: AbstractSet[EventKey], *, opened: Opened[Decision] | None = None
    ) -> dict[EventKey, list[Sighting]]:
        """Find decisions by their fingerprint; what is there for good, or was opened, is read once."""
        marks = {key: fingerprint(key) for key in keys}
        at_hand = [_sightings_of(segment, marks) for segment in opened.segments if segment.events is not None] if opened else []
        given = Known(opened.since, opened.until, at_hand) if opened and len(at_hand) == len(opened.segments) else None
        wanted = set(marks.values())
        found: dict[int, list[Sighting]] = {}
        remembered = await self._tails()[1].between(since, until, given=given)
        for item in {item.key.name: item for item in (*remembered, *at_hand)}.values():
            for index, mark in enumerate(item.fingerprints):
                if mark in wanted:
                    found.setdefault(mark, []).append(Sighting(from_micros(item.micros[index]), item.key, index))
        return {key: found[mark] for key, mark in marks.items() if mark in found}

    async def search(self, event_id: str, since: datetime, until: datetime, *, limit: int) -> Sought:
        """Find the segments of an event, by its fingerprint and that of the event of a slot; remembers nothing of it."""
        mark = fingerprint(event_id)
        found: list[SegmentHead] = []
        passed, span, end = 0, _BLOCK, until
        while end > since and passed < limit:
            start = max(since, min(end, self._clock.now()) - span)
            before = passed
            async for row in self._decisions.rows(start, end, select=SIGHTED_COLUMNS):
                told = await self._sightings_of(row)
                passed += len(told.fingerprints)
                if mark in told.fingerprints or mark in told.events:
                    found.append(head(row))
            end, span = start, _BLOCK if passed - before > limit // 16 else 2 * span
        return Sought(sorted(found, key=lambda each: each.key), end, is_cut=end > since)

    async def _load_observations(self, since: datetime, until: datetime) -> AsyncIterator[_OpenObservations]:
        async for row in self._observations.rows(since, until):
            yield _OpenObservations(await self._kept(self._observations, self._observations.decode(row)))

    async def _load_sightings(self, since: datetime, until: datetime) -> AsyncIterator[_SightingsOfSegment]:
        async for row in self._decisions.rows(since, until, select=SIGHTED_COLUMNS):
            told = await self._sightings_of(row)
            yield _SightingsOfSegment(head(row).key, told.fingerprints, told.micros)

    async def _sightings_of(self, row: Row) -> Sightings:
        """Read whose decisions a row of `SIGHTED_COLUMNS` holds, from its events if need be; none if those do not verify either."""
        try:
            return sightings(row)
        except NewerFormatError:
            raise
        except UnreadableError as damage:
            logger.warning("the events of a row tell what its sightings do not: %s", damage, extra={"row": row["RowKey"]})
            return Sightings.of([event for segment in await self.decisions([head(row)]) for event in segment.events or ()])

    async def _kept(self, log: HotLog[Event], each: OpenedRow[Event]) -> Segment[Event]:
        """Give the segment; of one that does not verify, a copy is kept first, for a person to look at."""
        if each.damage:
            key = each.segment.head.key
            name = names.quarantine_blob(self._settings.loop, log.table_name(key.sealed_at), key)
            await self._quarantine.write_once(name, each.remains)
        return each.segment


class FollowedFeed:
    """A feed of models that tells the log of the epoch that comes with them: `shared.domain.ports.ModelFeed`."""

    def __init__(self, feed: ModelFeed, log: TableEventLog) -> None:
        self._feed = feed
        self._log = log

    def news(self) -> Pointer | None:
        """Give the pointer if it has changed."""
        pointer = self._feed.news()
        if pointer is not None:
            self._log.follow(pointer.log)
        return pointer

    def artifact(self, version: str) -> bytes:
        """Read a published model."""
        return self._feed.artifact(version)
