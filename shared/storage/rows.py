"""What a row of the log says: its head, its events, its sightings. Nothing else reads rows, and nothing in them is trusted.

Whoever can write to the tables can put anything there, and bytes go bad. Wherever a row does not hold what its writer writes, it is told
apart here, so that it is set aside and counted by its head, and the rows beside it are read. What a later release wrote is not damage:
that raises `NewerFormatError`, and the reader stops.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from shared.domain.clock import to_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.events import Decision, Observation
from shared.domain.ledger import Segment, SegmentHead, SegmentKey
from shared.storage import names
from shared.storage.ports import Row
from shared.storage.segments import MAX_BYTES
from shared.storage.sightings import COLUMNS, Sightings

Event = TypeVar("Event", Decision, Observation)

KEY_COLUMNS = ["PartitionKey", "RowKey"]
"""All that it takes to list segments: their names tell the rest."""
SIGHTED_COLUMNS = [*KEY_COLUMNS, *COLUMNS]

_MINUTE = timedelta(minutes=1)
_TICK = timedelta(microseconds=1)


def head(row: Row) -> SegmentHead:
    """Read what a row's keys tell of its segment; raises `NewerFormatError`.

    A row whose name is no segment's counts as one event, sealed when its name says in the order of names. One whose keys contradict
    each other counts as sealed in the minute of its partition, since rows are read minute by minute.
    """
    key = SegmentKey(_sealed_at(row), row["RowKey"], row["PartitionKey"])
    try:
        name = names.RowName.parse(key.name)
    except NewerFormatError:
        raise
    except UnreadableError:
        return SegmentHead(key, count=1, size=MAX_BYTES)
    return SegmentHead(key, name.count, name.rewards, name.size)


def is_anywhere(row: Row) -> bool:
    """Whether its partition is a minute's. One that is not stands where nothing is looked for, and goes with its table."""
    return names.partition_time(row["PartitionKey"]) is not None


def _sealed_at(row: Row) -> datetime:
    at, minute = names.floor_time(row["RowKey"]), names.partition_time(row["PartitionKey"])
    return at if minute is None else min(max(at, minute), minute + _MINUTE - _TICK)


def _name(row: Row) -> names.RowName:
    """Read the keys of a row of ours; raises `UnreadableError` if they are not."""
    name = names.RowName.parse(row["RowKey"])
    minute = names.partition_time(row["PartitionKey"])
    if minute is None or not minute <= name.sealed_at < minute + _MINUTE:
        raise UnreadableError("a row of the log is in the partition of another minute")
    return name


def sightings(row: Row) -> Sightings:
    """Read whose decisions it holds from a row of `SIGHTED_COLUMNS`; raises `UnreadableError` if only its events can tell."""
    name = _name(row)
    return Sightings.unpack(row, version=name.version, count=name.count, latest=to_micros(name.sealed_at))


@dataclass(frozen=True, slots=True)
class OpenedRow(Generic[Event]):
    """A segment; if it does not verify, why (``damage``), and what is kept of its row for a person to look at (None: there is no row)."""

    segment: Segment[Event]
    damage: str = ""
    remains: bytes | None = None


def opened(row: Row, decode: Callable[[Row], list[Event]]) -> OpenedRow[Event]:
    """Open one row; raises `NewerFormatError`."""
    told = head(row)
    try:
        name = _name(row)
        events = decode(row)
        if len(events) != name.count:
            raise UnreadableError("a segment does not hold as many events as it says")
    except NewerFormatError:
        raise
    except UnreadableError as damage:
        return OpenedRow(Segment(told, None), str(damage), _remains(row))
    return OpenedRow(Segment(told, events))


def gone(told: SegmentHead) -> OpenedRow[Event]:
    """Give what is left of a row that was listed and is not there any more."""
    return OpenedRow(Segment(told, None), "a segment that was listed is not there")


def own(row: Row) -> Row | None:
    """Give what a writer of ours may have written of a row; None for one that none has. Raises `NewerFormatError`."""
    try:
        _name(row)
    except NewerFormatError:
        raise
    except UnreadableError:
        return None
    return {name: value for name, value in row.items() if name in KEY_COLUMNS or isinstance(value, bytes)}


def _remains(row: Row) -> bytes:
    """Give the payload, or all that there is as text where there is none."""
    payload = b"".join(value for name, value in sorted(row.items()) if name.startswith("Payload") and isinstance(value, bytes))
    return payload or repr(dict(row)).encode(errors="backslashreplace")
