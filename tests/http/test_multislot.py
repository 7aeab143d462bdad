"""Multi-slot Rank, Reward and Activate: where they are, when they may be called, and what is stored."""

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.shapes import conforms
from tests.http.building import ON_ONE_HOST, QUERY_VERSION, VERSIONS, actions, counters, log_since, nothing_logged, path, rank, refused
from tests.http.own_loops import own_loop
from tests.running import Answer, Asked, RunningApp

PREVIEWS = [version for version in VERSIONS if version != "v1.0"]
LAST = "v1.1-preview.3"
SLOTS: list[dict[str, Any]] = [{"id": "top", "baselineAction": "b", "features": [{"size": "large"}]}, {"id": "side", "baselineAction": "a"}]


@pytest.fixture(scope="module")
def slotted(host, new_store) -> Iterator[RunningApp]:
    """An app whose policy is one for several slots."""
    settings = {"PERSONALIZER_POLICY_ARGUMENTS": "--ccb_explore_adf", "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.2S"}
    with RunningApp(new_store(), kind=host, settings=settings) as running:
        yield running


def body(**members: Any) -> dict[str, Any]:
    return {"contextFeatures": [{"user": {"age": 30}}], "actions": actions("a", "b", "c"), "slots": SLOTS, **members}


def rank_slots(app: Asked, *, version: str = LAST, **members: Any) -> Answer:
    return app.request("POST", path("multislot/rank", version=version), body(**members))


def event(event_id: str, verb: str, *, version: str = LAST) -> str:
    return path(f"multislot/events/{quote(event_id, safe='')}/{verb}", version=version)


def reward(app: Asked, event_id: str, rewards: Any, *, version: str = LAST) -> Answer:
    return app.request("POST", event(event_id, "reward", version=version), {"reward": rewards})


@pytest.mark.parametrize("version", PREVIEWS)
def test_every_preview_fills_the_slots_with_actions_that_are_not_excluded_there(slotted, version):
    slots = [{**SLOTS[0], "excludedActions": ["a"]}, SLOTS[1]]
    answer = rank_slots(slotted, version=version, eventId=f"of {version}", slots=slots)
    assert answer.status == 201
    assert (answer.json["eventId"], [slot["id"] for slot in answer.json["slots"]]) == (f"of {version}", ["top", "side"])
    assert answer.json["slots"][0]["rewardActionId"] != "a", "it is excluded there"
    assert len({slot["rewardActionId"] for slot in answer.json["slots"]}) == 2
    conforms(answer.json, version, "MultiSlotRankResponse")


@pytest.mark.parametrize("version", PREVIEWS)
def test_every_preview_takes_rewards_and_activations(slotted, version):
    answer = reward(slotted, f"of {version}", [{"slotId": "top", "value": 0.5}], version=version)
    assert (answer.status, answer.body) == (204, b"")
    answer = slotted.request("POST", event(f"of {version}", "activate", version=version))
    assert (answer.status, answer.body) == (204, b"")


def test_the_first_version_has_none_of_it(slotted):
    for place in ("multislot/rank", "multislot/events/e1/reward", "multislot/events/e1/activate"):
        refused(slotted.request("POST", path(place), body()), 404, "ResourceNotFound", naming="not part of API version v1.0")


def test_a_loop_for_single_slots_refuses_it_and_says_what_to_change(quiet):
    with nothing_logged(quiet):
        for answer in (
            rank_slots(quiet),
            quiet.request("POST", path("multislot/rank", version=LAST), b"{"),
            reward(quiet, "e1", [{"slotId": "top", "value": 1.0}]),
            quiet.request("POST", event("e1", "activate")),
        ):
            refused(answer, 400, "InvalidMultiSlotApiAccess", naming="--ccb_explore_adf")


@ON_ONE_HOST
def test_the_policy_can_be_changed_to_one_for_several_slots_while_the_app_runs(shared):
    with own_loop(shared) as app:
        assert rank_slots(app).status == 400
        policy = {"name": "slots", "arguments": "--ccb_explore_adf --epsilon 0.2"}
        assert app.request("PUT", path("configurations/policy"), policy).status == 200
        assert rank_slots(app).status == 201


@pytest.mark.parametrize("event_id", ["{}/a", "/{}//", "{}/multislot/events/b/reward"])
@pytest.mark.parametrize("version", ["v1.1-preview.1", QUERY_VERSION])
async def test_an_id_whose_slashes_were_decoded_on_the_way_is_the_same_id(slotted, event_id, version):
    since, name = datetime.now(UTC), event_id.format(secrets.token_hex(4))
    for verb in ("reward", "activate"):
        there = path(f"multislot/events/{name}/{verb}", version=version)
        assert slotted.request("POST", there, {"reward": [{"slotId": "top", "value": 1}]}).status == 204
    assert {each.event_id for each in (await log_since(slotted, since)).observations} == {name}


def test_a_body_at_the_door_of_the_other_kind_is_told_the_right_one(slotted):
    place = "/personalizer/v1.1-preview.3/multislot/rank"
    refused(slotted.request("POST", path("rank"), body()), 400, "InvalidRankRequest", naming=f"POST to {place}", target="slots")
    there = slotted.request("POST", f"/loops/default{path('rank', version=QUERY_VERSION)}", body())
    refused(
        there,
        400,
        "InvalidRankRequest",
        naming=f"POST to /loops/default/personalizer/multislot/rank?api-version={QUERY_VERSION}",
        target="slots",
    )
    single = slotted.request("POST", path("multislot/rank", version=LAST), {"actions": actions("a", "b")})
    refused(single, 400, "InvalidRankRequest", naming="POST to /personalizer/v1.1-preview.3/rank", target="slots")
    rewards = slotted.request("POST", path("events/e1/reward", version=LAST), {"reward": [{"slotId": "top", "value": 1}]})
    refused(rewards, 400, "InvalidRewardRequest", naming="multislot/events/{eventId}/reward", target="reward")
    value = slotted.request("POST", event("e1", "reward"), {"value": 1})
    refused(value, 400, "InvalidRewardRequest", naming="/personalizer/v1.1-preview.3/events/{eventId}/reward", target="value")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["without a mark", "with a byte order mark"])
def test_a_body_at_the_wrong_door_is_found_as_leniently_as_it_is_read_at_the_right_one(slotted, mark):
    several = {"Actions": actions("a", "b"), "Slots": {"1": {"Id": "top", "BaselineAction": "a"}}}
    body_of_several = mark + json.dumps(several).encode()
    with nothing_logged(slotted):
        refused(slotted.request("POST", path("rank"), body_of_several), 400, "InvalidRankRequest", naming="POST to", target="slots")
        single = slotted.request("POST", path("multislot/rank", version=LAST), mark + json.dumps({"Actions": actions("a")}).encode())
        refused(single, 400, "InvalidRankRequest", naming="POST to /personalizer/v1.1-preview.3/rank", target="slots")
        value = slotted.request("POST", event("e1", "reward"), mark + b'{"Value": "1.0"}')
        refused(value, 400, "InvalidRewardRequest", naming="/personalizer/v1.1-preview.3/events/{eventId}/reward", target="value")
        rewards = slotted.request("POST", path("events/e1/reward"), mark + b'{"Reward": [{"slotId": "top", "value": 1}]}')
        refused(rewards, 400, "InvalidRewardRequest", naming="multislot/events/{eventId}/reward", target="reward")
    assert slotted.request("POST", path("multislot/rank", version=LAST), body_of_several).status == 201


def test_features_and_ids_may_be_called_like_what_another_door_takes(slotted):
    named = {"actions": [{"id": "slots", "features": [{"slots": [7]}]}], "contextFeatures": [{"slots": [1, 2]}]}
    assert slotted.request("POST", path("rank"), named).status == 201
    assert slotted.request("POST", path("rank"), {**named, "slots": None}).status == 201


def test_such_a_loop_goes_on_ranking_single_slots(slotted):
    assert rank(slotted).status == 201


def test_the_same_request_under_the_same_event_id_is_answered_the_same_every_time(slotted):
    answers = {rank_slots(slotted, eventId="asked again").body for _ in range(10)}
    assert len(answers) == 1


def test_without_an_event_id_one_is_made(slotted):
    assert len(rank_slots(slotted).json["eventId"]) == 32


async def test_all_that_a_call_says_is_stored_for_each_slot(slotted):
    since = datetime.now(UTC) - timedelta(seconds=5)
    event_id = "stored/whole"
    assert rank_slots(slotted, eventId=event_id, deferActivation=True).status == 201
    assert reward(slotted, event_id, [{"slotId": "side", "value": -0.5}, {"slotId": "none", "value": 1}]).status == 204
    assert slotted.request("POST", event(event_id, "activate")).status == 204
    log = await log_since(slotted, since)
    decisions = [each for each in log.decisions if each.event_id == event_id]
    assert [(each.slot, each.deferred, each.situation.count(b'"size"')) for each in decisions] == [("top", True, 1), ("side", True, 0)]
    observed = [(each.slot, each.reward) for each in log.observations if each.event_id == event_id]
    assert observed == [("side", -0.5), ("none", 1.0), ("", None)]


def test_every_slot_is_counted_as_a_decision(slotted):
    before = counters(slotted)["ranked"]
    rank_slots(slotted)
    assert counters(slotted)["ranked"] == before + 2


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"slots": []}, "slots"),
        ({"slots": [*SLOTS, {"id": "foot", "baselineAction": "b"}]}, "slots[2].baselineAction"),
        ({"slots": [{**SLOTS[0], "excludedActions": ["z"]}]}, "slots[0].excludedActions"),
        ({"actions": actions("a")}, "slots"),
    ],
)
def test_a_broken_rule_is_refused_by_naming_the_field_and_leaves_no_trace(slotted, members, place):
    with nothing_logged(slotted):
        refused(rank_slots(slotted, **members), 400, "InvalidRankRequest", naming=f"{place}: ", target=place)


def test_a_broken_reward_is_refused_by_naming_the_field_and_nothing_of_it_is_stored(slotted):
    with nothing_logged(slotted):
        rewards = [{"slotId": "top", "value": 1.0}, {"slotId": "side", "value": 2.0}]
        refused(reward(slotted, "e1", rewards), 400, "InvalidRewardRequest", naming="reward[1].value: ", target="reward[1].value")
        refused(reward(slotted, "x" * 257, rewards[:1]), 400, "InvalidRewardRequest", naming="eventId: ", target="eventId")
        refused(slotted.request("POST", event("x" * 257, "activate")), 400, "InvalidEventIdToActivate", naming="eventId", target="eventId")


def test_a_call_whose_situations_are_too_large_together_is_refused_before_anything_is_stored(slotted):
    many = [f"a{number}" for number in range(50)]
    slots = [{"id": each, "baselineAction": each} for each in many]
    with nothing_logged(slotted):
        answer = rank_slots(slotted, actions=actions(*many), slots=slots, contextFeatures=[{"text": "x" * 100_000}])
        refused(answer, 400, "PayloadSizeExceeded", naming="too large")


@ON_ONE_HOST
@pytest.mark.parametrize("mode", ["Apprentice", "LoggingOnly"])
def test_outside_online_mode_each_slot_shows_its_baseline(host, storage, mode):
    settings = {"PERSONALIZER_POLICY_ARGUMENTS": "--ccb_explore_adf", "PERSONALIZER_LEARNING_MODE": mode}
    with RunningApp(storage, kind=host, settings=settings) as app:
        for number in range(5):
            answer = rank_slots(app, eventId=f"e{number}", version=QUERY_VERSION)
            assert [slot["rewardActionId"] for slot in answer.json["slots"]] == ["b", "a"]
