"""Appending decisions through the log, against a row for each: the same SDK client, in the same process, in turn."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from benchmarks.samples import Traffic
from benchmarks.table import Goal, Line
from benchmarks.timing import median
from shared.domain.clock import SystemClock
from shared.domain.events import Decision
from shared.storage.azure.storage import AzureStorage
from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.segments import encode
from shared.storage.settings import AccountSettings

GOAL = Goal(8, at_least=True)
GOAL_AT = 64
CALLERS = (1, 16, 64, 256)
_SETTLED = timedelta(seconds=40)


def run(storage: str, *, quick: bool) -> list[Line]:
    """Measure at each number of callers."""
    return asyncio.run(_run(storage, quick=quick))


async def _run(storage: str, *, quick: bool) -> list[Line]:
    account = AzureStorage(AccountSettings(connection_string=storage))
    try:
        log = RowEventLog(
            account,
            settings=LogSettings(loop="bench", shards=1, append_deadline=timedelta(seconds=15)),
            clock=SystemClock(),
            settled=_SETTLED,
        )
        floor = account.tables.get_table_client("floor")
        await floor.create_table()
        await log.create_tables(datetime.now(UTC))
        traffic = Traffic(actions=10, seed=2)
        decisions = [traffic.decision(secrets.token_hex(16), datetime.now(UTC)) for _ in range(1_000)]
        rows = [encode([decision]) for decision in decisions]
        ours, theirs = _appends(log, decisions), _inserts(floor, rows)
        return [await _at(callers, ours, theirs, quick=quick) for callers in CALLERS]
    finally:
        await account.close()


Call = Callable[[], Awaitable[None]]


def _appends(log: RowEventLog, decisions: Sequence[Decision]) -> Call:
    following = itertools.cycle(decisions)

    async def append() -> None:
        await log.append_decision(next(following))

    return append


def _inserts(table: TableClient, rows: Sequence[dict[str, Any]]) -> Call:
    """Give the floor: a key of its own for each, the bytes ready made."""
    following = itertools.cycle(rows)
    numbers = itertools.count()

    async def insert() -> None:
        key = {"PartitionKey": "all", "RowKey": f"{next(numbers):016d}"}
        await table.upsert_entity({**key, **next(following)}, mode=UpdateMode.REPLACE)

    return insert


async def _at(callers: int, ours: Call, floor: Call, *, quick: bool) -> Line:
    """Measure in rounds, each of about as many calls as take both a good part of a second."""
    floor_calls = 40 if quick else 200
    our_calls = floor_calls * min(callers, 16)
    rounds = [(await _rate(ours, our_calls, callers), await _rate(floor, floor_calls, callers)) for _ in range(2 if quick else 5)]
    appended, inserted = median(rate for rate, _ in rounds), median(rate for _, rate in rounds)
    ratio = median(rate / other for rate, other in rounds)
    goal = GOAL if callers == GOAL_AT else None
    return Line("append", f"{callers} callers", f"{appended:,.0f}/s", f"{inserted:,.0f}/s", ratio, goal)


async def _rate(call: Call, calls: int, callers: int) -> float:
    async def caller() -> None:
        for _ in range(each):
            await call()

    each = max(calls // callers, 2)
    begin = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return each * callers / (time.perf_counter() - begin)
