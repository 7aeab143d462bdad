"""What became of an event, on the wire."""

from datetime import datetime
from typing import Annotated, Any

from shared.api.times import Time, read_time
from shared.api.wire import WireModel, one_of
from shared.domain.errors import InvalidRequestError
from shared.domain.events import LearningMode


class RewardReceiptBody(WireModel):
    """A reward and its result: ``counted``, ``unused``, ``late``, ``pending`` or ``unknown``."""

    observed_at: Time
    value: float
    slot_id: str | None = None
    outcome: Annotated[str, one_of(("counted", "unused", "late", "pending", "unknown"))]
    reason: str | None = None


class ReasonBody(WireModel):
    """What a feature, or a pair of features, added to the score of an action."""

    name: str
    score: float


class OptionBody(WireModel):
    """An action that could be shown; ``score`` and ``reasons`` are left out if the model that chose is not kept."""

    id: str
    features: list[dict[str, Any]]
    probability: float
    is_chosen: bool
    score: float | None = None
    reasons: list[ReasonBody] | None = None


class DecisionReceiptBody(WireModel):
    """A decision and its fate: ``learned``, ``pending``, ``skipped`` or ``notKept``.

    ``isHeldOut`` tells which side of the standing experiment it is on, and is left out if the loop had none.
    ``contextFeatures`` and ``actions`` are left out for decisions that are too many or too large to be told at once.
    """

    ranked_at: Time
    slot_id: str | None = None
    reward_action_id: str
    probability: float
    model_version: str | None = None
    learning_mode: Annotated[str, one_of(LearningMode)]
    is_held_out: bool | None = None
    defer_activation: bool
    activated_at: Time | None = None
    fate: Annotated[str, one_of(("learned", "pending", "skipped", "notKept"))]
    reason: str | None = None
    pending_until: Time | None = None
    learned_in: str | None = None
    reward: float | None = None
    default_reward_used: bool | None = None
    rewards: list[RewardReceiptBody]
    context_features: list[dict[str, Any]] | None = None
    actions: list[OptionBody] | None = None
    baseline_action_id: str | None = None


class SearchedBody(WireModel):
    """The searched part of the log; ``isCut`` if there is more."""

    since: Time
    until: Time
    is_cut: bool


class ReceiptBody(WireModel):
    """The answer to GET events/{eventId}."""

    event_id: str
    decisions: list[DecisionReceiptBody]
    rewards: list[RewardReceiptBody]
    unreadable: int | None = None
    searched: SearchedBody


def read_around(text: str) -> datetime | None:
    """Read the hint of a time from the query; raises `InvalidRequestError`."""
    if not text:
        return None
    try:
        return read_time(text)
    except ValueError as cause:
        raise InvalidRequestError(f"around: {cause}", target="around") from cause
