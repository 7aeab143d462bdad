"""The official SDK, unchanged, against both hosts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import ErrorResponseException, RankableAction, RankRequest
from msrest.authentication import CognitiveServicesCredentials
from msrest.exceptions import HttpOperationError

from tests.http.building import log_since


def connect(endpoint: str, key: str) -> Any:
    client: Any = PersonalizerClient(endpoint, CognitiveServicesCredentials(key))
    client.config.proxies.use_env_settings = False
    return client


@pytest.fixture(params=["", "/"], ids=["endpoint", "endpoint with a slash"])
def client(request: pytest.FixtureRequest, app) -> Iterator[Any]:
    with connect(app.base_url + request.param, app.key) as connected:
        yield connected


def request_for(*ids: str, **members: Any) -> Any:
    offered = [RankableAction(id=each, features=[{"topic": each}, {"price": 1.5}]) for each in ids]
    return RankRequest(actions=offered, context_features=[{"user": {"device": "phone"}}, {"hour": 9}], **members)


async def test_rank_reward_and_activate_work_through_the_sdk(app, client):
    since = datetime.now(UTC)
    asked = request_for("news", "sport", "film", excluded_actions=["sport"], event_id="from / the SDK", defer_activation=True)
    response = client.rank(asked)
    assert (response.event_id, response.reward_action_id in {"news", "film"}) == ("from / the SDK", True)
    assert {each.id: each.probability for each in response.ranking} == {"news": 0.5, "sport": 0.0, "film": 0.5}
    client.events.activate(response.event_id)
    client.events.reward(response.event_id, value=0.75)
    log = await log_since(app, since)
    assert [(each.event_id, each.deferred) for each in log.decisions] == [(response.event_id, True)]
    assert [(each.event_id, each.reward) for each in log.observations] == [(response.event_id, None), (response.event_id, 0.75)]


def test_an_id_made_by_the_service_can_be_rewarded(client):
    response = client.rank(request_for("news", "sport"))
    assert response.event_id
    client.events.reward(response.event_id, 1.0)


def refusal(caught: pytest.ExceptionInfo[Any]) -> tuple[int, Any]:
    """Give the status, and the error as the SDK read it."""
    return caught.value.response.status_code, caught.value.error.error


def test_a_bad_rank_is_the_sdks_own_exception_with_a_readable_code(client):
    with pytest.raises(ErrorResponseException, match="InvalidRankRequest") as caught:
        client.rank(request_for("news", "news"))
    status, error = refusal(caught)
    assert (status, error.code, error.target) == (400, "InvalidRankRequest", "actions[1].id")
    assert "actions[1].id" in error.message


def test_a_wrong_key_is_an_exception_that_says_so(app):
    with connect(app.base_url, "wrong") as stranger, pytest.raises(ErrorResponseException) as caught:
        stranger.rank(request_for("news"))
    status, error = refusal(caught)
    assert (status, error.code) == (401, "401")
    assert "invalid subscription key" in error.message


@pytest.mark.parametrize("value", [1.5, -2])
def test_a_bad_reward_is_an_exception(client, value):
    with pytest.raises(HttpOperationError) as caught:
        client.events.reward("e1", value=value)
    assert caught.value.response.status_code == 400
