"""Bodies in and out, without a server."""

import json
from typing import Any

import pytest

from shared.api.errors import ErrorDetail, ErrorResponse
from shared.api.rank import ActionReader, RankedAction, RankRequest, RankResponse
from shared.api.reward import RewardRequest
from shared.api.status import StatusResponse
from shared.api.wire import parse, path
from shared.domain.errors import InvalidRankRequestError, InvalidRequestError, InvalidRewardRequestError

FIRST = {"id": "a", "features": [{"x": 1}]}
SECOND = {"id": "b", "features": [{"x": 2}]}


def rank(**members: Any) -> RankRequest:
    return parse(json.dumps({"actions": [FIRST, SECOND], **members}).encode(), RankRequest, InvalidRankRequestError)


def reward(text: bytes) -> RewardRequest:
    return parse(text, RewardRequest, InvalidRewardRequestError)


def test_a_rank_becomes_a_situation():
    situation = rank(contextFeatures=[{"user": {"age": 30}}, {}], excludedActions=["b", "unknown"]).to_situation(ActionReader())
    assert situation.context == ({"user": {"age": 30}}, {})
    assert [(action.id, action.features) for action in situation.actions] == [("a", ({"x": 1},)), ("b", ({"x": 2},))]
    assert situation.allowed == (True, False)


def test_absent_null_and_empty_mean_the_same():
    members = ("contextFeatures", "excludedActions", "eventId", "deferActivation")
    assert rank() == rank(**dict.fromkeys(members))
    assert rank().to_situation(ActionReader()) == rank(contextFeatures=[], excludedActions=[]).to_situation(ActionReader())


def test_members_are_known_by_their_contract_names_only():
    read = rank(event_id=1, EventId="x", defer_activation="yes", contextfeatures=1)
    assert (read.event_id, read.defer_activation, read.context_features) == (None, None, None)


@pytest.mark.parametrize(
    ("members", "target"),
    [
        ({"actions": [FIRST, SECOND, FIRST]}, "actions[2].id"),
        ({"actions": [FIRST, {"id": "b", "features": [{"x": None}]}]}, "actions[1].features"),
        ({"contextFeatures": [{"x": [{}]}]}, "contextFeatures[0].x[0]"),
        ({"excludedActions": ["a", "b"]}, "excludedActions"),
    ],
)
def test_what_a_schema_cannot_say_is_checked_too(members, target):
    with pytest.raises(InvalidRankRequestError) as caught:
        rank(**members).to_situation(ActionReader())
    assert caught.value.target == target
    assert str(caught.value).startswith(f"{target}: ")


def test_a_place_in_a_message_is_cut_where_a_name_is_long():
    with pytest.raises(InvalidRankRequestError) as caught:
        rank(contextFeatures=[{"x" * 1000: {"y": [[]]}}]).to_situation(ActionReader())
    assert caught.value.target == f"contextFeatures[0].{'x' * 181}..."
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("body", ["[]", '"x"', "1", "null", "true"])
def test_a_body_that_is_no_object_is_called_so_in_json_s_own_words(body):
    with pytest.raises(InvalidRewardRequestError, match=r"^the body: Input should be a JSON object$") as caught:
        reward(body.encode())
    assert caught.value.target is None


@pytest.mark.parametrize("members", [{"actions": [FIRST, 1]}, {"contextFeatures": [1]}])
def test_no_message_tells_of_python(members):
    with pytest.raises(InvalidRankRequestError, match=r"\[[01]\]: Input should be a JSON object$"):
        rank(**members).to_situation(ActionReader())


@pytest.mark.parametrize(("text", "reason"), [(b"", "no body"), (b"{", "not valid JSON"), (b"\xff", "UTF-8"), (b"[" * 5000, "depth")])
def test_what_cannot_be_read_is_an_invalid_request(text, reason):
    with pytest.raises(InvalidRequestError, match=reason):
        reward(text)


@pytest.mark.parametrize("value", [-1, 1, 0, 0.5, -0.0])
def test_a_reward_keeps_its_value(value):
    assert reward(json.dumps({"value": value}).encode()).value == value


@pytest.mark.parametrize(
    ("places", "written"),
    [((), ""), (("value",), "value"), (("actions", 0), "actions[0]"), (("actions", 1, "features", 2), "actions[1].features[2]")],
)
def test_a_place_is_written_as_a_client_would(places, written):
    assert path(places) == written


def test_an_answer_is_written_in_the_contracts_names():
    answer = RankResponse(ranking=[RankedAction(id="é", probability=0.25)], event_id="e1", reward_action_id="é")
    assert answer.to_wire() == '{"ranking":[{"id":"é","probability":0.25}],"eventId":"e1","rewardActionId":"é"}'.encode()


def test_an_error_without_a_target_has_no_such_member():
    assert ErrorResponse(error=ErrorDetail(code="C", message="m")).to_wire() == b'{"error":{"code":"C","message":"m"}}'
    assert ErrorResponse(error=ErrorDetail(code="C", message="m", target="t")).to_wire().endswith(b',"target":"t"}}')


def test_a_status_without_a_loop_does_not_mention_one():
    status = StatusResponse(service="s", api_status="Valid", api_status_message="m")
    assert json.loads(status.to_wire()) == {"service": "s", "apiStatus": "Valid", "apiStatusMessage": "m"}
