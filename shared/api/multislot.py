"""Multi-slot Rank and Reward on the wire."""

from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import orjson
from pydantic import Field, StringConstraints, WithJsonSchema

from shared.api.features import MAX_VALUES
from shared.api.rank import ACTIONS_SCHEMA, MAX_ACTIONS, MAX_ID_LENGTH, ActionReader, FeatureObjects, checked_count
from shared.api.wire import EventId, WireModel, parse
from shared.domain.errors import InvalidRankRequestError
from shared.domain.slots import MultiSlotSituation, Slot

MAX_SLOTS = 50

SlotId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]


class SlotRequest(WireModel):
    """A place to fill. ``positionFeatures`` is what ``features`` was called at first; both count."""

    id: SlotId
    baseline_action: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
    features: FeatureObjects | None = None
    position_features: FeatureObjects | None = None
    excluded_actions: list[str] | None = None

    def to_slot(self) -> Slot:
        """Give the slot, its features not looked at yet."""
        features = (*(self.features or ()), *(self.position_features or ()))
        return Slot(self.id, self.baseline_action, features, frozenset(self.excluded_actions or ()))

    def count(self, number: int) -> int:
        """Count the feature values of the slot at this index; raises `InvalidRankRequestError`."""
        of_features = checked_count(self.features or [], f"slots[{number}].features")
        return of_features + checked_count(self.position_features or [], f"slots[{number}].positionFeatures")


class MultiSlotRankRequest(WireModel):
    """The body of POST multislot/rank; members that the contract does not name are ignored."""

    context_features: FeatureObjects | None = None
    actions: Annotated[list[Any], Field(min_length=1, max_length=MAX_ACTIONS), WithJsonSchema(ACTIONS_SCHEMA)]
    slots: Annotated[list[SlotRequest], Field(min_length=1, max_length=MAX_SLOTS)]
    event_id: EventId | None = None
    defer_activation: bool | None = None

    def to_situation(self, reader: ActionReader) -> MultiSlotSituation:
        """Give what is asked; raises `InvalidRankRequestError` for what a schema cannot say.

        The context is part of each slot's situation, and counts as often.
        """
        total = checked_count(self.context_features or [], "contextFeatures") * len(self.slots)
        read = [reader.read(given, number) for number, given in enumerate(self.actions)]
        total += sum([count for _, count in read])
        total += sum([slot.count(number) for number, slot in enumerate(self.slots)])
        if total > MAX_VALUES:
            _refuse("slots", f"actions, slots and, for each slot, the context may hold at most {MAX_VALUES} feature values, not {total}")
        slots = tuple([slot.to_slot() for slot in self.slots])
        return MultiSlotSituation(tuple(self.context_features or ()), tuple([action for action, _ in read]), slots)


def read_multi_slot_rank(body: bytes, reader: ActionReader) -> tuple[MultiSlotRankRequest, MultiSlotSituation]:
    """Read the body of a multi-slot Rank call; raises `InvalidRequestError` or `InvalidRankRequestError`."""
    request = parse(body, MultiSlotRankRequest, InvalidRankRequestError)
    return request, request.to_situation(reader)


class FilledSlot(WireModel):
    """A slot and the action to show there."""

    id: str
    reward_action_id: str


class MultiSlotRankResponse(WireModel):
    """The answer to POST multislot/rank, which `write_multi_slot_ranking` writes."""

    slots: list[FilledSlot]
    event_id: str


def write_multi_slot_ranking(slots: Sequence[tuple[str, str]], *, event_id: str) -> bytes:
    """Write the answer to POST multislot/rank: for each slot's id the id of the action to show."""
    written = [{"id": slot_id, "rewardActionId": action_id} for slot_id, action_id in slots]
    return orjson.dumps({"slots": written, "eventId": event_id})


class SlotReward(WireModel):
    """What one slot earned."""

    slot_id: SlotId
    value: Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]


class MultiSlotRewardRequest(WireModel):
    """The body of POST multislot/events/{eventId}/reward."""

    reward: Annotated[list[SlotReward], Field(min_length=1, max_length=MAX_SLOTS)]


def _refuse(where: str, what: str) -> NoReturn:
    raise InvalidRankRequestError(f"{where}: {what}", target=where)
