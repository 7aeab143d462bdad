"""The loop of playing. It needs nothing of the project, so that another checkout's learner is played by the very same steps."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from benchmarks.problems import Event
    from benchmarks.quality_ours import Player

PROTOCOLS: Mapping[str, Callable[[int, int], bool]] = {
    "every": lambda new, seen: True,
    "block10": lambda new, seen: new >= 10,
    "deployed": lambda new, seen: new >= min(100, max(10, 0.2 * seen)),
}
"""Whether what is new is to be learned and published, when so many events were seen in all."""


def play(player: "Player", events: "Sequence[Event]", *, protocol: str, seed: int) -> "npt.NDArray[np.float64]":
    """Give what the drawn actions earn on average: the mean of their rewards with less noise."""
    is_due = PROTOCOLS[protocol]
    scores = np.zeros(len(events))
    window: list[tuple[bytes, float, float]] = []
    for index, event in enumerate(events):
        choice = player.rank(event.situation, f"{seed}-{index}")
        scores[index] = event.expected[choice.chosen]
        window.append((choice.logged, event.rewards[choice.chosen], choice.probabilities[choice.chosen]))
        if is_due(len(window), index + 1):
            logged, rewards, probabilities = map(list, zip(*window, strict=True))
            player.learn(logged, rewards, probabilities)
            player.publish()
            window = []
    return scores
