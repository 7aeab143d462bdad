"""Playing one set once: a player meets its events, and is updated as the protocol says."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.problems import Event, read
from benchmarks.quality_ours import Ours, Player
from benchmarks.vw import VowpalWabbit

Floats = npt.NDArray[np.float64]

PROTOCOLS: Mapping[str, Callable[[int, int], bool]] = {
    "every": lambda new, seen: True,
    "block10": lambda new, seen: new >= 10,
    "deployed": lambda new, seen: new >= min(100, max(10, 0.2 * seen)),
}
"""Whether what is new is to be learned and published, when so many events were seen in all."""

OURS = ""
"""Our player's name; any other is that of Vowpal Wabbit, namely its arguments."""


@dataclass(frozen=True, slots=True)
class Run:
    """Who plays which set, and how; ``from_change`` leaves out what was before the change."""

    path: Path
    seed: int
    protocol: str
    player: str = OURS
    exploration: float = 1.0
    from_change: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it: ``scores`` has what the drawn action earns on average, an event each."""

    run: Run
    name: str
    actions: int
    scores: Floats
    seconds: float


@dataclass(slots=True)
class _Window:
    """What was ranked and not yet learned."""

    logged: list[bytes] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)


def play_set(run: Run) -> Played:
    """Read the set and play it with a new player; everything that is up to chance follows from the seed."""
    problem = read(run.path, seed=run.seed)
    events = problem.events[problem.change :] if run.from_change else problem.events
    player = _player(run, events)
    begin = time.perf_counter()
    scores = play(player, events, protocol=run.protocol, seed=run.seed)
    return Played(run, problem.name, problem.actions, scores, time.perf_counter() - begin)


def play(player: Player, events: Sequence[Event], *, protocol: str, seed: int) -> Floats:
    """Give what the drawn actions earn on average: the mean of their rewards with less noise."""
    is_due = PROTOCOLS[protocol]
    scores = np.zeros(len(events))
    window = _Window()
    for index, event in enumerate(events):
        choice = player.rank(event.situation, f"{seed}-{index}")
        scores[index] = event.expected[choice.chosen]
        window.logged.append(choice.logged)
        window.rewards.append(event.rewards[choice.chosen])
        window.probabilities.append(choice.probabilities[choice.chosen])
        if is_due(len(window.logged), index + 1):
            player.learn(window.logged, window.rewards, window.probabilities)
            player.publish()
            window = _Window()
    return scores


def _player(run: Run, events: Sequence[Event]) -> Player:
    if run.player == OURS:
        return Ours(exploration=run.exploration)
    return VowpalWabbit(run.player, [event.situation for event in events])
