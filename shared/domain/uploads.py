"""What a client that decides by itself is given for it, and what it reports later, in batches."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from shared.domain.events import LearningMode, Situation
from shared.domain.loop import ApprenticeLearning, LearningPolicy, LoopSettings


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision depends on beside its request: the model, by its version ("": none yet), and these settings.

    ``place`` is the life of the loop: what was decided in another one is not decided by this.
    """

    place: str
    version: str
    learning_mode: LearningMode
    apprentice_learning: ApprenticeLearning
    exploration_percentage: float
    arguments: str

    @classmethod
    def of(cls, place: str, version: str, settings: LoopSettings) -> Self:
        """Take from a loop's settings what decisions depend on."""
        return cls(
            place,
            version,
            settings.learning_mode,
            settings.apprentice_learning,
            settings.exploration_percentage,
            settings.policy.arguments,
        )

    def settings(self, present: LoopSettings) -> LoopSettings:
        """Give the settings that were decided by; all else is as at present."""
        return replace(
            present,
            learning_mode=self.learning_mode,
            apprentice_learning=self.apprentice_learning,
            exploration_percentage=self.exploration_percentage,
            policy=LearningPolicy(arguments=self.arguments),
        )


@dataclass(frozen=True, slots=True)
class Interaction:
    """A decision that a client made: ``probabilities`` in the order of the situation's actions, ``chosen`` an index into them.

    ``at`` is the client's time, None if it tells none.
    """

    event_id: str
    situation: Situation
    probabilities: tuple[float, ...]
    chosen: int
    model_version: str
    deferred: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Report:
    """A reward that a client observed, for an event or one slot of it, or (``reward`` is None) the activation of the event."""

    event_id: str
    reward: float | None
    slot: str
    at: datetime | None
