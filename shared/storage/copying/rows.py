"""Tables: both sides are read in the order of their keys, page by page, and what the target has not is written there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from shared.domain.errors import SettingsError, StorageUnavailableError
from shared.storage import names
from shared.storage.copying.counts import Copied
from shared.storage.ports import EVERYTHING, AbsentError, Row, Storage

_AT_ONCE: Final = 32
_KNOWN: Final = (str, bytes, bool, int, float)
_MOST_TOLD: Final = 100
_KEYS: Final = ("PartitionKey", "RowKey")

Key = tuple[str, str]


def rewards_first(table: str) -> tuple[bool, str]:
    """Give a table's place in an order in which no reward is copied and its decision, which came before, is not.

    >>> sorted(["defaultx0001d20260517", "defaultx0001o20260518"], key=rewards_first)
    ['defaultx0001o20260518', 'defaultx0001d20260517']
    """
    known = names.DayTable.parse(table)
    return known is not None and known.kind is names.Kind.DECISIONS, table


async def copy_table(source: Storage, target: Storage, table: str, done: Copied) -> int | None:
    """Have all rows of a table in the target as well, and tell how many there are; None if the table went meanwhile.

    Raises `SettingsError` when the target has rows that the source has not: a service wrote them there.
    """
    await target.rows.create(table)
    waiting: list[Row] = []
    strange: Key | None = None
    found = 0
    async for key, here, there in _side_by_side(_rows(source, table), _rows(target, table)):
        if here is None:
            strange = strange or key
        elif not _is_plain(here):
            if len(done.foreign) < _MOST_TOLD:
                done.foreign[f"{table}/{key[0]}/{key[1]}"] = None
        else:
            found += 1
            if there is None or dict(here) != dict(there):
                waiting.append(here)
            if len(waiting) == _AT_ONCE:
                await _put(target, table, waiting, done)
    await _put(target, table, waiting, done)
    if table not in await source.rows.tables():
        return None
    if strange is not None:
        raise _works_there(table, strange)
    return found


async def check_rows(source: Storage, target: Storage) -> None:
    """Raise `SettingsError` when the target has rows, or a later day's, that the source has not; nothing is written."""
    here = {table.name: table for name in await source.rows.tables() if (table := names.DayTable.parse(name)) is not None}
    for name in await target.rows.tables():
        table = names.DayTable.parse(name)
        if table is None:
            continue
        if name in here:
            strange = await _first_strange(source, target, name)
        else:  # what the source has dropped is older than all that it has
            newest = max(((each.generation, each.day) for each in here.values() if each.loop == table.loop), default=None)
            is_later = newest is not None and (table.generation, table.day) > newest
            strange = await anext((key async for key, _ in _rows(target, name, select=_KEYS)), None) if is_later else None
        if strange is not None:
            raise _works_there(name, strange)


async def _first_strange(source: Storage, target: Storage, table: str) -> Key | None:
    rows = _side_by_side(_rows(source, table, select=_KEYS), _rows(target, table, select=_KEYS))
    strange = await anext((key async for key, here, _ in rows if here is None), None)
    return strange if strange is not None and table in await source.rows.tables() else None


def _works_there(table: str, key: Key) -> SettingsError:
    return SettingsError(
        f"the target has rows that its source lacks ({table}: {key[0]}, {key[1]}): a service works there; copy to an empty place instead"
    )


async def _put(target: Storage, table: str, rows: list[Row], done: Copied) -> None:
    try:
        await asyncio.gather(*[target.rows.put(table, row) for row in rows])
    except AbsentError as cause:
        raise StorageUnavailableError(f"the table {table} of the target was dropped by another") from cause
    done.rows += len(rows)
    rows.clear()


def _is_plain(row: Row) -> bool:
    return all(type(value) in _KNOWN for value in row.values() if value is not None)


async def _rows(storage: Storage, table: str, *, select: Sequence[str] | None = None) -> AsyncIterator[tuple[Key, Row]]:
    before: Key | None = None
    async for page in storage.rows.read(table, EVERYTHING, select=select):
        for row in page:
            key = (row[_KEYS[0]], row[_KEYS[1]])
            if before is not None and key <= before:
                raise StorageUnavailableError(f"the rows of {table} did not come in order ({key[0]}, {key[1]})")
            before = key
            yield key, row


async def _side_by_side(
    left: AsyncIterator[tuple[Key, Row]], right: AsyncIterator[tuple[Key, Row]]
) -> AsyncIterator[tuple[Key, Row | None, Row | None]]:
    here, there = await anext(left, None), await anext(right, None)
    while here is not None or there is not None:
        if there is None or (here is not None and here[0] < there[0]):
            assert here is not None
            yield here[0], here[1], None
            here = await anext(left, None)
        elif here is None or there[0] < here[0]:
            yield there[0], None, there[1]
            there = await anext(right, None)
        else:
            yield here[0], here[1], there[1]
            here, there = await anext(left, None), await anext(right, None)
