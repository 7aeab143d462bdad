"""Multi-slot Rank and Reward on the wire."""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from pydantic import Field, StringConstraints, WithJsonSchema

from shared.api.features import MAX_PLACES, MAX_VALUES
from shared.api.lenient import Source
from shared.api.rank import (
    ACTIONS_SCHEMA,
    ActionReader,
    FeatureObjects,
    Ids,
    Scored,
    ScoredAction,
    places_left_out,
    written_scores,
)
from shared.api.rules import MAX_ACTIONS, MAX_ID_LENGTH, MAX_SLOTS, Checked, checked, refuse
from shared.api.wire import WireModel, WishedEventId, read_json, validated
from shared.domain.errors import InvalidRankRequestError
from shared.domain.slots import MultiSlotSituation, Slot

SlotId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]


class SlotRequest(WireModel):
    """A place to fill. ``positionFeatures`` is what ``features`` was called at first; both count."""

    id: SlotId
    baseline_action: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
    features: FeatureObjects | None = None
    position_features: FeatureObjects | None = None
    excluded_actions: Ids | None = None

    def to_slot(self, features: Checked) -> Slot:
        """Give the slot with these features, which are its own."""
        return Slot(self.id, self.baseline_action, tuple(features.objects), frozenset(self.excluded_actions or ()))

    def checked(self, number: int) -> Checked:
        """Check the features of the slot at this index; raises `InvalidRankRequestError`."""
        features = checked(self.features or [], f"slots[{number}].features")
        position = checked(self.position_features or [], f"slots[{number}].positionFeatures")
        left_out = (*features.left_out, *position.left_out)
        return Checked([*features.objects, *position.objects], features.values + position.values, left_out)


class MultiSlotRankRequest(WireModel):
    """The body of POST multislot/rank; members that the contract does not name are ignored."""

    context_features: FeatureObjects | None = None
    actions: Annotated[list[Any], Field(min_length=1, max_length=MAX_ACTIONS), WithJsonSchema(ACTIONS_SCHEMA)]
    slots: Annotated[list[SlotRequest], Field(min_length=1, max_length=MAX_SLOTS)]
    event_id: WishedEventId = None
    defer_activation: bool | None = None

    def to_situation(self, reader: ActionReader, source: Source | None = None) -> MultiSlotSituation:
        """Give what is asked; raises `InvalidRankRequestError` for what a schema cannot say. ``source`` is the body as it came.

        The context is part of each slot's situation, and counts as often.
        """
        context = checked(self.context_features or [], "contextFeatures")
        read = [reader.read(given, number, source) for number, given in enumerate(self.actions)]
        features = [slot.checked(number) for number, slot in enumerate(self.slots)]
        total = context.values * len(self.slots) + sum([each.values for each in read]) + sum([each.values for each in features])
        if total > MAX_VALUES:
            refuse("slots", f"actions, slots and, for each slot, the context may hold at most {MAX_VALUES} feature values, not {total}")
        slots = tuple([slot.to_slot(own) for slot, own in zip(self.slots, features, strict=True)])
        left_out = (*places_left_out(context, read), *[place for own in features for place in own.left_out])[:MAX_PLACES]
        return MultiSlotSituation(tuple(context.objects), tuple([each.action for each in read]), slots, left_out)


def read_multi_slot_rank(body: bytes, reader: ActionReader) -> tuple[MultiSlotRankRequest, MultiSlotSituation]:
    """Read the body of a multi-slot Rank call; raises `InvalidRequestError` or `InvalidRankRequestError`."""
    source = Source(body)
    request = validated(read_json(body), MultiSlotRankRequest, InvalidRankRequestError, source=source)
    return request, request.to_situation(reader, source)


class FilledSlot(WireModel):
    """A slot and the action to show there; with scores, where the caller asks for them, of the actions that could be shown."""

    id: str
    reward_action_id: str
    scores: list[ScoredAction] | None = None


class MultiSlotRankResponse(WireModel):
    """The answer to POST multislot/rank, which `write_multi_slot_ranking` writes."""

    slots: list[FilledSlot]
    event_id: str


def write_multi_slot_ranking(slots: Sequence[tuple[str, str]], *, event_id: str, scored: Sequence[Sequence[Scored]] = ()) -> bytes:
    """Write the answer to POST multislot/rank: for each slot's id the id of the action to show, and what is ``scored`` of each slot."""
    written: list[dict[str, object]] = [{"id": slot_id, "rewardActionId": action_id} for slot_id, action_id in slots]
    for slot, of_slot in zip(written, scored, strict=False):
        slot["scores"] = written_scores(of_slot)
    return orjson.dumps({"slots": written, "eventId": event_id})


class SlotReward(WireModel):
    """The reward of one slot."""

    slot_id: SlotId
    value: Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]


class MultiSlotRewardRequest(WireModel):
    """The body of POST multislot/events/{eventId}/reward."""

    reward: Annotated[list[SlotReward], Field(min_length=1, max_length=MAX_SLOTS)]
