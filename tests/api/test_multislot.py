"""Multi-slot bodies: what is read, and what is refused and where."""

import json
from typing import Any

import pytest

from shared.api.multislot import MultiSlotRewardRequest, read_multi_slot_rank, write_multi_slot_ranking
from shared.api.rank import ActionReader
from shared.api.wire import parse
from shared.domain.errors import InvalidRankRequestError, InvalidRequestError, InvalidRewardRequestError
from shared.domain.slots import MultiSlotSituation, Slot

ACTIONS = [{"id": each, "features": [{"topic": each}]} for each in "abc"]


def slot(slot_id: str = "top", baseline: str = "a", **members: Any) -> dict[str, Any]:
    return {"id": slot_id, "baselineAction": baseline, **members}


def read(**members: Any) -> MultiSlotSituation:
    body = {"actions": ACTIONS, "slots": [slot()], **members}
    return read_multi_slot_rank(json.dumps(body).encode(), ActionReader())[1]


def test_a_slot_is_read_with_its_features_baseline_and_exclusions():
    asked = read(
        contextFeatures=[{"user": {"age": 30}}],
        slots=[slot("top", "b", features=[{"size": "large"}], excludedActions=["a"]), slot("side", "c")],
    )
    assert asked.context == ({"user": {"age": 30}},)
    assert asked.slots == (Slot("top", "b", ({"size": "large"},), frozenset({"a"})), Slot("side", "c"))


def test_position_features_are_features_under_their_old_name():
    both = slot(features=[{"size": "large"}], positionFeatures=[{"place": "left"}])
    assert read(slots=[slot(positionFeatures=[{"place": "left"}])]).slots[0].features == ({"place": "left"},)
    assert read(slots=[both]).slots[0].features == ({"size": "large"}, {"place": "left"})


def test_what_may_be_null_may_be_left_out():
    nothing = slot(features=None, positionFeatures=None, excludedActions=None)
    assert read(contextFeatures=None, eventId=None, deferActivation=None, slots=[nothing]) == read()


def test_members_that_the_contract_does_not_name_are_ignored():
    assert read(colour="red", slots=[slot(colour="red")]) == read()


def test_fifty_actions_go_into_fifty_slots():
    actions = [{"id": f"a{n}", "features": [{"n": n}]} for n in range(50)]
    assert len(read(actions=actions, slots=[slot(f"s{n}", f"a{n}") for n in range(50)]).slots) == 50


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no actions": ({"actions": []}, "actions"),
    "no slots": ({"slots": []}, "slots"),
    "null for slots": ({"slots": None}, "slots"),
    "51 actions": ({"actions": [{"id": str(n), "features": [{"n": n}]} for n in range(51)]}, "actions"),
    "51 slots": ({"slots": [slot(str(n)) for n in range(51)]}, "slots"),
    "more slots than actions": ({"slots": [slot(each, "a") for each in "wxyz"]}, "slots"),
    "an action twice": ({"actions": [*ACTIONS, ACTIONS[0]]}, "actions"),
    "an action without features": ({"actions": [ACTIONS[0], {"id": "b", "features": []}]}, "actions[1].features"),
    "a slot that is text": ({"slots": ["top"]}, "slots[0]"),
    "a slot without an id": ({"slots": [{"baselineAction": "a"}]}, "slots[0].id"),
    "an empty slot id": ({"slots": [slot("")]}, "slots[0].id"),
    "a long slot id": ({"slots": [slot("x" * 257)]}, "slots[0].id"),
    "a slot id twice": ({"slots": [slot("top", "a"), slot("top", "b")]}, "slots[1].id"),
    "no baseline": ({"slots": [{"id": "top"}]}, "slots[0].baselineAction"),
    "an empty baseline": ({"slots": [slot("top", "")]}, "slots[0].baselineAction"),
    "a baseline that is no action": ({"slots": [slot("top", "z")]}, "slots[0].baselineAction"),
    "a baseline twice": ({"slots": [slot("top", "a"), slot("side", "a")]}, "slots[1].baselineAction"),
    "an excluded baseline": ({"slots": [slot(excludedActions=["a"])]}, "slots[0].baselineAction"),
    "an exclusion that is no action": ({"slots": [slot(excludedActions=["z"])]}, "slots[0].excludedActions"),
    "true as an exclusion": ({"slots": [slot(excludedActions=["b", True])]}, "slots[0].excludedActions[1]"),
    "features that are no list": ({"slots": [slot(features={"a": 1})]}, "slots[0].features"),
    "a feature object that is text": ({"slots": [slot(features=["a"])]}, "slots[0].features[0]"),
    "words and numbers in an array": ({"slots": [slot(features=[{"a": ["b", 1]}])]}, "slots[0].features[0].a[1]"),
    "an array in an array": ({"slots": [slot(positionFeatures=[{"x": [[1]]}])]}, "slots[0].positionFeatures[0].x[0]"),
    "a context that is text": ({"contextFeatures": ["a"]}, "contextFeatures[0]"),
    "a long event id": ({"eventId": "x" * 257}, "eventId"),
    "an event id that no path can hold": ({"eventId": ".."}, "eventId"),
    "text for deferActivation": ({"deferActivation": "no"}, "deferActivation"),
}


@pytest.mark.parametrize(("members", "place"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_refused_by_naming_the_field(members, place):
    with pytest.raises(InvalidRankRequestError) as refused:
        read(**members)
    assert refused.value.target == place
    assert str(refused.value).startswith(f"{place}: ")


def test_the_context_counts_for_every_slot():
    """A context of 900 values is in the situations of all 50 slots; of 1,200 it is too much."""
    actions = [{"id": f"a{n}", "features": [{"n": n}]} for n in range(50)]
    slots = [slot(f"s{n}", f"a{n}") for n in range(50)]
    read(actions=actions, slots=slots, contextFeatures=[{"numbers": [0.5] * 900}])
    with pytest.raises(InvalidRankRequestError) as refused:
        read(actions=actions, slots=slots, contextFeatures=[{"numbers": [0.5] * 1200}])
    assert refused.value.target == "slots"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null"])
def test_what_is_no_object_is_refused(body):
    with pytest.raises((InvalidRequestError, InvalidRankRequestError)):
        read_multi_slot_rank(body, ActionReader())


def test_the_answer_lists_the_slots_in_order():
    written = write_multi_slot_ranking([("top", "b"), ("side", "a")], event_id="e1")
    assert json.loads(written) == {
        "slots": [{"id": "top", "rewardActionId": "b"}, {"id": "side", "rewardActionId": "a"}],
        "eventId": "e1",
    }


BROKEN_REWARDS: dict[str, tuple[Any, str | None]] = {
    "no rewards": ({}, "reward"),
    "an empty list": ({"reward": []}, "reward"),
    "a number": ({"reward": 1.0}, "reward"),
    "51 rewards": ({"reward": [{"slotId": "a", "value": 1.0}] * 51}, "reward"),
    "no slot id": ({"reward": [{"value": 1.0}]}, "reward[0].slotId"),
    "an empty slot id": ({"reward": [{"slotId": "", "value": 1.0}]}, "reward[0].slotId"),
    "a long slot id": ({"reward": [{"slotId": "x" * 257, "value": 1.0}]}, "reward[0].slotId"),
    "no value": ({"reward": [{"slotId": "a", "value": 0.0}, {"slotId": "b"}]}, "reward[1].value"),
    "a value above 1": ({"reward": [{"slotId": "a", "value": 1.01}]}, "reward[0].value"),
    "a value below -1": ({"reward": [{"slotId": "a", "value": -2}]}, "reward[0].value"),
    "words for a value": ({"reward": [{"slotId": "a", "value": "one"}]}, "reward[0].value"),
    "a list": ([], None),
}


@pytest.mark.parametrize(("body", "place"), BROKEN_REWARDS.values(), ids=BROKEN_REWARDS)
def test_a_broken_reward_is_refused_by_naming_the_field(body, place):
    with pytest.raises(InvalidRewardRequestError) as refused:
        parse(json.dumps(body).encode(), MultiSlotRewardRequest, InvalidRewardRequestError)
    assert refused.value.target == place
