"""The event log on Table storage: `shared.domain.ports.EventLog`."""

from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from shared.domain.clock import Clock, from_micros, to_micros
from shared.domain.events import Decision, EventKey, Observation
from shared.domain.identity import fingerprint
from shared.domain.ledger import Opened, Segment, SegmentHead, SegmentKey, Sighting
from shared.storage import names
from shared.storage.account import StorageAccount
from shared.storage.blobs import BlobFiles
from shared.storage.failures import storage_failures
from shared.storage.hot_log import KEY_COLUMNS, HotLog, LogSettings, Row, head
from shared.storage.segments import decode_decisions, decode_observations, unpack_sightings
from shared.storage.tail import Known, Tail

_REMEMBERED_OBSERVATIONS = 2_000_000
_REMEMBERED_SIGHTINGS = 8_000_000
"""At 16 bytes each."""


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
        self._quarantine = BlobFiles(account, names.LOGS)
        self._decisions: HotLog[Decision] = HotLog(
            lambda: account.tables, kind=names.Kind.DECISIONS, settings=settings, clock=clock, decode=decode_decisions
        )
        self._observations: HotLog[Observation] = HotLog(
            lambda: account.tables, kind=names.Kind.OBSERVATIONS, settings=settings, clock=clock, decode=decode_observations
        )
        self._open_tail = Tail(self._load_observations, clock=clock, settled=settled, max_weight=_REMEMBERED_OBSERVATIONS)
        self._sighting_tail = Tail(self._load_sightings, clock=clock, settled=settled, max_weight=_REMEMBERED_SIGHTINGS)

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

    async def earliest(self) -> datetime | None:
        """Tell the first day that has a table."""
        days = [table.day for table in await self.day_tables()]
        return datetime.combine(min(days), time(), tzinfo=UTC) if days else None

    async def day_tables(self) -> list[names.DayTable]:
        """List this loop's tables."""
        async with storage_failures("list the tables of the log"):
            found = [names.DayTable.parse(table.name) async for table in self._account.tables.list_tables()]
        mine = (self._settings.loop, self._settings.generation)
        return [table for table in found if table is not None and (table.loop, table.generation) == mine]

    async def create_tables(self, day: datetime) -> None:
        """Make a day's tables ahead of their first rows."""
        await self._decisions.create_table(day)
        await self._observations.create_table(day)

    async def drop_tables(self, *, before: datetime) -> int:
        """Drop the tables of the days that ended before this time, and tell how many."""
        old = [table for table in await self.day_tables() if table.day < before.date()]
        for table in old:
            async with storage_failures("drop a table of the log"):
                await self._account.tables.delete_table(table.name)
        return len(old)

    def decision_heads(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SegmentHead]]:
        """List segments of decisions."""
        return self._decisions.heads(since, until)

    def observation_heads(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SegmentHead]]:
        """List segments of observations."""
        return self._observations.heads(since, until)

    async def decisions(self, heads: Sequence[SegmentHead]) -> Sequence[Segment[Decision]]:
        """Open segments of decisions."""
        opened = await self._decisions.open(heads)
        for segment, damaged in opened:
            await self._set_aside(self._decisions.table_name(segment.head.key.sealed_at), segment.head.key, damaged)
        return [segment for segment, _ in opened]

    async def observations(self, heads: Sequence[SegmentHead]) -> Sequence[Segment[Observation]]:
        """Open segments of observations."""
        opened = await self._observations.open(heads)
        for segment, damaged in opened:
            await self._set_aside(self._observations.table_name(segment.head.key.sealed_at), segment.head.key, damaged)
        return [segment for segment, _ in opened]

    async def observations_between(self, since: datetime, until: datetime) -> Sequence[Segment[Observation]]:
        """Open all segments of observations sealed in ``[since, until)``; what is there for good is read once."""
        return [item.segment for item in await self._open_tail.between(since, until)]

    async def sightings(
        self, since: datetime, until: datetime, keys: AbstractSet[EventKey], *, opened: Opened[Decision] | None = None
    ) -> dict[EventKey, list[Sighting]]:
        """Find decisions by their fingerprint; what is there for good, or was opened, is read once."""
        marks = {key: fingerprint(key) for key in keys}
        at_hand = [_sightings_of(segment, marks) for segment in opened.segments if segment.events is not None] if opened else []
        given = Known(opened.since, opened.until, at_hand) if opened and len(at_hand) == len(opened.segments) else None
        wanted = set(marks.values())
        found: dict[int, list[Sighting]] = {}
        remembered = await self._sighting_tail.between(since, until, given=given)
        for item in {item.key.name: item for item in (*remembered, *at_hand)}.values():
            for index, mark in enumerate(item.fingerprints):
                if mark in wanted:
                    found.setdefault(mark, []).append(Sighting(from_micros(item.micros[index]), item.key, index))
        return {key: found[mark] for key, mark in marks.items() if mark in found}

    async def _load_observations(self, since: datetime, until: datetime) -> AsyncIterator[_OpenObservations]:
        async for row in self._observations.rows(since, until):
            segment, damaged = self._observations.decode(row)
            await self._set_aside(self._observations.table_name(segment.head.key.sealed_at), segment.head.key, damaged)
            yield _OpenObservations(segment)

    async def _load_sightings(self, since: datetime, until: datetime) -> AsyncIterator[_SightingsOfSegment]:
        async for row in self._decisions.rows(since, until, select=[*KEY_COLUMNS, "Sightings"]):
            fingerprints, micros = unpack_sightings(row["Sightings"])
            yield _SightingsOfSegment(head(row).key, fingerprints, micros)

    async def _set_aside(self, table: str, key: SegmentKey, damaged: Row | None) -> None:
        """Keep a copy of a segment that does not verify, for a person to look at."""
        if damaged is not None:
            payload = b"".join(value for name, value in sorted(damaged.items()) if name.startswith("Payload") and isinstance(value, bytes))
            await self._quarantine.write_once(names.quarantine_blob(self._settings.loop, table, key), payload)
