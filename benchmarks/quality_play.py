"""Playing one set once: a player meets its events, and is updated as the protocol says."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.problems import Event, Problem, read
from benchmarks.quality_elsewhere import play_elsewhere
from benchmarks.quality_loop import PROTOCOLS, play
from benchmarks.quality_ours import Ours, Player
from benchmarks.vw import VowpalWabbit
from benchmarks.worlds import CLICKS, World, fitted, make

__all__ = ["OURS", "PROTOCOLS", "Played", "Run", "play", "play_set"]

Floats = npt.NDArray[np.float64]

OURS = ""
"""Our player's name; any other is that of Vowpal Wabbit, namely its arguments."""


@dataclass(frozen=True, slots=True)
class Run:
    """Who plays which set or world, and how.

    At most ``limit`` events of a set are played (None: as many as is usual). ``from_change`` leaves out what was before the change.
    With a ``checkout``, ours is played by the learner of that folder.
    """

    source: Path | World
    seed: int
    protocol: str
    player: str = OURS
    exploration: float = 1.0
    from_change: bool = False
    limit: int | None = None
    checkout: Path | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it, an event each: ``scores`` has what the drawn action earns on average, ``best`` what the best one does.

    ``fitted`` has what a fit to all clicks would earn in the last quarter of a world where clicks are rare.
    """

    run: Run
    name: str
    actions: int
    scores: Floats
    seconds: float
    best: Floats | None = None
    fitted: Floats | None = None

    @property
    def is_world(self) -> bool:
        """Whether this is a world, of which the best is known to be sought, and not a set."""
        return isinstance(self.run.source, World)

    @property
    def figure(self) -> float:
        """The mean reward on a set; in a world the share of the best over the last tenth."""
        if not self.is_world or self.best is None:
            return float(self.scores.mean())
        tenth = max(len(self.scores) // 10, 1)
        return float(self.scores[-tenth:].sum() / self.best[-tenth:].sum())

    @property
    def of_fit(self) -> float | None:
        """The share of what the fit earns in the last quarter, where there is a fit."""
        return None if self.fitted is None else float(self.scores[-len(self.fitted) :].sum() / self.fitted.sum())


def play_set(run: Run) -> Played:
    """Read the set, or make the world, and play it with a new player; everything that is up to chance follows from the seed.

    Raises `benchmarks.quality_elsewhere.CheckoutError` when the learner of the checkout can not be played.
    """
    problem = _problem(run)
    events = problem.events[problem.change :] if run.from_change else problem.events
    begin = time.perf_counter()
    if run.checkout is not None:
        scores = play_elsewhere(run.checkout, events, protocol=run.protocol, seed=run.seed, exploration=run.exploration)
    else:
        scores = play(_player(run, events), events, protocol=run.protocol, seed=run.seed)
    seconds = time.perf_counter() - begin
    best = np.array([max(event.expected) for event in events])
    return Played(run, problem.name, problem.actions, scores, seconds, best, fitted(events) if problem.name == CLICKS else None)


def _problem(run: Run) -> Problem:
    if isinstance(run.source, World):
        return make(run.source, seed=run.seed)
    return read(run.source, seed=run.seed, limit=run.limit)


def _player(run: Run, events: Sequence[Event]) -> Player:
    if run.player == OURS:
        return Ours(exploration=run.exploration)
    return VowpalWabbit(run.player, [event.situation for event in events])
