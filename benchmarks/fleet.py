"""Many loops in one deployment: how fast backlogs are worked off, what a hundred loops take at rest, and who waits for whom.

``python -m benchmarks.fleet`` plays the sizes of the goals: 20 loops with 50,000 events each, drained by 1, 2 and 4 processes that train;
99 loops and the default one, with 6,000 events each; a loop that is an hour behind beside a quiet one. Options make each smaller, and
`benchmarks scale` plays less of all.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

import orjson

from benchmarks.callers import Callers, Place
from benchmarks.filling import Past, fill_loops, loop_names, traffic_of, write_pasts
from benchmarks.table import Goal, Line, show
from benchmarks.timing import SetClock, median
from benchmarks.trees import Tree
from local.azurite import running_azurite
from local.hosts import Hosts, Kind, stopped_in_order
from local.processes import LocalError
from local.settings import REPOSITORY
from shared.domain.loop import LoopRecord
from shared.storage.azure.storage import AzureStorage
from shared.storage.model_store import FileModelStore
from shared.storage.opening import open_storage
from shared.storage.ports import Storage
from shared.storage.settings import AccountSettings, FolderSettings, StorageSettings

WAITS: Final[Mapping[str, str]] = MappingProxyType(
    {"PERSONALIZER_REWARD_WAIT_TIME": "PT1S", "PERSONALIZER_INGEST_GRACE": "PT4S", "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S"}
)
_WAITED: Final = 5.0
"""Seconds from a decision until it may be learned under these settings."""

FASTER: Final = Goal(1.7, at_least=True)
WITHIN: Final = Goal(1)
_RANK_BYTES: Final = 600 * 2**20
_TRAINER_BYTES: Final = 900 * 2**20
_TICKS: Final = 2
_PER_ROW: Final = 20
_KINDS: Final = 500
_PATIENCE: Final = 3_600.0
_EACH: Final = 20
"""Rank calls in each loop before memory is looked at."""

_OURS: Final = ("PERSONALIZER_", "AzureWebJobs")
_QUEUED: Final = ("--only=train_queued", "--only=train_poison")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is played: loops with so many events each, by how many processes that train; and so on, as the fields are called.

    ``tick`` is the seconds between two runs of the trainer's timer where the lag of a quiet loop is measured.
    """

    loops: int = 20
    events: int = 50_000
    processes: tuple[int, ...] = (1, 2, 4)
    account_loops: int = 4
    account_events: int = 2_000
    many: int = 99
    events_of_many: int = 6_000
    behind: int = 540_000
    tick: int = 60


SOME: Final = Sizes(
    loops=6, events=6_000, processes=(1, 2), account_loops=2, account_events=1_000, many=20, events_of_many=1_000, behind=40_000, tick=10
)
QUICK: Final = Sizes(loops=2, events=60, processes=(1, 2), account_loops=0, many=2, events_of_many=30, behind=200, tick=1)


def run(storage: str, *, quick: bool, sizes: Sizes | None = None) -> list[Line]:
    """Measure all of it; ``storage`` is the connection string of an account."""
    played = sizes or (QUICK if quick else SOME)
    with tempfile.TemporaryDirectory() as folder:
        return [
            *asyncio.run(drained_stores(Path(folder) / "drain", played)),
            *asyncio.run(drained_account(storage, played)),
            *asyncio.run(at_rest(Path(folder) / "rest", played)),
            *asyncio.run(beside(Path(folder) / "beside", played)),
        ]


@dataclass(frozen=True, slots=True)
class Drain:
    """The seconds until a backlog was learned, and those of processor time, the start of the processes included."""

    seconds: float
    processor: float


# --- backlogs ---------------------------------------------------------------------------------------------------------------


async def drained_stores(folder: Path, played: Sizes) -> list[Line]:
    """Work off the same backlogs by 1, 2 and more processes that train, each time on a copy of one store."""
    names = loop_names(played.loops)
    await fill_loops(folder / "filled", dict.fromkeys(names, _hour(played.events)))
    drains: dict[int, Drain] = {}
    for processes in played.processes:
        store = folder / f"by{processes}"
        await asyncio.to_thread(shutil.copytree, folder / "filled", store)
        settings = {"PERSONALIZER_STORE": str(store)}
        drains[processes] = await _drained(FolderSettings(store), settings, names, played.events, processes=processes)
        await asyncio.to_thread(shutil.rmtree, store)
    return _lines_of(f"{played.loops} loops of {played.events:,} events, a store", played.loops * played.events, drains)


async def drained_account(connection: str, played: Sizes) -> list[Line]:
    """Do the same on an account, by one and by two: here the emulator is what all wait for, sooner or later."""
    if not played.account_loops:
        return []
    drains: dict[int, Drain] = {}
    for processes, first in ((1, "a"), (2, "b")):
        names = [f"{first}{name}" for name in loop_names(played.account_loops)]
        clock = SetClock(datetime.now(UTC) - timedelta(hours=1))
        storage = AzureStorage(AccountSettings(connection_string=connection))
        past = _hour(played.account_events)

        def put(at: datetime, clock: SetClock = clock) -> None:
            clock.at = at

        try:
            await write_pasts(storage, dict.fromkeys(names, past), traffic_of, put=put, clock=clock, until=datetime.now(UTC))
        finally:
            await storage.close()
        account = AccountSettings(connection_string=connection)
        settings = {"AzureWebJobsStorage": connection}
        drains[processes] = await _drained(account, settings, names, played.account_events, processes=processes)
    what = f"{played.account_loops} loops of {played.account_events:,} events, Azurite"
    return _lines_of(what, played.account_loops * played.account_events, drains, goal=None)


def _hour(events: int) -> Past:
    return Past(events, events / 3_600, _PER_ROW, _KINDS)


def _lines_of(what: str, events: int, drains: Mapping[int, Drain], *, goal: Goal | None = FASTER) -> list[Line]:
    """Compare the rates; and the processor time, which tells on a busy machine as well what several lose to each other."""
    alone = drains[1]
    first, own = f"{events / alone.seconds:,.0f}/s", f"{1e6 * alone.processor / events:,.0f} µs"
    lines = [Line("scale", f"{what}: by 1", first), Line("scale", "  processor time of an event", own)]
    for processes, drain in drains.items():
        if processes > 1:
            rate, aim = f"{events / drain.seconds:,.0f}/s", goal if processes == 2 else None
            lines.append(Line("scale", f"  by {processes} processes that train", rate, first, alone.seconds / drain.seconds, aim))
            taken = f"{1e6 * drain.processor / events:,.0f} µs"
            lines.append(Line("scale", "  processor time of an event", taken, own, drain.processor / alone.processor))
    return lines


async def _drained(at: StorageSettings, settings: Mapping[str, str], names: Sequence[str], events: int, *, processes: int) -> Drain:
    """Have so many processes train until all is learned; gives what that took from when all of them were ready."""
    before = _processor_time()
    with training({**WAITS, "PERSONALIZER_TRAINER_SCHEDULE": "*/2 * * * * *", **settings}, processes=processes) as hosts:
        begin = time.perf_counter()
        storage = open_storage(at)
        try:
            await _until_learned(storage, dict.fromkeys(names, events), hosts)
        finally:
            await storage.close()
        seconds = time.perf_counter() - begin
    return Drain(seconds, _processor_time() - before)


def _processor_time() -> float:
    """Give the seconds that all processes took which this one started and saw end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def training(settings: Mapping[str, str], *, processes: int) -> Iterator[Hosts]:
    """Run so many processes that train, and no other: that of the timers, which trains as well, and the rest behind the queue.

    A single one does the work of both.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    command = [sys.executable, "-m", "local.host", "--no-local-settings", "--stop-with-parent"]
    environment = {**inherited, "PERSONALIZER_LOG_LEVEL": "ERROR", "PERSONALIZER_KEYS": secrets.token_hex(16), **settings}
    with stopped_in_order(Hosts(command, environment, ())) as hosts:
        if processes > 1:
            hosts.working(Kind("training", ("--no-http", "--no-timers", "--queues", *_QUEUED), processes - 1))
            _until_ready(hosts)
        both = ("--queues", *_QUEUED, "--only=train", "--only=mirror") if processes == 1 else ("--no-queues",)
        hosts.working(Kind("timers", ("--no-http", "--timers", *both), 1))
        _until_ready(hosts)
        yield hosts


def _until_ready(hosts: Hosts) -> None:
    while not hosts.are_ready:
        hosts.check()
        time.sleep(0.02)


async def _until_learned(storage: Storage, wanted: Mapping[str, int], hosts: Hosts | None = None) -> None:
    """Return when each loop has processed so many events; raises `LocalError` when a process ends meanwhile."""
    stores = {name: FileModelStore(storage, loop=LoopRecord(name, life=1).place) for name in wanted}
    until = time.monotonic() + _PATIENCE
    while stores:
        if hosts is not None:
            hosts.check()
        if time.monotonic() > until:
            raise LocalError(f"{len(stores)} loops have not learned everything in {_PATIENCE:.0f} s")
        for name, store in list(stores.items()):
            if await _processed(store) < wanted[name]:
                break
            del stores[name]
        await asyncio.sleep(0.25)


async def _processed(store: FileModelStore) -> int:
    stored = await store.pointer()
    return 0 if stored is None else stored[0].counters.processed


# --- many loops at rest -----------------------------------------------------------------------------------------------------


async def at_rest(folder: Path, played: Sizes) -> list[Line]:
    """Have a service learn many loops and rank in each of them; tell what its processes took, and what a tick takes that finds nothing."""
    names = loop_names(played.many)
    past = Past(played.events_of_many, played.events_of_many / 3_600, _PER_ROW, played.events_of_many)
    settings = {**WAITS, "PERSONALIZER_TRAINER_SCHEDULE": "*/5 * * * * *"}
    tree = Tree(folder, settings=settings)
    keys = await fill_loops(tree.store, dict.fromkeys(names, past))
    await asyncio.to_thread(tree.start)
    try:
        storage = open_storage(FolderSettings(tree.store))
        try:
            await _until_learned(storage, dict.fromkeys(names, played.events_of_many))
        finally:
            await storage.close()
        for number, name in enumerate(names):
            await _rank(tree.port, number, name, keys[name])
        peaks = await asyncio.to_thread(tree.peaks)
    finally:
        await asyncio.to_thread(tree.stop)
    ranking = max(size for name, size in peaks.items() if name.startswith("http"))
    training = max(size for name, size in peaks.items() if name.startswith(("timers", "train")))
    ticks = await asyncio.to_thread(_ticks, tree.store, settings)
    what = f"{played.many} loops of {played.events_of_many:,} events"
    return [
        _memory(f"{what}: memory of Rank, at its peak", ranking, _RANK_BYTES),
        _memory("  of a process that trains, at its peak", training, _TRAINER_BYTES),
        Line("scale", "  a tick that finds nothing to do, first / median", f"{ticks[0]:.2f} s / {median(ticks[1:]):.3f} s"),
    ]


async def _rank(port: int, number: int, name: str, key: str) -> None:
    """Call Rank some times in a loop; raises `LocalError` for anything but success."""
    place, traffic = Place(port, key), traffic_of(11 + number, name)
    callers = Callers(place, connections=4)
    path = f"/loops/{name}/personalizer/v1.0/rank"
    bodies = [orjson.dumps(traffic.body(secrets.token_hex(16))) for _ in range(_EACH)]
    try:
        for status, body in await asyncio.gather(*(callers.ask(place.request(path, each)) for each in bodies)):
            if status >= 300:
                raise LocalError(f"Rank in {name} answered {status}: {body[:200].decode(errors='replace')}")
    finally:
        await callers.close()


def _memory(measure: str, found: int, bound: int) -> Line:
    return Line("scale", measure, f"{found / 2**20:,.0f} MiB", f"{bound / 2**20:,.0f} MiB", found / bound, WITHIN)


def _ticks(store: Path, settings: Mapping[str, str]) -> list[float]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    environment = {**inherited, **settings, "PERSONALIZER_KEYS": secrets.token_hex(16)}
    command = [sys.executable, "-m", "benchmarks.idle_tick", str(store)]
    answer = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, check=True)
    found: list[float] = json.loads(answer.stdout)
    return found


# --- a quiet loop beside one that is behind ------------------------------------------------------------------------------------


async def beside(folder: Path, played: Sizes) -> list[Line]:
    """Rank in a quiet loop now and then while another works off an hour; tell how long an event waited that could be learned."""
    settings = {**WAITS, "PERSONALIZER_TRAINER_SCHEDULE": f"*/{played.tick} * * * * *" if played.tick < 60 else "0 * * * * *"}
    tree = Tree(folder, settings=settings)
    keys = await fill_loops(tree.store, {"behind": _hour(played.behind), "quiet": replace(_hour(1), per_row=1)})
    await asyncio.to_thread(tree.start)
    try:
        storage = open_storage(FolderSettings(tree.store))
        try:
            waits, taken = await _waits(storage, tree.port, keys["quiet"], played)
        finally:
            await storage.close()
    finally:
        await asyncio.to_thread(tree.stop)
    measure = f"a quiet loop beside {played.behind:,} events behind ({taken:.0f} s): longest lag"
    lag = max(waits)
    return [Line("scale", measure, f"{lag:.1f} s", f"{_TICKS} × {played.tick} s", lag / (_TICKS * played.tick), WITHIN)]


async def _waits(storage: Storage, port: int, key: str, played: Sizes) -> tuple[list[float], float]:
    """Give, for each event of the quiet loop, for how long it could have been learned before it was; and when the other one was done."""
    place, traffic = Place(port, key), traffic_of(12, "quiet")
    callers = Callers(place, connections=1)
    quiet, behind = (FileModelStore(storage, loop=LoopRecord(name, life=1).place) for name in ("quiet", "behind"))
    begin, done = time.monotonic(), None
    sent: list[float] = []
    waits: list[float] = []
    until = begin + _PATIENCE
    while done is None or len(waits) < len(sent):
        now = time.monotonic()
        if now > until:
            raise LocalError(f"{len(sent) - len(waits)} events of the quiet loop are not learned in {_PATIENCE:.0f} s")
        learned = await _processed(quiet) - 1  # one was there before
        waits += [max(now - at - _WAITED, 0.0) for at in sent[len(waits) : learned]]
        if done is None and await _processed(behind) >= played.behind:
            done = now - begin
        if done is None and (not sent or now - sent[-1] > played.tick / 2):
            status, body = await callers.ask(
                place.request("/loops/quiet/personalizer/v1.0/rank", orjson.dumps(traffic.body(secrets.token_hex(16))))
            )
            if status >= 300:
                raise LocalError(f"Rank answered {status}: {body[:200].decode(errors='replace')}")
            sent.append(time.monotonic())
        await asyncio.sleep(0.1)
    await callers.close()
    return waits, done


def main(arguments: Sequence[str]) -> int:
    """Measure in the sizes that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__.partition("\n")[0])
    full = Sizes()
    parser.add_argument("--loops", type=int, default=full.loops, metavar="N", help="with a backlog (default: %(default)s)")
    parser.add_argument("--events", type=int, default=full.events, metavar="N", help="of each (default: %(default)s)")
    parser.add_argument("--processes", default="1,2,4", metavar="N,N", help="that train, in turn; 1 is the first (default: %(default)s)")
    parser.add_argument("--many", type=int, default=full.many, metavar="N", help="loops at rest (default: %(default)s)")
    parser.add_argument("--events-of-many", type=int, default=full.events_of_many, metavar="N", help="of each (default: %(default)s)")
    parser.add_argument("--behind", type=int, default=full.behind, metavar="N", help="events of the loop behind (default: %(default)s)")
    parser.add_argument("--tick", type=int, default=full.tick, metavar="S", help="between two runs then (default: %(default)s)")
    parser.add_argument("--only", choices=("drain", "account", "rest", "beside"), help="measure this alone")
    given = parser.parse_args(arguments)
    sizes = Sizes(
        loops=given.loops,
        events=given.events,
        processes=(1, *[int(each) for each in given.processes.split(",") if int(each) > 1]),
        many=given.many,
        events_of_many=given.events_of_many,
        behind=given.behind,
        tick=given.tick,
    )
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        if given.only in (None, "drain"):
            lines += asyncio.run(drained_stores(Path(folder) / "drain", sizes))
        if given.only in (None, "account"):
            with running_azurite(Path(folder) / "data") as azurite:
                lines += asyncio.run(drained_account(azurite.connection_string(), sizes))
        if given.only in (None, "rest"):
            lines += asyncio.run(at_rest(Path(folder) / "rest", sizes))
        if given.only in (None, "beside"):
            lines += asyncio.run(beside(Path(folder) / "beside", sizes))
    show(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
