"""What every example needs around its loop: where the app is, visitors at a steady pace, and the learning curve."""

import argparse
import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from examples.errors import DemoError
from examples.own_app import OwnApp
from examples.player import is_local
from examples.python.world import Visitor, World
from examples.safety import check_loop
from examples.status import read_status

VISITORS, SHORT = 3000, 300
SECONDS, SHORT_SECONDS = 75.0, 30.0
LONG_WAIT = 30.0
COLUMNS = 40


@dataclass(frozen=True, slots=True)
class Stage:
    """The loop that is called, and how many visitors come; `proxies` is false where no proxy can help."""

    endpoint: str
    key: str
    count: int
    seconds: float
    seed: int

    @property
    def proxies(self) -> bool:
        """Whether the environment's proxies may be used: not for this machine."""
        return not is_local(self.endpoint)

    def visitors(self, world: str) -> Iterator[Visitor]:
        """Let visitors come at a steady pace, or as fast as they are served."""
        began = time.monotonic()
        for number, visitor in enumerate(World(world, seed=self.seed).visitors(self.count)):
            time.sleep(max(began + number * self.seconds / self.count - time.monotonic(), 0.0))
            yield visitor


@contextlib.contextmanager
def stage(description: str | None, *, short: int = SHORT) -> Iterator[Stage]:
    """Read the command line, find the loop of ENDPOINT and KEY, or start an app with short waits until the block is left."""
    parser = argparse.ArgumentParser(description=description, epilog="ENDPOINT and KEY in the environment name the loop to call.")
    parser.add_argument(
        "--short", action="store_true", help=f"{short} visitors in {SHORT_SECONDS * short / SHORT:.0f} seconds instead of {VISITORS:,}"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the visitors")
    parser.add_argument("--anyway", action="store_true", help="call the loop even if it has events already")
    options = parser.parse_args()
    visits = (short, SHORT_SECONDS * short / SHORT, options.seed) if options.short else (VISITORS, SECONDS, options.seed)
    try:
        if endpoint := os.environ.get("ENDPOINT"):
            key = os.environ.get("KEY", "")
            if not options.anyway:
                check_loop(endpoint, read_status(endpoint, key), command="add --anyway")
            yield Stage(endpoint, key, *visits)
            return
        with OwnApp() as app:
            print("Starting an app for this example ...", flush=True)
            app.wait_until_ready()
            yield Stage(app.endpoint, app.key, *visits)
    except DemoError as error:
        parser.exit(2, f"{error}\n")


@dataclass(slots=True)
class Curve:
    """The rewards so far, beside what picking blindly and knowing everything would earn on the same visitors."""

    stage: Stage
    rewards: list[float] = field(default_factory=list)
    blind: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        wait = read_status(self.stage.endpoint, self.stage.key).reward_wait
        if wait is not None and wait.total_seconds() > LONG_WAIT:
            print(f"This loop waits {wait} (h:mm:ss) for rewards, so it learns from these visitors later than that.")
        print(f"{'visitors':>8}  reward{'':{COLUMNS - 1}}random   best", flush=True)

    def add(self, reward: float, visitor: Visitor, worth: Mapping[str, float], *, without: Sequence[str] = ()) -> None:
        """Count a visitor who was shown one action, of all but those `without`."""
        expected = [visitor.expects(action["id"], worth) for action in visitor.actions if action["id"] not in without]
        self.count(reward, blind=sum(expected) / len(expected), best=max(expected))

    def count(self, reward: float, *, blind: float, best: float) -> None:
        """Count one visitor; after each tenth of them a line is printed."""
        self.rewards.append(reward)
        self.blind.append(blind)
        self.best.append(best)
        tenth = self.stage.count // 10
        if len(self.rewards) % tenth == 0:
            now, random, best = (_mean(values[-tenth:]) for values in (self.rewards, self.blind, self.best))
            bar = "█" * round(COLUMNS * max(now, 0.0) / max(best, now, 0.01))
            print(f"{len(self.rewards):8}  {now:6.3f} {bar:{COLUMNS}}{random:6.3f} {best:6.3f}", flush=True)

    def tell(self) -> None:
        """Say what the last third earned, when most had been learned."""
        third = self.stage.count // 3
        reward, random, best = (_mean(values[-third:]) for values in (self.rewards, self.blind, self.best))
        print(f"Last third: reward {reward:.3f}, random {random:.3f}, best possible {best:.3f}.", flush=True)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
