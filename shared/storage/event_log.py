"""The event log on rows: `shared.domain.ports.EventLog`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, time, timedelta

from shared.domain.budget import UNBOUNDED, Budget
from shared.domain.clock import Clock
from shared.domain.errors import ClocksDifferError, NewerFormatError, StorageUnavailableError, UnreadableError
from shared.domain.events import Decision, EventKey, Observation
from shared.domain.identity import fingerprint
from shared.domain.ledger import LogEpoch, Opened, Pointer, Reports, Segment, SegmentHead, Sighting, Sought
from shared.domain.ports import ModelFeed
from shared.storage import names, queries
from shared.storage.clocks import LogClock
from shared.storage.columns import Keys
from shared.storage.epochs import Hearing
from shared.storage.failures import in_time
from shared.storage.files import Files
from shared.storage.gathering import Gathering, Sighted
from shared.storage.hot_log import HotLog, LogSettings
from shared.storage.hours import drop_hours
from shared.storage.memory import Memory, Rows
from shared.storage.pointers import read_pointer
from shared.storage.ports import Row, Storage
from shared.storage.rows import SIGHTED_COLUMNS, Event, OpenedRow, head, sightings
from shared.storage.segments import decode_decisions, decode_observations
from shared.storage.sightings import Sightings
from shared.storage.tail import Upkeep

logger = logging.getLogger(__name__)

_BLOCK = timedelta(minutes=10)
"""Of the log, read at once when an event is looked for; the next one is twice as long if this held little."""
_PATIENCE = timedelta(seconds=1)
_PAUSE = timedelta(seconds=10)
"""How long an append waits to hear whether the log was deleted, and after what time without an answer it is asked for again."""
_MICROSECOND = timedelta(microseconds=1)


class RowEventLog:
    """Decisions and observations of one loop, in day tables."""

    def __init__(self, storage: Storage, *, settings: LogSettings, clock: Clock, settled: timedelta, budget: Budget | None = None) -> None:
        self._storage = storage
        self._settings = settings
        self._clock = LogClock(clock, storage.time)
        self._upkeep = Upkeep(self._clock, settled, budget or Budget(UNBOUNDED))
        self._epoch = LogEpoch(settings.generation, oldest=settings.generation)
        self.hearing = Hearing(clock)
        self._unheard = Hearing(clock)
        self._pointers = Files(storage, names.MODELS)
        self._quarantine = Files(storage, names.LOGS)
        self._decisions: HotLog[Decision] = HotLog(
            storage, kind=names.Kind.DECISIONS, settings=settings, clock=self._clock, decode=decode_decisions, epochs=self
        )
        self._observations: HotLog[Observation] = HotLog(
            storage, kind=names.Kind.OBSERVATIONS, settings=settings, clock=self._clock, decode=decode_observations, epochs=self
        )
        self._rows = Rows(self._observations, self._decisions, observation=self._opened_observations, sightings=self._sightings_of)
        self._memory = self._remember(self._epoch)

    def _remember(self, epoch: LogEpoch) -> Memory:
        """Start remembering what is read of this epoch."""
        return Memory(self._storage, self._rows, loop=self._settings.loop, epoch=epoch, upkeep=self._upkeep)

    @property
    def memory(self) -> Memory:
        """What is remembered of the log, none of it from before the log was deleted."""
        epoch = self._epoch
        if epoch != self._memory.epoch:
            self._memory.close()
            self._memory = self._remember(epoch)
        return self._memory

    def close(self) -> None:
        """Remember nothing of what was read any more: the loop is gone."""
        self._memory.close()

    # --- epochs ----------------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> LogEpoch:
        """What this process knows of."""
        return self._epoch

    def follow(self, epoch: LogEpoch) -> None:
        """Write and read this epoch's generation from now on, unless a later one is known; any thread may say so."""
        if epoch.generation > self._epoch.generation:
            self._epoch = epoch
            for log in (self._decisions, self._observations):
                log.seal_from(epoch.since)  # where the cut was ahead of this process's clock

    async def refresh(self) -> None:
        """Follow what the pointer says; raises `StorageUnavailableError`.

        One that cannot be read, as after a downgrade, tells nothing: what is known goes on, lest Rank stop for it.
        """
        try:
            await self._read_epoch()
        except UnreadableError as reason:
            logger.warning("whether the log was deleted is not known: %s", reason)

    async def _read_epoch(self) -> None:
        asked = self.hearing.now()
        file = await self._pointers.read(names.pointer_file(self._settings.loop))
        if file is not None:
            self.follow(read_pointer(file.data).log)
        self.hearing.note(asked)

    async def confirm(self) -> None:
        """Make sure that what was written just now stays, or follow what the pointer says (`shared.storage.epochs`).

        Raises `StorageUnavailableError` when the tables tell of a deletion that the pointer does not tell of.
        """
        if not self.hearing.is_older_than(self._settings.asks_after) or await self._is_told():
            return
        if max(await self.generations(), default=0) > self._epoch.generation:
            raise StorageUnavailableError("the log was deleted, and what tells of it cannot be read")

    async def _is_told(self) -> bool:
        """Ask the pointer, but not for long, and not again for a while when there was no answer: calls wait for it."""
        if not self._unheard.is_older_than(_PAUSE):
            return False
        try:
            async with in_time("ask whether the log was deleted", deadline=_PATIENCE):
                await self._read_epoch()
        except (StorageUnavailableError, UnreadableError) as reason:
            logger.warning("whether the log was deleted is not known: %s", reason)
            self._unheard.note(self._unheard.now())
            return False
        return True

    async def cut(self) -> datetime:
        """Part what was sealed so far from what will be; what this process sealed before is stored, or has failed.

        What others sealed ahead of this clock counts as sealed before, and their clocks are waited for: what they acknowledge after
        that is sealed later. Raises `ClocksDifferError` when clocks are further apart than the grace.
        """
        if not self._storage.time.is_exact:
            self._check_clocks(self._storage.time.ahead())
        logs = (self._decisions, self._observations)
        over = self._clock.over()
        at = max(self._clock.now(), *[log.newest + _MICROSECOND for log in logs])
        await self._part(at)
        newest = [found for found in [await log.newest_from(at + _MICROSECOND) for log in logs] if found is not None]
        if newest:
            at = max(newest) + _MICROSECOND
            self._check_clocks(at - over)
            await self._part(at)
        await asyncio.sleep((at - over).total_seconds())
        return at

    def _check_clocks(self, ahead: timedelta) -> None:
        if abs(ahead) > self._settings.grace:
            seconds, side = round(abs(ahead).total_seconds()), "ahead" if ahead > timedelta(0) else "behind"
            raise ClocksDifferError(
                f"an instance's clock is {seconds} seconds {side}, so it is not known which events were logged before the call"
            )

    async def _part(self, at: datetime) -> None:
        logs = (self._decisions, self._observations)
        for log in logs:
            log.seal_from(at)
        await asyncio.gather(*[log.row_under_way() for log in logs])

    async def generations(self) -> set[int]:
        """List the generations that have a table."""
        return {table.generation for table in await self._all_tables()}

    async def sweep(self, *, settled_for: timedelta) -> int:
        """Drop the tables of older generations that nobody writes to any more, and tell how many.

        What belongs to the log all the same, written by those who had not heard of the deletion, is moved first. Of those tables
        none has got a row for this long. The new table is made before, for writers to see that rows are moved to it. Stopped half-way,
        the next call does the rest.
        """
        epoch = self._epoch
        quiet_since = self._clock.now() - settled_for
        old = [table for table in await self._all_tables() if table.generation < epoch.generation]
        dropped = 0
        for table in old:
            if table.day >= epoch.since.date():
                if epoch.since > quiet_since or await self._log_of(table).is_written(table, since=quiet_since):
                    continue
                await self._log_of(table).create_table(datetime.combine(table.day, time(), tzinfo=UTC))
                await self._log_of(table).move(table, since=epoch.since)
            await self._storage.rows.drop(table.name)
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
        """Tell the first day that has a table, or when the log was deleted on that day.

        Tables of older generations count as well for the days on which a writer that has not heard of the deletion may go on in them.
        """
        epoch = self._epoch
        days = [table.day for table in await self._all_tables() if table.generation in queries.generations(epoch, table.day)]
        return max(datetime.combine(min(days), time(), tzinfo=UTC), epoch.since) if days else None

    async def day_tables(self) -> list[names.DayTable]:
        """List the tables of this loop's log: those of the generation that is written now."""
        return [table for table in await self._all_tables() if table.generation == self._epoch.generation]

    async def _all_tables(self) -> list[names.DayTable]:
        found = map(names.DayTable.parse, await self._storage.rows.tables())
        return [table for table in found if table is not None and table.loop == self._settings.loop]

    async def create_tables(self, day: datetime) -> None:
        """Make a day's tables ahead of their first rows."""
        await self._decisions.create_table(day)
        await self._observations.create_table(day)

    async def drop_tables(self, *, before: datetime) -> int:
        """Drop the tables of the days that ended before this time, and tell how many."""
        old = [table for table in await self.day_tables() if table.day < before.date()]
        for table in old:
            await self._storage.rows.drop(table.name)
        await drop_hours(self._storage, loop=self._settings.loop, generation=self._epoch.generation, before=before)
        return len(old)

    async def drop_all(self) -> int:
        """Drop every table of this loop, of whatever generation, and tell how many."""
        tables = await self._all_tables()
        for table in tables:
            await self._storage.rows.drop(table.name)
        return len(tables)

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

    async def reports(
        self,
        since: datetime,
        until: datetime,
        keys: AbstractSet[EventKey],
        *,
        due: Sequence[SegmentHead] = (),
        counted: AbstractSet[str] = frozenset(),
    ) -> Reports:
        """Find observations by their events' fingerprints, and those that are due; what is there for good is read once."""
        gathering = Gathering(Keys(keys), due, counted)
        tail = self.memory.observed
        async for block in tail.between(since, until):
            gathering.add(block)
        turned_up = await self._observations_of(gathering.missing())
        whole = [each.head.key.sealed_at for each in turned_up if each.events is not None]
        if whole:
            tail.read_again(min(whole))
        return gathering.reports(turned_up)

    async def _observations_of(self, heads: Sequence[SegmentHead]) -> Sequence[Segment[Observation]]:
        return await self.observations(heads) if heads else ()

    async def sightings(
        self, since: datetime, until: datetime, marks: AbstractSet[int], *, opened: Opened[Decision] | None = None
    ) -> dict[int, list[Sighting]]:
        """Find decisions by their fingerprint; what is there for good, or was opened, is read once."""
        sighting = Sighted(marks, opened)
        tail = self.memory.sighted
        async for block in tail.between(since, until, given=sighting.given):
            sighting.add(block)
        turned_up = sighting.turned_up()
        if turned_up is not None:
            tail.read_again(turned_up)
        return sighting.found()

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

    async def _opened_observations(self, row: Row) -> Segment[Observation]:
        return await self._kept(self._observations, self._observations.decode(row))

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
        if each.remains is not None:
            key = each.segment.head.key
            name = names.quarantine_file(self._settings.loop, log.table_name(key.sealed_at), key)
            await self._quarantine.write_once(name, each.remains)
        return each.segment


class FollowedFeed:
    """A feed of models that tells the log of the epoch that comes with them, so that its writers need not ask.

    It is a `shared.domain.ports.ModelFeed`.
    """

    def __init__(self, feed: ModelFeed, log: RowEventLog) -> None:
        self._feed = feed
        self._log = log

    def news(self) -> Pointer | None:
        """Give the pointer if it has changed."""
        asked = self._log.hearing.now()
        pointer = self._feed.news()
        if pointer is not None:
            self._log.follow(pointer.log)
        self._log.hearing.note(asked)  # that there is no news as well
        return pointer

    def artifact(self, version: str) -> bytes:
        """Read a published model."""
        return self._feed.artifact(version)
