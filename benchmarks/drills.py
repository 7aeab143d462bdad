"""What is in the books when the whole service is killed, asked to end or photographed in the middle of its work: each event, once.

``python -m benchmarks.drills [--kills N] [--ends N] [--images N] [--ones N] [--processes N] [--seconds S]``; exits with 1 when something
acknowledged is not there.

Callers rank and reward events all the time. A call without an answer is made again, as applications do, until there is one. So what was
acknowledged is known, and what was not may be stored as well. A *kill* ends all processes of the service at once (SIGKILL), an *end* asks
for it (SIGTERM); the service is then started again on what is there. A *one* kills one of the processes, each in its turn; the service
goes on with the others and starts it again. An *image* is a copy of the store's folder that is made while all
processes are held still, between two of their system calls; it is opened by itself, and has to hold what was acknowledged before.
"""

import argparse
import asyncio
import contextlib
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks.books import Books, read_books
from benchmarks.callers import Callers, FreshTraffic, HungUpError, Place
from benchmarks.table import Line, show
from benchmarks.trees import Tree

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PERSONALIZER_REWARD_WAIT_TIME": "PT3S",
        "PERSONALIZER_INGEST_GRACE": "PT4S",
        "PERSONALIZER_TRAINER_SCHEDULE": "*/2 * * * * *",
        "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
        "PERSONALIZER_MODEL_POLL_INTERVAL": "PT1S",
    }
)
_CALLERS: Final = 8
_WAIT: Final = 2.0
"""Seconds after its first Rank call from which on an event's reward may come too late to count."""
_LONGER_EVERY: Final = 7
_LONGER: Final = 10
"""Every so many pauses one is so many times as long, so that the trainer has learned something by then."""
_PAUSE: Final = 0.05
"""Seconds between two calls of a caller, and before a call is made again."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Events whose Rank was answered with success, and the rewards that were, each soon enough after the Rank to count."""

    ranked: frozenset[str]
    rewarded: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """How often what is done."""

    kills: int = 0
    ends: int = 0
    images: int = 0
    ones: int = 0

    def in_turn(self) -> Iterator[str]:
        """Name what is done, one of each in turn.

        >>> list(Plan(kills=2, ones=1).in_turn())
        ['kill', 'one', 'kill']
        """
        left = {"image": self.images, "kill": self.kills, "end": self.ends, "one": self.ones}
        while any(left.values()):
            for what in left:
                if left[what]:
                    left[what] -= 1
                    yield what


@dataclass(slots=True)
class Found:
    """What was done, and what is wrong with the books afterwards.

    ``learned`` counts the events that the service's own trainer had learned by then, ``repeated`` the calls that were made again.
    """

    kills: int = 0
    ends: int = 0
    ones: int = 0
    images: int = 0
    ranked: int = 0
    rewarded: int = 0
    learned: int = 0
    repeated: int = 0
    refused: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class Crowd:
    """Callers that go on while the service comes and goes."""

    def __init__(self, place: Place, *, seed: int) -> None:
        self._place = place
        self._traffic = FreshTraffic(seed=seed)
        self._ranked: set[str] = set()
        self._rewarded: dict[str, float] = {}
        self._ending = False
        self.repeated = 0
        self.refused: list[str] = []

    @property
    def acknowledged(self) -> Acknowledged:
        """Everything so far."""
        return Acknowledged(frozenset(self._ranked), dict(self._rewarded))

    async def call(self) -> None:
        """Rank and reward until it is asked to end; what is under way then gets its answers."""
        callers = Callers(self._place, connections=_CALLERS)
        await asyncio.gather(*(self._caller(callers) for _ in range(_CALLERS)))
        await callers.close()

    def end(self) -> None:
        """Ask it to end."""
        self._ending = True

    async def _caller(self, callers: Callers) -> None:
        while not self._ending:
            event_id, begun, reward = secrets.token_hex(16), time.monotonic(), self._traffic.reward() or 0.5
            if not await self._until_answered(callers, self._place.rank(self._traffic.body(event_id))):
                return
            self._ranked.add(event_id)
            if not await self._until_answered(callers, self._place.reward(event_id, reward)):
                return
            if time.monotonic() - begun < _WAIT:
                self._rewarded[event_id] = reward
            await asyncio.sleep(_PAUSE)

    async def _until_answered(self, callers: Callers, request: bytes) -> bool:
        """Make a call again and again until it succeeds; whether it did before there was nobody to answer any more."""
        while True:
            try:
                status, body = await callers.ask(request)
            except (HungUpError, OSError, TimeoutError):
                if self._ending:
                    return False
            else:
                if status < 300:
                    return True
                self.refused.append(f"{status}: {body[:200].decode(errors='replace')}")
            self.repeated += 1
            await asyncio.sleep(_PAUSE)


def wrong(books: Books, acknowledged: Acknowledged) -> list[str]:
    """Tell what is not in the books as it was acknowledged, and what is there more than once."""
    faults = [f"{each} was ranked, and is not there" for each in sorted(acknowledged.ranked - books.times.keys())]
    faults += [f"{each} is there {times} times" for each, times in books.times.items() if times != 1]
    for each, reward in acknowledged.rewarded.items():
        if books.rewards.get(each, reward) != reward:
            faults.append(f"{each} was rewarded with {reward}, and there is {books.rewards[each]}")
    if books.counters.learned != len(books.times):
        faults.append(f"{books.counters.learned} events are counted, and {len(books.times)} are there")
    return faults


async def drill(folder: Path, plan: Plan, *, seconds: float, processes: int = 1, seed: int = 1) -> Found:
    """Do what is planned with up to so many seconds of traffic before each, or ten times that, and look into the books."""
    found, chance = Found(), FreshTraffic(seed=seed)
    tree = Tree(folder / "service", settings=SETTINGS, processes=processes)
    crowd = Crowd(Place(tree.port, tree.key), seed=seed)
    taken: list[tuple[Path, Acknowledged]] = []
    await asyncio.to_thread(tree.start)
    calling = asyncio.create_task(crowd.call())
    try:
        for number, what in enumerate(plan.in_turn(), start=1):
            await asyncio.sleep(seconds * chance.part() * (1 if number % _LONGER_EVERY else _LONGER))
            if what == "image":
                before = crowd.acknowledged
                image = folder / f"image{found.images}"
                await asyncio.to_thread(tree.image, image)
                taken.append((image, before))
                found.images += 1
                continue
            if what == "one":
                names = tree.names
                await asyncio.to_thread(tree.kill_one, names[found.ones % len(names)])
                found.ones += 1
                continue
            await asyncio.to_thread(tree.kill if what == "kill" else tree.stop)
            found.kills += what == "kill"
            found.ends += what == "end"
            await asyncio.to_thread(tree.start)
        await asyncio.sleep(seconds * chance.part())
        crowd.end()
        await calling
        await asyncio.to_thread(tree.kill)
    finally:
        calling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await calling
        await asyncio.to_thread(tree.stop)
    for store, acknowledged in [*taken, (tree.store, crowd.acknowledged)]:
        books = await read_books(store, settings=SETTINGS)
        found.lost += [f"{store.name}: {fault}" for fault in wrong(books, acknowledged)]
        found.learned = books.learned_before
        shutil.rmtree(store)
    found.ranked, found.rewarded = len(crowd.acknowledged.ranked), len(crowd.acknowledged.rewarded)
    found.repeated, found.refused = crowd.repeated, crowd.refused
    return found


def lines(found: Found) -> list[Line]:
    """Write down what was found."""
    done = f"{found.kills} kills, {found.ends} ends, {found.ones} of one process, {found.images} images"
    return [
        Line("drills", f"{done}: events ranked / rewarded", f"{found.ranked:,} / {found.rewarded:,}"),
        Line("drills", "of them learned before the last kill", f"{found.learned:,}"),
        Line("drills", "calls made again / refused with a status", f"{found.repeated:,} / {len(found.refused):,}"),
        Line("drills", "not in the books as acknowledged, or not once", f"{len(found.lost):,}"),
    ]


def main(arguments: Sequence[str]) -> int:
    """Run the drill in a temporary folder; 1 when something is wrong with the books."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50, metavar="N")
    parser.add_argument("--ends", type=int, default=5, metavar="N")
    parser.add_argument("--images", type=int, default=20, metavar="N")
    parser.add_argument("--ones", type=int, default=0, metavar="N", help="kills of one process (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="for calls, and for each queue (default: %(default)s)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=2.0,
        metavar="S",
        help="at most that long before each, and ten times as long before every seventh (default: %(default)s)",
    )
    given = parser.parse_args(arguments)
    plan = Plan(kills=given.kills, ends=given.ends, images=given.images, ones=given.ones)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(drill(Path(folder), plan, seconds=given.seconds, processes=given.processes))
    show(lines(found))
    for fault in found.lost[:50]:
        print(fault, file=sys.stderr)
    return int(bool(found.lost))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
