"""A trainer that is behind: how fast it catches up in windows of several sizes, and what it remembers where rewards belong to nothing.

Both on the embedded store, so that no emulator is what is measured. Rates are by the processor's time: other programs change it little.
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.samples import Traffic
from benchmarks.scale_parts import BEGIN, GRACE, LOOKBACK
from benchmarks.table import Goal, Line
from benchmarks.timing import SetClock
from shared.domain.clock import TimeLimit
from shared.domain.events import Observation
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopSettings
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage.cold_log import FileColdLog
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.model_store import FileModelStore
from shared.storage.pointers import write_pointer
from shared.storage.polling import StoredConfiguration
from shared.storage.settings import FolderSettings

SIZES: Final = (2_000, 10_000, 50_000)
"""Events of a window at most; the last is the service's own."""

POINTER: Final = 64 * 1024
POINTER_GOAL: Final = Goal(1)
KEEPS_UP: Final = Goal(1, at_least=True)
_HOUR: Final = timedelta(hours=1)
_WRITERS: Final = 4
_PER_ROW: Final = 10
_KINDS: Final = 2_000
_INSTANCES: Final = 400
_LIMIT: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Caught:
    """What a trainer came to: processor seconds, commits, and the pointer in the end with the sizes of it and of what it names."""

    seconds: float
    commits: int
    pointer: Pointer
    pointer_bytes: int
    lookback_bytes: int


def run(storage: str, *, quick: bool) -> list[Line]:
    """Let a trainer catch up with an hour of events, and with rewards of no event."""
    del storage
    return asyncio.run(_backlog(600 if quick else 60_000)) + asyncio.run(_unknown(*((80, 3) if quick else (4_000, 150))))


async def _backlog(events: int) -> list[Line]:
    with tempfile.TemporaryDirectory() as folder:
        storage, clock = EmbeddedStorage(FolderSettings(Path(folder) / "store", make=True)), SetClock(BEGIN)
        try:
            await _fill_hour(storage, clock, events)
            found = {}
            for most in SIZES:
                clock.at = BEGIN + 2 * _HOUR
                found[most] = await _caught_up(storage, clock, loop=f"of{most}", most=most)
        finally:
            await storage.close()
    rates = {most: each.pointer.counters.learned / each.seconds for most, each in found.items()}
    return [
        Line(
            "behind",
            f"an hour of {events:,} events in windows of {most:,}, {each.commits} models",
            f"{rates[most]:,.0f}/s",
            f"{rates[SIZES[0]]:,.0f}/s",
            rates[most] / rates[SIZES[0]],
        )
        for most, each in found.items()
    ]


async def _unknown(rate: int, seconds: int) -> list[Line]:
    """Log rewards of no event, so many a second from many instances, each in rows of its own; then let the trainer count them."""
    with tempfile.TemporaryDirectory() as folder:
        storage, clock = EmbeddedStorage(FolderSettings(Path(folder) / "store", make=True)), SetClock(BEGIN)
        try:
            logs = [_log(storage, clock) for _ in range(_INSTANCES)]
            for second in range(seconds):
                for number, log in enumerate(logs):
                    clock.at = BEGIN + timedelta(seconds=second + number / len(logs))
                    if count := rate * (number + 1) // len(logs) - rate * number // len(logs):
                        await log.append_observations([Observation(secrets.token_hex(16), clock.at, 1.0) for _ in range(count)])
            clock.at = BEGIN + timedelta(seconds=seconds) + timedelta(minutes=10) + GRACE
            found = await _caught_up(storage, clock, loop="default", most=SIZES[-1])
        finally:
            await storage.close()
    what, counted = f"{rate:,} unknown rewards a second from {_INSTANCES} instances", found.pointer.counters.rewards / found.seconds
    size = found.pointer_bytes
    return [
        Line("behind", f"{what}: the pointer", f"{size:,} bytes", f"{POINTER:,} bytes", size / POINTER, POINTER_GOAL),
        Line("behind", "  the file of what is remembered", f"{found.lookback_bytes:,} bytes"),
        Line("behind", "  counted, against what comes", f"{counted:,.0f}/s", f"{rate:,}/s", counted / rate, KEEPS_UP),
    ]


async def _fill_hour(storage: EmbeddedStorage, clock: SetClock, events: int) -> None:
    """Write decisions evenly over an hour, as some instances do in turn, and reward half of them five seconds later."""
    traffic, logs = Traffic(actions=10, seed=3), [_log(storage, clock) for _ in range(_WRITERS)]
    pool = [traffic.decision("", BEGIN) for _ in range(min(_KINDS, events))]
    for number, at in enumerate(_times(events // _PER_ROW)):
        clock.at = at
        made = [replace(pool[(number * _PER_ROW + n) % len(pool)], event_id=secrets.token_hex(16), decided_at=at) for n in range(_PER_ROW)]
        log = logs[number % len(logs)]
        await log.append_decisions(made)
        clock.at = at + timedelta(seconds=5)
        await log.append_observations([Observation(each.event_id, clock.at, traffic.reward()) for each in made[::2]])


def _times(rows: int) -> Iterator[datetime]:
    return (BEGIN + _HOUR * number / rows for number in range(rows))


async def _caught_up(storage: EmbeddedStorage, clock: SetClock, *, loop: str, most: int) -> _Caught:
    store = FileModelStore(storage, loop=loop)
    trainer = Trainer(
        _log(storage, clock),
        FileColdLog(storage, loop=loop),
        store,
        StoredConfiguration(storage, defaults=LoopSettings(name=loop)),
        clock=clock,
        limits=Limits(grace=GRACE, lookback=LOOKBACK, max_events=most),
    )
    begin = time.process_time()
    commits = len(await trainer.run(TimeLimit(_LIMIT)))
    seconds = time.process_time() - begin
    stored = await store.pointer()
    if stored is None:
        raise RuntimeError("nothing was committed")
    pointer = stored[0]
    lookback = len(await store.lookback(pointer.lookback)) if isinstance(pointer.lookback, str) else 0
    return _Caught(seconds, commits, pointer, len(write_pointer(pointer)), lookback)


def _log(storage: EmbeddedStorage, clock: SetClock) -> RowEventLog:
    settings = LogSettings(loop="default", shards=1, append_deadline=timedelta(seconds=15), asks_after=timedelta(days=1))
    return RowEventLog(storage, settings=settings, clock=clock, settled=LOOKBACK)
