"""A store as an hour of traffic leaves it: decisions and their rewards, through the log's own appends, at the times they would have had."""

import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.callers import FreshTraffic
from shared.domain.events import Observation
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.settings import FolderSettings

_RATE = 150
_KINDS = 2_000
"""Decisions that are made anew; the others have their texts, under ids of their own."""

_SETTLED = timedelta(seconds=40)


class _Clock:
    """A clock that stands where it was put; any thread may look."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._at

    def put(self, at: datetime) -> None:
        with self._lock:
            self._at = at


@contextmanager
def _workshop() -> Iterator[Path]:
    """Give a folder in memory, if there is one: a row there waits for no disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


async def fill(store: Path, *, decisions: int, per_row: int = 2, rate: int = _RATE) -> None:
    """Make a store with so many decisions, so many a second until now, and a reward for each; so many of them in a row."""
    with _workshop() as workshop:
        made = workshop / "store"
        await _fill(made, decisions, per_row, rate)
        shutil.copytree(made, store)


async def _fill(store: Path, decisions: int, per_row: int, rate: int) -> None:
    begin = datetime.now(UTC) - timedelta(seconds=decisions / rate + 1)
    clock, traffic = _Clock(begin), FreshTraffic(seed=11)
    kinds = [traffic.decision("", begin) for _ in range(min(decisions, _KINDS))]
    storage = EmbeddedStorage(FolderSettings(store, make=True), clock=clock)
    settings = LogSettings(loop="default", shards=1, append_deadline=timedelta(seconds=15), asks_after=timedelta(days=1))
    log = RowEventLog(storage, settings=settings, clock=clock, settled=_SETTLED)
    try:
        for number in range(0, decisions, per_row):
            at = begin + timedelta(seconds=number / rate)
            clock.put(at)
            chosen = [kinds[each % len(kinds)] for each in range(number, min(number + per_row, decisions))]
            batch = [replace(each, event_id=secrets.token_hex(16), decided_at=at) for each in chosen]
            await log.append_decisions(batch)
            await log.append_observations([Observation(each.event_id, at, traffic.reward()) for each in batch])
    finally:
        await storage.close()
