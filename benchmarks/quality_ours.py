"""The learner as the benchmarks of quality and of speed see it: nothing else there knows how it is built."""

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from benchmarks import reload
from benchmarks.problems import Shape, made
from shared.domain.events import Situation
from shared.learning import artifact
from shared.learning.encoding import Encoder, to_batch
from shared.learning.exploration import draw
from shared.learning.learner import Learner
from shared.learning.model import Model
from shared.learning.policy import Policy


@dataclass(frozen=True, slots=True)
class Choice:
    """What Rank decided; ``logged`` is what it hands to the learner by way of the log."""

    probabilities: tuple[float, ...]
    chosen: int
    logged: bytes


class Player(Protocol):
    """Whoever can be played: ours, and the peers."""

    def rank(self, situation: Situation, event_id: str) -> Choice:
        """Choose by what was published last, and by chance that the event id fixes."""

    def learn(self, logged: Sequence[bytes], rewards: Sequence[float], probabilities: Sequence[float]) -> None:
        """Learn events in order; ``probabilities`` are those of the chosen actions."""

    def publish(self) -> None:
        """Serve what was learned."""


class Ours:
    """The production path: encoder, policy, seeded draw, learner, and the artifact in between."""

    def __init__(self, *, exploration: float = 1.0) -> None:
        self._exploration = exploration
        self._encoder = Encoder()
        self._learner = Learner.cold()
        self._policy = Policy(Model.cold(), exploration_percentage=exploration)

    def probabilities(self, situation: Situation) -> tuple[float, ...]:
        """Do what Rank does from the parsed request to the chances."""
        return self._policy.probabilities(self._encoder.encode(situation), situation.allowed)

    def rank(self, situation: Situation, event_id: str) -> Choice:
        """Rank as `shared.services.serving.ranking` does."""
        encoded = self._encoder.encode(situation)
        probabilities = self._policy.probabilities(encoded, situation.allowed)
        chosen = draw(probabilities, loop="benchmark", event_id=event_id)
        return Choice(probabilities, chosen, encoded.logged(chosen))

    def learn(self, logged: Sequence[bytes], rewards: Sequence[float], probabilities: Sequence[float]) -> None:
        """Learn as the trainer does: one window of the log at once."""
        self._learner.learn(to_batch(logged, rewards=rewards, probabilities=probabilities))

    def publish(self) -> None:
        """Serve the model after a round trip through the artifact."""
        self.load(self.dump())

    def dump(self) -> bytes:
        """Give the artifact."""
        return artifact.dump_model(self._learner)

    def dump_state(self) -> bytes:
        """Give what the trainer writes besides, to go on from."""
        return artifact.dump_state(self._learner)

    def load(self, model: bytes) -> None:
        """Serve the model of an artifact."""
        self._policy = Policy(artifact.load_model(model), exploration_percentage=self._exploration)


def largest_model() -> bytes:
    """Give the artifact of a model that can not grow any more."""
    return reload.largest_model()


def weigh(path: str) -> float:
    """Serve the model of this file, and give the most megabytes that this process ever had."""
    ours = Ours()
    ours.load(Path(path).read_bytes())
    for situation in islice(made(Shape(actions=50), seed=9), 200):
        ours.rank(situation, "event")
    status = Path("/proc/self/status")
    if status.exists():  # `getrusage` tells what the process had that started this one, if that was more
        return float(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
