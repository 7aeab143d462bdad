"""Rank and Reward of the whole service under steady traffic, as a store grows: minute by minute, or a full store beside a young one.

``python -m benchmarks.steady --minutes 60`` plays an hour and tells of each minute. ``--filled 540000`` makes a store as an hour leaves it
and one as the first minute does, and plays another minute on both, some seconds each in turn.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks.callers import Callers, FreshTraffic, Place, Tally
from benchmarks.filling import fill
from benchmarks.table import Goal, Line, show
from benchmarks.timing import median, percentile
from benchmarks.trees import Tree
from shared.runtime.settings import DEFAULTS
from shared.storage import names
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.model_store import FileModelStore
from shared.storage.settings import FolderSettings

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PERSONALIZER_REWARD_WAIT_TIME": "PT30S",
        "PERSONALIZER_TRAINER_SCHEDULE": "*/10 * * * * *",
        "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT10S",
    }
)
"""The service's own, but learning so often, and after so short a wait, that the second minute has as much to do as the last."""

QUICK: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
        "PERSONALIZER_INGEST_GRACE": "PT4S",
        "PERSONALIZER_TRAINER_SCHEDULE": "*/2 * * * * *",
        "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    }
)
"""As short as may be: what a first look leaves, since it is too young, is not to wait for minutes."""
GOAL = Goal(1.3)
FLAT = Goal(1.15)
RATE: Final = 150.0
_MB: Final = 1e6
_LEARNED_WITHIN: Final = 600.0
_PER_ROW: Final = 2
_YOUNG: Final = 9_000
"""Decisions of the first minute."""


def run(storage: str, *, quick: bool) -> list[Line]:
    """Measure a full store beside a young one."""
    del storage
    if quick:
        return asyncio.run(beside(filled=100, seconds=0.5, rounds=2, rate=50.0, settings=QUICK))
    return asyncio.run(beside(filled=60_000, seconds=10.0, rounds=6))


# --- a full store beside a young one ----------------------------------------------------------------------------------------


async def beside(*, filled: int, seconds: float, rounds: int, rate: float = RATE, settings: Mapping[str, str] = SETTINGS) -> list[Line]:
    """Play on both in turn, so many seconds in so many rounds, and compare."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        few = min(filled // 10, _YOUNG)
        full, young = Tree(folder / "full", settings=settings), Tree(folder / "young", settings=settings)
        for tree, decisions in ((full, filled), (young, few)):
            await fill(tree.store, decisions=decisions, per_row=_PER_ROW)
            await asyncio.to_thread(stack.enter_context, tree)
        await _until_learned(full, filled)
        await _until_learned(young, few)
        tallies: dict[Tree, list[Tally]] = {full: [], young: []}
        for number in range(rounds + 1):
            for tree in (full, young) if number % 2 else (young, full):
                tallies[tree].append(await _played(tree, seconds=seconds, rate=rate, seed=number))
        found = await parts(full.store), await parts(young.store)
    of_full, of_young = _sum(tallies[full][1:]), _sum(tallies[young][1:])  # the first round warms up
    what = f"behind {filled:,} decisions / {few:,}"
    errors = len(of_full.errors) + len(of_young.errors)
    return [
        _compared(f"Rank p99, {what}", of_full.rank, of_young.rank),
        _compared(f"Rank p50, {what}", of_full.rank, of_young.rank, share=0.5, goal=None),
        _compared(f"Reward p99, {what}", of_full.reward, of_young.reward),
        _median_of_rounds(tallies[full][1:], tallies[young][1:]),
        Line(
            "steady",
            "calls without success, of both",
            f"{errors:,}",
            f"of {sum(len(each.rank + each.reward) for each in (of_full, of_young)):,}",
        ),
        *[Line("steady", f"MB on the disk: {name}", f"{found[0][name] / _MB:,.1f}", f"{found[1][name] / _MB:,.1f}") for name in found[0]],
    ]


def _compared(measure: str, ours: Sequence[float], floor: Sequence[float], *, share: float = 0.99, goal: Goal | None = GOAL) -> Line:
    measured, beside_it = percentile(ours, share), percentile(floor, share)
    return Line("steady", measure, _ms(measured), _ms(beside_it), measured / beside_it, goal)


def _median_of_rounds(full: Sequence[Tally], empty: Sequence[Tally]) -> Line:
    ratios = [percentile(a.rank, 0.99) / percentile(b.rank, 0.99) for a, b in zip(full, empty, strict=True)]
    return Line("steady", f"  median of {len(ratios)} rounds' ratios of Rank p99", "", "", median(ratios))


async def _until_learned(tree: Tree, decisions: int) -> None:
    """Return when the service has learned what it found."""
    storage = EmbeddedStorage(FolderSettings(tree.store))
    try:
        async with asyncio.timeout(_LEARNED_WITHIN):
            while True:
                stored = await FileModelStore(storage, loop="default").pointer()
                if stored and stored[0].counters.processed >= decisions:
                    return
                await asyncio.sleep(1.0)
    finally:
        await storage.close()


# --- minute by minute --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Minute:
    """What a minute came to, and what the service took at its end, in bytes."""

    tally: Tally
    memory: Mapping[str, int]
    disk: Mapping[str, int]


@dataclass(slots=True)
class Minutes:
    """The minutes so far, and in the end what is kept beyond what the retention says."""

    played: list[Minute] = field(default_factory=list)
    kept: Sequence[Line] = ()

    def add(self, minute: Minute) -> None:
        """Take a minute, and tell of it."""
        self.played.append(minute)
        tally = minute.tally
        memory = " ".join(f"{role} {size / _MB:.0f}" for role, size in sorted(minute.memory.items()))
        disk = " ".join(f"{part} {size / _MB:.1f}" for part, size in minute.disk.items())
        print(
            f"minute {len(self.played)}: Rank p50 {_ms(percentile(tally.rank, 0.5))} p99 {_ms(percentile(tally.rank, 0.99))},"
            f" Reward p50 {_ms(percentile(tally.reward, 0.5))} p99 {_ms(percentile(tally.reward, 0.99))},"
            f" errors {len(tally.errors)}; MB of memory: {memory}; MB on the disk: {disk}",
            file=sys.stderr,
            flush=True,
        )

    def lines(self) -> list[Line]:
        """Compare the last minute with the second."""
        second, last = self.played[min(1, len(self.played) - 1)], self.played[-1]
        what = f"minute {len(self.played)} / minute 2"
        errors = [error for minute in self.played for error in minute.tally.errors]
        ranks = sum(len(minute.tally.rank) for minute in self.played)
        return [
            _compared(f"Rank p99, {what}", last.tally.rank, second.tally.rank),
            _compared(f"Reward p99, {what}", last.tally.reward, second.tally.reward),
            Line("steady", "calls without success", f"{len(errors):,}", f"of {ranks:,} Ranks and their rewards"),
            *[
                Line("steady", f"MB of memory, {role}, {what}", _mb(last.memory[role]), _mb(before), last.memory[role] / before, FLAT)
                for role, before in sorted(second.memory.items())
                if role in last.memory
            ],
            *[Line("steady", f"MB on the disk, {part}, {what}", _mb(size), _mb(second.disk[part])) for part, size in last.disk.items()],
            *self.kept,
        ]


async def minutes(*, count: int, seconds: float = 60.0, rate: float = RATE) -> Minutes:
    """Play so many minutes on a store that is empty at first."""
    told = Minutes()
    with tempfile.TemporaryDirectory() as folder, Tree(Path(folder), settings=SETTINGS) as tree:
        for number in range(count):
            tally = await _played(tree, seconds=seconds, rate=rate, seed=number)
            told.add(Minute(tally, tree.memory(), await parts(tree.store)))
            for error in tally.errors[:3]:
                print(error, file=sys.stderr)
        tree.stop()
        told.kept = await _kept(tree.store)
    return told


# --- both --------------------------------------------------------------------------------------------------------------------


async def _played(tree: Tree, *, seconds: float, rate: float, seed: int) -> Tally:
    callers = Callers(Place(tree.port, tree.key))
    try:
        return await callers.play(FreshTraffic(seed=seed), rate=rate, seconds=seconds)
    finally:
        await callers.close()


def _sum(tallies: Sequence[Tally]) -> Tally:
    total = Tally()
    for each in tallies:
        total.add(each)
    return total


async def parts(store: Path) -> dict[str, int]:
    """Tell the bytes of a store by what they are for."""
    storage = EmbeddedStorage(FolderSettings(store))
    try:
        models = storage.files(names.MODELS)
        learned = [
            entry.size for prefix in ("models_prefix", "states_prefix") async for entry in models.listing(getattr(names, prefix)("default"))
        ]
        joined = [entry.size async for entry in storage.files(names.LOGS).listing(names.chunks_prefix("default"))]
    finally:
        await storage.close()
    sizes = _sizes(store)
    rows = sum(size for path, size in sizes.items() if path.parts[0] == "rows" and path.suffix == ".db")
    logs = sum(size for path, size in sizes.items() if path.name.endswith("-wal"))
    return {
        "rows": rows,
        "joined log": sum(joined),
        "models and states": sum(learned),
        "write-ahead logs": logs,
        "all": sum(sizes.values()),
    }


async def _kept(store: Path) -> list[Line]:
    """Compare what a store holds of a loop that is at rest with what it may hold."""
    storage = EmbeddedStorage(FolderSettings(store))
    try:
        states = [entry async for entry in storage.files(names.MODELS).listing(names.states_prefix("default"))]
        named = [entry.size for area in await storage.areas() async for entry in storage.files(area).listing("")]
    finally:
        await storage.close()
    most = int(DEFAULTS["PERSONALIZER_MODELS_KEPT"]) + 1
    contents = sum(size for path, size in _sizes(store).items() if path.parts[0] == "content")
    return [
        Line("steady", "states, beside the most that are kept", f"{len(states)}", f"{most}", len(states) / most, Goal(1)),
        Line("steady", "MB of contents, beside those of all files", _mb(contents), _mb(sum(named)), contents / max(sum(named), 1), Goal(1)),
    ]


def _sizes(folder: Path) -> dict[Path, int]:
    sizes = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            sizes[path.relative_to(folder)] = path.stat().st_size if path.is_file() else 0
    return sizes


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def _mb(size: int) -> str:
    return f"{size / _MB:,.1f}"


def main(arguments: Sequence[str]) -> int:
    """Measure one of both, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steady", description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=RATE, metavar="N", help="Rank calls a second (default: %(default)s)")
    parser.add_argument("--minutes", type=int, default=0, metavar="N", help="play so many minutes on one store")
    parser.add_argument(
        "--filled", type=int, default=0, metavar="N", help="make a store with so many decisions, and play on it and on a young one"
    )
    given = parser.parse_args(arguments)
    if not given.minutes and not given.filled:
        parser.error("say --minutes N or --filled N")
    lines = asyncio.run(beside(filled=given.filled, seconds=10.0, rounds=6, rate=given.rate)) if given.filled else []
    if given.minutes:
        lines += asyncio.run(minutes(count=given.minutes, rate=given.rate)).lines()
    show(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
