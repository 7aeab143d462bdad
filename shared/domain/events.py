"""What a Rank call asks, what was answered, what was observed, and the three put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

JsonValue = str | int | float | bool | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
Features = Mapping[str, JsonValue]
"""One features object of the wire format: ``{namespace: {name: value}}`` or ``{name: value}``."""

EventKey = str | tuple[str, str]
"""What rewards and repeated decisions are matched by: the event id, or event id and slot where there is a slot."""


LARGEST_WEIGHT: Final = 1e6
"""Of an event among others: what it is summed up to has to stay finite."""


class LearningMode(StrEnum):
    """What Rank answers with and whether the model learns from it."""

    ONLINE = "Online"
    APPRENTICE = "Apprentice"
    LOGGING_ONLY = "LoggingOnly"


EQUALLY_LIKELY: Final = 1.0 - 1e-6
"""The part of the highest probability from which on another one counts as equal to it: sums of probabilities are rounded."""


@dataclass(frozen=True, slots=True)
class Action:
    """One of the things that could be shown.

    ``text`` is the action as the log writes it (`shared.joining.dsjson.action_text`), where that is known already.
    """

    id: str
    features: tuple[Features, ...]
    text: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Situation:
    """Context, actions and exclusions of one choice, checked: at least one action may be chosen.

    ``slot`` names the slot of a multi-slot call that it is for ("": none), and ``baseline_id`` the action that the
    application would choose there ("": the first that may be chosen). ``left_out`` are the places of the request where a feature without
    a name was left out, some of them if they are many.
    """

    context: tuple[Features, ...]
    actions: tuple[Action, ...]
    excluded: frozenset[str] = frozenset()
    slot: str = ""
    baseline_id: str = ""
    left_out: tuple[str, ...] = field(default=(), compare=False)

    @property
    def allowed(self) -> tuple[bool, ...]:
        """One flag an action, in request order: whether it may be chosen."""
        excluded = self.excluded
        return tuple([action.id not in excluded for action in self.actions]) if excluded else (True,) * len(self.actions)

    @property
    def baseline(self) -> int:
        """Index of the application's own choice: the action it names, or else the first that is not excluded."""
        allowed = self.allowed
        named = [index for index, action in enumerate(self.actions) if allowed[index] and action.id == self.baseline_id]
        return named[0] if named else allowed.index(True)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the policy drew in Apprentice mode, where the baseline was shown: the action's index, and what it was drawn with.

    If it ``is_lesson``, the model learns to propose the baseline from it: reward 1 if it did, else 0. If not, the model learns
    from what the baseline earned.
    """

    action: int
    probability: float
    is_lesson: bool


@dataclass(frozen=True, slots=True)
class Holdout:
    """That a decision was part of the standing experiment: ``share`` of the events are held out and shown the baseline.

    ``chance`` is the same for an event of one choice, and for the first slot; for a later slot it is the chance that the event is held
    out as far as the slots before it tell. The decision's probabilities are mixed by it (`shared.learning.holdout`).
    """

    share: float
    chance: float
    is_held_out: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The logged answer to one Rank call, or to one slot of it ("": it has none).

    ``probabilities`` are what the choice was drawn from, in request order; ``chosen`` is an index into them.
    ``situation`` is the request's context and actions as JSON text (`shared.joining.dsjson` gives its shape) and
    ``encoded`` what Rank computed from it (`shared.learning.encoding`), with the action that is learned about: neither is parsed
    again on the way to the model. ``proposal`` is there in Apprentice mode only, ``holdout`` in Online mode while the loop has one.
    """

    event_id: str
    decided_at: datetime
    model_version: str
    mode: LearningMode
    probabilities: tuple[float, ...]
    chosen: int
    deferred: bool
    situation: bytes
    encoded: bytes
    slot: str = ""
    proposal: Proposal | None = None
    holdout: Holdout | None = None

    @property
    def key(self) -> EventKey:
        """What its rewards name."""
        return (self.event_id, self.slot) if self.slot else self.event_id

    @property
    def learned_action(self) -> int:
        """Index of the action that the model learns about, which ``encoded`` holds."""
        return self.proposal.action if self.proposal is not None and self.proposal.is_lesson else self.chosen

    @property
    def is_explored(self) -> bool:
        """Whether the policy's chance chose: another action was drawn than the likeliest, or several were the likeliest."""
        if self.holdout is not None and self.holdout.is_held_out:
            return False
        highest = max(self.probabilities) * EQUALLY_LIKELY
        return self.probabilities[self.chosen] < highest or sum(each >= highest for each in self.probabilities) > 1

    @property
    def is_imitated(self) -> bool:
        """Whether the policy proposed what was shown."""
        return self.proposal is not None and self.proposal.action == self.chosen


@dataclass(frozen=True, slots=True)
class Observation:
    """A reward reported for an event id, or for one slot of it, or (``reward`` is None) the activation of the whole event.

    ``mark`` is made of the id that a client gave a reward (`shared.domain.identity.id_mark`; 0: it gave none). Of the rewards of one event
    and slot with the same mark one counts. The joined log has no marks: it has only the one that counts.
    """

    event_id: str
    observed_at: datetime
    reward: float | None
    slot: str = ""
    mark: int = 0

    @property
    def key(self) -> EventKey:
        """What it reports on."""
        return (self.event_id, self.slot) if self.slot else self.event_id

    @property
    def is_activation(self) -> bool:
        """Whether this reports an activation rather than a reward."""
        return self.reward is None


class SkipReason(StrEnum):
    """Why a logged decision was not learned from."""

    DUPLICATE = "duplicate"
    NOT_ACTIVATED = "notActivated"
    LOGGING_ONLY = "loggingOnly"
    QUARANTINED = "quarantined"
    LOG_DELETED = "logDeleted"


@dataclass(frozen=True, slots=True)
class JoinedEvent:
    """A decision with its final reward: ready to learn from, unless ``skip`` says why not.

    ``pdrop``, from 0 to less than 1, is the probability with which such an event was left out of the log that it comes from.
    """

    decision: Decision
    reward: float
    observations: tuple[Observation, ...] = field(default=())
    skip: SkipReason | None = None
    pdrop: float = 0.0

    @property
    def weight(self) -> float:
        """How many events it stands for, itself and those that were left out beside it: 1 / (1 − pdrop), a million at most."""
        return min(1.0 / (1.0 - self.pdrop), LARGEST_WEIGHT) if self.pdrop else 1.0
