"""Plays a programme in rounds, slowly enough for the loop to learn from one round before many others are over."""

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from examples.errors import KeyRefusedError, UnreachableError
from examples.events import Floats, Programme
from examples.player import Player
from examples.status import LoopStatus

TICK_SECONDS = 0.2
STATUS_EVERY_SECONDS = 1.0
NO_WAIT_PAYS_BEYOND = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to play: `rounds` of equal size, each lasting at least its share of `seconds`.

    A round is also held back, for at most `patience` seconds, while the loop has still to learn more than `allowance` events.
    """

    seconds: float
    rounds: int = 100
    patience: float = 1.5
    allowance: int = 400

    @classmethod
    def for_events(cls, events: int) -> "Pace":
        """Choose about a minute; a short run is played slower, so that it too sees several models.

        At most 55 events a second; below 4,000 events 72 seconds in all, but never slower than 8 a second.

        >>> [round(Pace.for_events(n).seconds) for n in (160, 600, 4000, 11000)]
        [20, 72, 73, 200]
        """
        seconds = max(events / 55.0, min(72.0, events / 8.0))
        return cls(seconds=seconds, allowance=max(round(8.0 * events / seconds), 50))

    @property
    def round_seconds(self) -> float:
        """How long a round lasts at least."""
        return self.seconds / self.rounds

    def split(self, events: int) -> Iterator[range]:
        """Cut the events into rounds."""
        edges = np.linspace(0, events, min(self.rounds, events) + 1).round().astype(int).tolist()
        return (range(start, stop) for start, stop in itertools.pairwise(edges))


@dataclass(slots=True)
class Session:
    """A run under way: its rewards so far (NaN where nothing was played yet) and what the app last said."""

    programme: Programme
    player: Player
    ask: Callable[[], LoopStatus]
    status: LoopStatus
    rewards: Floats = field(init=False)
    played: int = 0
    _learned_before: int | None = None
    _asked_at: float = -1.0e9
    _show: Callable[["Session"], None] = lambda session: None

    def __post_init__(self) -> None:
        self.rewards = np.full(len(self.programme.events), np.nan)

    def run(self, pace: Pace, *, workers: int, show: Callable[["Session"], None]) -> None:
        """Play everything and call `show` several times a second; what was played stays when this is interrupted."""
        self._learned_before = self.status.learned
        self._show = show
        pool = ThreadPoolExecutor(workers, thread_name_prefix="reader")
        try:
            for indices in pace.split(len(self.programme.events)):
                began = time.monotonic()
                self._play_round(pool, indices)
                self._idle(until=began + pace.round_seconds)
                self._idle(until=time.monotonic() + pace.patience, while_behind=pace.allowance)
        finally:
            self.player.stop()
            pool.shutdown(cancel_futures=True)

    @property
    def behind(self) -> int:
        """How many events of this run the loop has still to learn; 0 when it does not tell or waits too long to matter."""
        wait_time = self.status.reward_wait
        if self.status.learned is None or (wait_time is not None and wait_time > NO_WAIT_PAYS_BEYOND):
            return 0
        return self.played - (self.status.learned - (self._learned_before or 0))

    def _play_round(self, pool: ThreadPoolExecutor, indices: range) -> None:
        waiting: dict[Future[float], int] = {pool.submit(self.player.play, self.programme.events[i]): i for i in indices}
        while waiting:
            done, _ = wait(waiting, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                self.rewards[waiting.pop(future)] = future.result()
                self.played += 1
            self._tick()

    def _idle(self, *, until: float, while_behind: float = -math.inf) -> None:
        while time.monotonic() < until and self.behind > while_behind:
            self._tick()
            time.sleep(max(min(TICK_SECONDS, until - time.monotonic()), 0.0))

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._asked_at >= STATUS_EVERY_SECONDS:
            self._asked_at = now
            # Without an answer the last figures stay; whether the app still ranks is the player's to find out.
            with contextlib.suppress(UnreachableError, KeyRefusedError):
                self.status = self.ask()
        self._show(self)
