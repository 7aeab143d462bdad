"""A storage as hours of traffic leave it: decisions and their rewards, through the logs' own appends, at the times they would have had.

``python -m benchmarks.filling FOLDER --loops 99 --events 6000`` makes a store, which is not to be there yet, and prints each loop's key.
"""

import argparse
import asyncio
import heapq
import json
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.callers import FreshTraffic
from benchmarks.samples import Traffic
from shared.domain.clock import Clock
from shared.domain.events import Decision, Observation
from shared.domain.loop import DEFAULT_LOOP, LoopSettings
from shared.services.loops.loops import Loops
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.loop_store import FileLoopStore
from shared.storage.ports import Storage
from shared.storage.settings import FolderSettings

_RATE = 150
_KINDS = 2_000
_ACTIONS = 10
_SETTLED = timedelta(seconds=40)


@dataclass(frozen=True, slots=True)
class Past:
    """What a loop was asked: so many decisions, so many a second until now, and a reward for each; so many of them in a row of its log.

    Only ``kinds`` of them are made anew. The others have the texts of these, under ids of their own.
    """

    decisions: int
    rate: float = _RATE
    per_row: int = 2
    kinds: int = _KINDS

    def rows(self, until: datetime) -> Iterator[tuple[datetime, int]]:
        """Give when each row is written, and how many decisions it has."""
        begin = until - timedelta(seconds=self.decisions / self.rate + 1)
        for number in range(0, self.decisions, self.per_row):
            yield begin + timedelta(seconds=number / self.rate), min(self.per_row, self.decisions - number)


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


class _Writer:
    """Writes one loop's log, as a process does that serves it."""

    def __init__(self, storage: Storage, place: str, traffic: Traffic, *, kinds: int, clock: Clock) -> None:
        settings = LogSettings(loop=place, shards=1, append_deadline=timedelta(seconds=15), asks_after=timedelta(days=1))
        self._log = RowEventLog(storage, settings=settings, clock=clock, settled=_SETTLED)
        self._traffic = traffic
        self._kinds = kinds
        self._made: list[Decision] = []
        self._count = 0

    async def write(self, at: datetime, decisions: int) -> None:
        batch = [replace(self._next(at), event_id=secrets.token_hex(16), decided_at=at) for _ in range(decisions)]
        await self._log.append_decisions(batch)
        await self._log.append_observations([Observation(each.event_id, at, self._traffic.reward()) for each in batch])

    def _next(self, at: datetime) -> Decision:
        self._count += 1
        if len(self._made) < self._kinds:
            self._made.append(self._traffic.decision("", at))
            return self._made[-1]
        return self._made[self._count % self._kinds]


@contextmanager
def workshop() -> Iterator[Path]:
    """Give a folder in memory, if there is one: a row there waits for no disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def loop_names(count: int) -> Sequence[str]:
    """Name so many loops.

    >>> loop_names(2)
    ['loop000', 'loop001']
    """
    return [f"loop{number:03d}" for number in range(count)]


def traffic_of(number: int, name: str) -> Traffic:
    """Give what a loop is asked that `fill_loops` makes: the readers and articles of a site of its own."""
    return Traffic(actions=_ACTIONS, seed=number, brand=name)


async def fill(store: Path, *, decisions: int, per_row: int = 2, rate: float = _RATE) -> None:
    """Make a store whose default loop has such a past, of requests that have nothing in common."""
    with workshop() as made:
        await _fill(made / "store", {DEFAULT_LOOP: Past(decisions, rate, per_row)}, lambda number, _: FreshTraffic(seed=number))
        await asyncio.to_thread(shutil.copytree, made / "store", store)


async def fill_loops(store: Path, pasts: Mapping[str, Past]) -> Mapping[str, str]:
    """Make a store with these loops, each with readers and articles of its own; gives a key of each loop."""
    with workshop() as made:
        keys = await _fill(made / "store", pasts, traffic_of)
        await asyncio.to_thread(shutil.copytree, made / "store", store)
    return keys


async def _fill(store: Path, pasts: Mapping[str, Past], traffic: Callable[[int, str], Traffic]) -> Mapping[str, str]:
    until = datetime.now(UTC)
    clock = _Clock(min((row[0] for past in pasts.values() for row in [*past.rows(until)][:1]), default=until))
    storage = EmbeddedStorage(FolderSettings(store, make=True), clock=clock)
    try:
        return await write_pasts(storage, pasts, traffic, put=clock.put, clock=clock, until=until)
    finally:
        await storage.close()


async def write_pasts(
    storage: Storage,
    pasts: Mapping[str, Past],
    traffic: Callable[[int, str], Traffic],
    *,
    put: Callable[[datetime], None],
    clock: Clock,
    until: datetime,
) -> Mapping[str, str]:
    """Make the loops and write their logs, all of them at the same time, since a store's time never goes back; gives a key of each.

    ``put`` sets the clock, and ``traffic`` makes what a loop is asked from its number and its name.
    """
    loops = Loops(FileLoopStore(storage), defaults=LoopSettings(), clock=clock, check_mirror=lambda _: None)
    keys: dict[str, str] = {}
    writers: list[_Writer] = []
    for number, (name, past) in enumerate(pasts.items(), start=11):
        place = name
        if name != DEFAULT_LOOP:
            kept = await loops.put(name, None, {})
            keys[name], place = kept.keys[0], kept.record.place
        writers.append(_Writer(storage, place, traffic(number, name), kinds=past.kinds, clock=clock))
    rows = [[(at, number, count) for at, count in past.rows(until)] for number, past in enumerate(pasts.values())]
    for at, number, count in heapq.merge(*rows):
        put(at)
        await writers[number].write(at, count)
    return keys


def main(arguments: Sequence[str]) -> int:
    """Make a store, and print the loops' keys as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.filling", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="which is made")
    parser.add_argument("--loops", type=int, default=99, metavar="N", help="beside the default one (default: %(default)s)")
    parser.add_argument("--events", type=int, default=6_000, metavar="N", help="of each (default: %(default)s)")
    parser.add_argument("--kinds", type=int, metavar="N", help="of these, made anew (default: all)")
    parser.add_argument("--per-row", type=int, default=20, metavar="N", help="events in a row of a log (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3_600.0, metavar="S", help="over which they are spread (default: %(default)g)")
    given = parser.parse_args(arguments)
    past = Past(given.events, given.events / given.seconds, given.per_row, given.kinds or given.events)
    print(json.dumps(asyncio.run(fill_loops(given.folder, dict.fromkeys(loop_names(given.loops), past)))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
