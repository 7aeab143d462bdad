"""Which queries bring a part of the log: its tables, its ranges of keys, and how much at once."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from shared.domain.clock import EPOCH
from shared.domain.ledger import LogEpoch, SegmentHead
from shared.storage import names
from shared.storage.ports import KeyRange, Row
from shared.storage.rows import is_anywhere

MOST_ROWS = 1_000
MOST_BYTES = 8 * 1024 * 1024
"""What one query may bring, in the events' size. Azure ends a page after 4 MiB by itself; the emulator only after 1,000 rows."""
DAY = timedelta(days=1)
_LONGEST_RANGE = timedelta(minutes=59)


@dataclass(frozen=True, slots=True)
class Range:
    """All that was sealed in ``[since, until)``: so many rows, of so many bytes. ``last`` is when the last of them was sealed."""

    since: datetime
    until: datetime
    rows: int = 0
    size: int = 0
    first: datetime = EPOCH
    last: datetime = EPOCH

    def is_full_with(self, head: SegmentHead) -> bool:
        """Whether another segment is too many; those sealed at the same time stay together."""
        at = head.key.sealed_at
        is_too_much = self.rows >= MOST_ROWS or self.size + head.size > MOST_BYTES or at - self.first >= _LONGEST_RANGE
        return self.rows > 0 and at > self.last and is_too_much

    def plus(self, head: SegmentHead) -> "Range":
        """Take a segment in."""
        at = head.key.sealed_at
        return replace(self, rows=self.rows + 1, size=self.size + head.size, first=self.first if self.rows else at, last=at)


def runs(heads: Iterable[SegmentHead]) -> Iterator[list[SegmentHead]]:
    """Cut heads, in their order, into what one query may bring: at least one segment."""
    run: list[SegmentHead] = []
    size = 0
    for each in heads:
        if run and (len(run) >= MOST_ROWS or size + each.size > MOST_BYTES):
            yield run
            run, size = [], 0
        run.append(each)
        size += each.size
    if run:
        yield run


def generations(epoch: LogEpoch, day: date) -> Sequence[int]:
    """Say which generations have rows of this day.

    A writer makes no table before it has asked for the generation, and tables are made at most a day ahead: those of older
    generations get no rows of later days.
    """
    is_shared = epoch.since.date() <= day <= epoch.since.date() + timedelta(days=1)
    return range(epoch.oldest, epoch.generation + 1) if is_shared else (epoch.generation,)


def sealed_between(since: datetime, until: datetime) -> KeyRange:
    """Choose what was sealed in ``[since, until)``."""
    return KeyRange(*names.partitions_between(since, until), names.row_time(since), names.row_time(until))


def sealed_on(day: date, since: datetime) -> KeyRange:
    """Choose what was sealed on this day, but not before ``since``."""
    begin = datetime.combine(day, time(), tzinfo=since.tzinfo)
    return sealed_between(max(begin, since), max(begin + DAY, since))


def named(heads: Sequence[SegmentHead]) -> KeyRange:
    """Choose these segments of a partition by their names, but by their times where a name is none of ours, and may hold anything."""
    ranges = [names.row_range(each.key.name) for each in heads]
    first, last = min(first for first, _ in ranges), max(last for _, last in ranges)
    return KeyRange(heads[0].key.partition, heads[0].key.partition, first, last, closed=True)


async def merged(parts: Sequence[AsyncIterator[Row]]) -> AsyncIterator[Row]:
    """Put the rows of several tables together, minute by minute; one that is in several of them, being moved, counts once.

    So does one that someone copied to another partition of its minute.
    """
    waiting: list[Row | None] = [await anext(part, None) for part in parts]
    while any(waiting):
        minute = min(names.minute(row["PartitionKey"]) for row in waiting if row)
        given: set[str] = set()
        for index, part in enumerate(parts):
            while (first := waiting[index]) and names.minute(first["PartitionKey"]) == minute:
                if first["RowKey"] not in given and is_anywhere(first):
                    given.add(first["RowKey"])
                    yield first
                waiting[index] = await anext(part, None)


def days(since: datetime, until: datetime) -> Iterator[datetime]:
    """Give the beginnings of all days that have a part of ``[since, until)``."""
    day = datetime.combine(since.date(), time(), tzinfo=since.tzinfo)
    while day < until:
        yield day
        day += timedelta(days=1)
