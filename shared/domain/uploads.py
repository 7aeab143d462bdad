"""What a client that decides by itself is given for it, and what it reports later, in batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from shared.domain.events import LearningMode, Situation
from shared.domain.loop import ApprenticeLearning, LearningPolicy, LoopSettings
from shared.domain.slots import MultiSlotSituation


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
    holdout_percentage: float = 0.0

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
            settings.holdout_percentage,
        )

    @classmethod
    def none(cls, place: str) -> Self:
        """Give what is decided by without a model and settings: all actions get the same chance."""
        return cls.of(place, "", LoopSettings())

    def settings(self, present: LoopSettings) -> LoopSettings:
        """Give the settings that were decided by; all else is as at present."""
        return replace(
            present,
            learning_mode=self.learning_mode,
            apprentice_learning=self.apprentice_learning,
            exploration_percentage=self.exploration_percentage,
            policy=LearningPolicy(arguments=self.arguments),
            holdout_percentage=self.holdout_percentage,
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
    """A reward that a client observed, for an event or one slot of it, or (``reward`` is None) the activation of the event.

    ``id`` tells it from others that say the same ("": nothing does).
    """

    event_id: str
    reward: float | None
    slot: str
    at: datetime | None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """An action that a client has shown, in a slot ("": there are none), and the probability that it was drawn with."""

    slot: str
    action_id: str
    probability: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A decision that a client says it made: it counts if the service comes to the same.

    ``line`` is its number in the batch, and ``text`` the line as it came. ``ticket`` tells what it was decided by ("": by nothing).
    """

    line: int
    event_id: str
    asked: Situation | MultiSlotSituation
    deferred: bool
    at: datetime
    shown: tuple[Shown, ...]
    ticket: str
    text: bytes = field(repr=False)


class RefusalCode(StrEnum):
    """Why a line is not stored."""

    INVALID_LINE = "InvalidLine"
    INVALID_TICKET = "InvalidTicket"
    TICKET_OF_ANOTHER_LOOP = "TicketOfAnotherLoop"
    MODEL_NOT_KEPT = "ModelNotKept"
    NOT_REPRODUCED = "NotReproduced"
    TOO_OLD = "TooOld"
    IN_THE_FUTURE = "InTheFuture"
    CONFLICT = "Conflict"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is not stored, and why; ``event_id`` is "" where none can be read."""

    line: int
    event_id: str
    code: RefusalCode
    message: str
    text: bytes = field(repr=False)

    @classmethod
    def of(cls, claim: Claim, code: RefusalCode, message: str) -> Self:
        """Refuse a claim."""
        return cls(claim.line, claim.event_id, code, message, claim.text)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a client sends at a time: its time then, if it tells it, its decisions, and the lines that cannot be read as one."""

    sent_at: datetime | None
    claims: Sequence[Claim]
    unread: Sequence[Refusal] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many decisions of a batch were stored, and how many were stored before; and those that were refused, by line."""

    stored: int
    repeated: int
    refused: Sequence[Refusal]
