"""The reward that the model expects of each action, for who asks for it: the contract's answer is unchanged otherwise."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.building import ON_ONE_HOST, VERSIONS, actions, event_path, path, rank, rank_body, refused
from tests.http.own_loops import QUICK, OwnLoop, own_loop
from tests.http.test_explanations import explain, learned

SLOTS = [{"id": "top", "baselineAction": "a"}, {"id": "side", "baselineAction": "b", "excludedActions": ["c"]}]


@pytest.fixture(scope="module")
def taught(shared) -> Iterator[OwnLoop]:
    """A loop that has learned that b is best and c worst."""
    with own_loop(shared, **QUICK) as app:
        for number in range(40):
            shown = rank(app, *"abcd", eventId=f"e{number}").json["rewardActionId"]
            app.request("POST", event_path(f"e{number}", "reward"), {"value": {"b": 1.0, "c": -1.0}.get(shown, 0.0)})
        learned(app)
        yield app


def scored(app: Any, *, query: str = "?scores=true", version: str = "v1.0", **members: Any) -> Any:
    place = path("rank", version=version)
    return app.request("POST", f"{place}{query.replace('?', '&') if '?' in place else query}", rank_body(*"abcd", **members))


@ON_ONE_HOST
@pytest.mark.parametrize("version", VERSIONS)
def test_each_action_has_its_expected_reward_the_best_first(taught, version):
    found = scored(taught, version=version).json["scores"]
    assert {each["id"] for each in found} == set("abcd")
    assert all(each.keys() == {"id", "expectedReward", "order"} for each in found)
    assert [each["order"] for each in found] == [1, 2, 3, 4]
    rewards = [each["expectedReward"] for each in found]
    assert rewards == sorted(rewards, reverse=True)
    assert (found[0]["id"], found[-1]["id"]) == ("b", "c")
    assert rewards[0] > 0.5 > 0 > rewards[-1]


@ON_ONE_HOST
def test_the_rest_of_the_answer_is_that_of_who_does_not_ask(taught):
    with_scores = scored(taught, eventId="the same").json
    plain = rank(taught, *"abcd", eventId="the same").json
    assert plain.keys() == {"ranking", "eventId", "rewardActionId"}
    assert {name: with_scores[name] for name in plain} == plain
    assert scored(taught, eventId="the same", query="?scores=false").json == plain


@ON_ONE_HOST
def test_an_expected_reward_is_the_sum_of_what_explains_it(taught):
    explain(taught, wanted=True)
    try:
        answer = scored(taught).json
    finally:
        explain(taught, wanted=False)
    sums = {each["id"]: sum(part["score"] for part in each["features"]) for each in answer["inferenceExplanation"]}
    assert {each["id"]: each["expectedReward"] for each in answer["scores"]} == pytest.approx(sums, abs=1e-4)


@ON_ONE_HOST
def test_excluded_actions_have_scores_too(taught):
    assert [each["id"] for each in scored(taught, excludedActions=["b"]).json["scores"]] == [
        each["id"] for each in scored(taught).json["scores"]
    ]


@ON_ONE_HOST
def test_each_slot_has_the_scores_of_what_could_be_shown_there(taught):
    policy = path("configurations/policy")
    assert taught.request("PUT", policy, {"name": "slots", "arguments": "--ccb_explore_adf"}).status == 200
    try:
        place, body = path("multislot/rank", version=VERSIONS[1]), {"actions": actions(*"abcd"), "slots": SLOTS, "eventId": "slots"}
        slots = taught.request("POST", f"{place}?scores=true", body).json["slots"]
        plain = taught.request("POST", place, body).json["slots"]
    finally:
        taught.request("DELETE", policy)
    assert [{"id": each["id"], "rewardActionId": each["rewardActionId"]} for each in slots] == plain
    assert {each["id"] for each in slots[1]["scores"]} == set("abd") - {slots[0]["rewardActionId"]}


def test_a_model_that_knows_nothing_expects_nothing_and_keeps_the_order_of_the_request(app):
    found = scored(app).json["scores"]
    assert found == [{"id": each, "expectedReward": 0.0, "order": order} for order, each in enumerate("abcd", start=1)]


def test_a_header_asks_the_same(app):
    answer = app.request("POST", path("rank"), rank_body("a"), headers={"x-personalizer-scores": "true"})
    assert [each["id"] for each in answer.json["scores"]] == ["a"]


def test_what_is_no_flag_is_refused_by_name(quiet):
    refused(scored(quiet, query="?scores=1"), 400, "InvalidRequest", naming="scores: has to be true or false", target="scores")
