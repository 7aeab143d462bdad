"""Rank: what it takes, what it refuses, and the laws its answer obeys."""

import json
from collections import Counter
from datetime import UTC, datetime
from math import fsum

import pytest

from tests.http.building import actions, counters, event_path, log_since, nothing_logged, path, probabilities, rank, rank_body, refused

FIRST = {"id": "a", "features": [{"x": 1}]}
SECOND = {"id": "b", "features": [{"x": 2}]}
LONG = "x" * 257


@pytest.mark.parametrize(
    "members",
    [
        {"eventId": None},
        {"excludedActions": None},
        {"contextFeatures": None},
        {"deferActivation": None},
        {"eventId": None, "excludedActions": None, "contextFeatures": None, "deferActivation": None},
        {"contextFeatures": []},
        {"contextFeatures": [{}]},
        {"contextFeatures": [{"user": None}, {"user": {"age": None}}]},
        {"contextFeatures": [{"a": 1}, {"a": 2}, {"b": {"c": {"d": [1, 2.5, -3]}}}]},
        {"contextFeatures": [{"embedding": [0.5] * 768, "empty": []}]},
        {"contextFeatures": [{"_ignored": 1, "with space": "x", "a:b|c": True, "日本": "語", " ": 0}]},
        {"deferActivation": True},
        {"deferActivation": False},
        {"excludedActions": []},
        {"excludedActions": ["a", "a", "unknown", ""]},
        {"positionFeatures": [1, "two", {"three": None}], "contextfeatures": 3, "event_id": 7, "ExcludedActions": "a"},
    ],
    ids=json.dumps,
)
def test_optional_members_may_be_null_empty_or_unknown(app, members):
    assert rank(app, **members).status == 201


def test_context_may_be_absent_and_members_that_the_contract_does_not_name_are_ignored_everywhere(app):
    strange = {"id": "a", "features": [{"x": 1}], "slots": [], "probability": 7, "Id": "b"}
    assert app.request("POST", path("rank"), {"actions": [strange, SECOND]}).status == 201


@pytest.mark.parametrize(
    "features",
    [
        [{"x": None, "y": 0}],
        [{}, {"x": False}],
        [{"x": ""}],
        [{"x": {"y": {"z": 0}}}],
        [{"x": [0]}],
        [{"x": -0.0, "y": 1e308, "z": 5e-324}],
        [{"_ignored": 1}],
    ],
    ids=json.dumps,
)
def test_one_value_that_is_not_null_is_features_enough(app, features):
    assert rank(app, actions=[{"id": "a", "features": features}, SECOND]).status == 201


@pytest.mark.parametrize(("count", "status"), [(1, 201), (50, 201), (51, 400), (1000, 400)])
def test_from_one_to_fifty_actions_are_ranked(app, count, status):
    answer = rank(app, *(f"action {number}" for number in range(count)))
    assert answer.status == status
    if status == 201:
        assert len(answer.json["ranking"]) == count
    else:
        refused(answer, 400, "InvalidRankRequest", naming="actions: ", target="actions")


def test_action_ids_have_up_to_256_characters_of_any_kind(app):
    ids = ["x" * 256, "🎉" * 256, " ", "a/b", 'quote"s', "\x00"]
    answer = rank(app, *ids)
    assert answer.status == 201
    assert {action["id"] for action in answer.json["ranking"]} == set(ids)


BROKEN = {
    "no actions": ({"contextFeatures": []}, "actions"),
    "null for actions": ({"actions": None}, "actions"),
    "an object for actions": ({"actions": {"id": "a"}}, "actions"),
    "no action": ({"actions": []}, "actions"),
    "a null action": ({"actions": [FIRST, None]}, "actions[1]"),
    "text for an action": ({"actions": [FIRST, "b"]}, "actions[1]"),
    "an action without id": ({"actions": [FIRST, {"features": [{"x": 1}]}]}, "actions[1].id"),
    "null for an id": ({"actions": [FIRST, {**SECOND, "id": None}]}, "actions[1].id"),
    "an empty id": ({"actions": [FIRST, {**SECOND, "id": ""}]}, "actions[1].id"),
    "true for an id": ({"actions": [FIRST, {**SECOND, "id": True}]}, "actions[1].id"),
    "a number of an id that is another's": ({"actions": [{**FIRST, "id": "2"}, {**SECOND, "id": 2}]}, "actions[1].id"),
    "a long id": ({"actions": [FIRST, {**SECOND, "id": LONG}]}, "actions[1].id"),
    "an id twice": ({"actions": [FIRST, SECOND, FIRST]}, "actions[2].id"),
    "no features": ({"actions": [FIRST, {"id": "b"}]}, "actions[1].features"),
    "null for features": ({"actions": [FIRST, {"id": "b", "features": None}]}, "actions[1].features"),
    "an object for features": ({"actions": [FIRST, {"id": "b", "features": {"x": 1}}]}, "actions[1].features"),
    "an empty list of features": ({"actions": [FIRST, {"id": "b", "features": []}]}, "actions[1].features"),
    "an empty features object": ({"actions": [FIRST, {"id": "b", "features": [{}]}]}, "actions[1].features"),
    "features that are null": ({"actions": [FIRST, {"id": "b", "features": [{"x": None, "y": {"z": None}}]}]}, "actions[1].features"),
    "a null features object": ({"actions": [FIRST, {"id": "b", "features": [None]}]}, "actions[1].features"),
    "a number for a features object": ({"actions": [{"id": "a", "features": [{"x": 1}, 2]}]}, "actions[0].features[1]"),
    "text in an array": ({"actions": [{"id": "a", "features": [{"tags": [1, "two"]}]}]}, "actions[0].features[0].tags[1]"),
    "a bool in an array": ({"actions": [{"id": "a", "features": [{"tags": [True]}]}]}, "actions[0].features[0].tags[0]"),
    "null in an array": ({"actions": [{"id": "a", "features": [{"tags": [None]}]}]}, "actions[0].features[0].tags[0]"),
    "an array in an array": ({"actions": [{"id": "a", "features": [{"tags": [[1]]}]}]}, "actions[0].features[0].tags[0]"),
    "an object in an array": ({"actions": [{"id": "a", "features": [{"tags": [{"x": 1}]}]}]}, "actions[0].features[0].tags[0]"),
    "an object for the context": ({"actions": [FIRST], "contextFeatures": {"x": 1}}, "contextFeatures"),
    "text in the context": ({"actions": [FIRST], "contextFeatures": ["x"]}, "contextFeatures[0]"),
    "text and numbers in an array of the context": (
        {"actions": [FIRST], "contextFeatures": [{"user": {"tags": ["x", 1]}}]},
        "contextFeatures[0].user.tags[1]",
    ),
    "a list in the context that is no empty one": ({"actions": [FIRST], "contextFeatures": [[1]]}, "contextFeatures[0]"),
    "true among excluded actions": ({"actions": [FIRST], "excludedActions": ["b", True]}, "excludedActions[1]"),
    "null among excluded actions": ({"actions": [FIRST], "excludedActions": [None]}, "excludedActions[0]"),
    "text for excluded actions": ({"actions": [FIRST], "excludedActions": "b"}, "excludedActions"),
    "all actions excluded": ({"actions": [FIRST, SECOND], "excludedActions": ["b", "a"]}, "excludedActions"),
    "the only action excluded": ({"actions": [FIRST], "excludedActions": ["a"]}, "excludedActions"),
    "text for deferActivation": ({"actions": [FIRST], "deferActivation": "yes"}, "deferActivation"),
    "a number for deferActivation": ({"actions": [FIRST], "deferActivation": 1}, "deferActivation"),
}


@pytest.mark.parametrize(("body", "place"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_refused_by_naming_the_field(quiet, body, place):
    refused(quiet.request("POST", path("rank"), body), 400, "InvalidRankRequest", naming=f"{place}: ", target=place)


def test_a_refused_rank_leaves_no_trace(quiet):
    with nothing_logged(quiet):
        for body, _ in BROKEN.values():
            quiet.request("POST", path("rank"), body)


def test_a_body_in_chunks_arrives_whole_on_a_server(on_a_server):
    text = json.dumps(rank_body("a", "b")).encode()
    answer = on_a_server.request("POST", path("rank"), iter([text[:10], text[10:11], text[11:]]))
    assert (answer.status, len(answer.json["ranking"])) == (201, 2)


@pytest.mark.parametrize("body", [None, b"", (), (b'{"actions": []}',)], ids=["none", "empty", "no chunks", "chunks"])
def test_a_rank_without_a_body_is_told_so(quiet, body):
    refused(quiet.request("POST", path("rank"), body), 400, "InvalidRequest", naming="the request has no body")


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "nonsense", ""]
)
def test_the_body_is_read_as_json_whatever_its_declared_type(app, content_type):
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert app.request("POST", path("rank"), json.dumps(rank_body()).encode(), headers=headers).status == 201


def test_a_rank_is_counted_once_it_is_answered(quiet):
    before = counters(quiet)["ranked"]
    assert rank(quiet).status == 201
    assert counters(quiet)["ranked"] == before + 1


@pytest.mark.parametrize("excluded", [[], ["a"], ["c"], ["b", "d"], ["a", "b", "d", "e"], ["nobody"]])
@pytest.mark.parametrize("event_id", ["e1", "e2", "e3"])
def test_a_cold_model_gives_all_that_are_not_excluded_the_same_chance(app, excluded, event_id):
    answer = rank(app, *"abcde", excludedActions=excluded, eventId=event_id)
    listed = probabilities(answer)
    allowed = [each for each in "abcde" if each not in excluded]
    assert sorted(each for each, _ in listed) == list("abcde")
    assert abs(fsum(probability for _, probability in listed) - 1.0) <= 1e-9
    assert all(probability == (1 / len(allowed) if each in allowed else 0.0) for each, probability in listed)


@pytest.mark.parametrize("event_id", [f"place {number}" for number in range(8)])
def test_excluded_actions_keep_their_place_and_the_chosen_one_leads_the_others(app, event_id):
    answer = rank(app, *"abcde", excludedActions=["b", "d"], eventId=event_id)
    order = [each for each, _ in probabilities(answer)]
    assert (order[1], order[3]) == ("b", "d")
    assert answer.json["rewardActionId"] == next(each for each in order if each not in "bd")


@pytest.mark.parametrize(("ids", "excluded"), [("a", []), ("abc", ["a", "c"])])
def test_the_only_action_that_may_be_chosen_is_certain(app, ids, excluded):
    answer = rank(app, *ids, excludedActions=excluded)
    left = next(each for each in ids if each not in excluded)
    assert dict(probabilities(answer)) == {each: float(each == left) for each in ids}
    assert answer.json["rewardActionId"] == left


def test_the_same_request_under_the_same_event_id_is_answered_the_same_every_time(app):
    answers = [rank(app, *"abcdefgh", excludedActions=["c"], eventId="asked again") for _ in range(20)]
    assert {answer.body for answer in answers} == {answers[0].body}
    assert {answer.status for answer in answers} == {201}


def test_different_event_ids_spread_over_all_actions(app):
    picks = Counter(rank(app, *"abcd", eventId=f"spread {number}").json["rewardActionId"] for number in range(200))
    assert all(35 <= picks[each] <= 65 for each in "abcd")  # 50 ± 15 is 2.4 standard deviations; the ids are fixed, so is the outcome


def test_features_do_not_change_the_draw_of_a_cold_model(app):
    plain = rank(app, *"abcd", eventId="drawn once")
    other = rank(app, eventId="drawn once", actions=actions(*"abcd"), contextFeatures=[{"weather": "rain"}])
    assert plain.json == other.json


def test_the_same_request_under_the_same_event_id_is_answered_the_same_whether_ids_are_numbers_or_texts(app):
    as_texts = rank(app, *"123", excludedActions=["2"], eventId="4711")
    as_numbers = rank(app, actions=[{**each, "id": int(each["id"])} for each in actions(*"123")], excludedActions=[2], eventId=4711)
    assert (as_numbers.status, as_numbers.body) == (201, as_texts.body)
    assert {type(each["id"]) for each in as_numbers.json["ranking"]} == {str}
    assert as_numbers.json["eventId"] == "4711"


@pytest.mark.parametrize("event_id", ["", None])
def test_an_event_id_that_is_empty_is_none(app, event_id):
    assert len(rank(app, eventId=event_id).json["eventId"]) == 32


def test_features_without_a_name_are_left_out_and_a_header_says_where(app):
    answer = rank(app, contextFeatures=[{"": 1, "gr\r\nö": {"": 2, "b": 3}}], eventId="nameless")
    assert (answer.status, answer.body) == (201, rank(app, contextFeatures=[{"gr\r\nö": {"b": 3}}], eventId="nameless").body)
    assert answer.headers["x-personalizer-left-out"] == "contextFeatures[0], contextFeatures[0].gr%0D%0A%C3%B6"
    assert "x-personalizer-left-out" not in rank(app).headers


async def test_what_php_sends_is_logged_as_what_it_means(app):
    since = datetime.now(UTC)
    action = {"id": 7, "features": [{"price": 9, "": 1}]}
    body = {"contextFeatures": [[], {"user": {"tags": ["a", "b"]}}, None], "actions": [action], "eventId": 12}
    php = b"\xef\xbb\xbf" + json.dumps(body).encode()
    assert app.request("POST", path("rank"), php).status == 201
    assert app.request("POST", event_path("12", "reward"), {"Value": "0.5"}).status == 204
    logged = await log_since(app, since)
    asked = json.loads(next(each.situation for each in logged.decisions if each.event_id == "12"))
    assert asked["_multi"] == [{"i": {"id": "7"}, "j": [{"price": 9}]}]
    assert [each.reward for each in logged.observations if each.event_id == "12"] == [0.5]
