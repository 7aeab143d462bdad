"""`azure-cognitiveservices-personalizer` of PyPI, unmodified, through every operation it has."""

from collections.abc import Iterator
from typing import Any

import pytest
from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import ErrorResponseException, RankableAction, RankRequest
from azure.cognitiveservices.personalizer.operations import EventsOperations
from msrest.authentication import CognitiveServicesCredentials
from msrest.exceptions import HttpOperationError

from tests.sdk.introspection import methods_called_in_tests, public_methods
from tests.sdk.places import Place


def connect(place: Place, *, key: str = "") -> Any:
    client: Any = PersonalizerClient(place.endpoint, CognitiveServicesCredentials(key or place.key))
    client.config.proxies.use_env_settings = False
    return client


@pytest.fixture(scope="module")
def client(place: Place) -> Iterator[Any]:
    with connect(place) as connected:
        yield connected


@pytest.fixture
def event_id(request: pytest.FixtureRequest) -> str:
    """An id of each test's own, which no path can hold as it is."""
    return f"one / two? {request.node.name}"


def asked(event_id: Any, **members: Any) -> Any:
    offered = [RankableAction(id=each, features=[{"topic": each}, {"price": 1.5}]) for each in ("news", "sport", "film")]
    return RankRequest(actions=offered, context_features=[{"user": {"device": "phone"}}], event_id=event_id, **members)


def test_every_operation_of_the_sdk_is_called_here():
    assert public_methods(PersonalizerClient, EventsOperations) == {"rank", "reward", "activate"}
    assert methods_called_in_tests(__file__) >= public_methods(PersonalizerClient, EventsOperations)


def test_what_is_ranked_activated_and_rewarded_is_stored_as_it_was_sent(place, client, event_id):
    response = client.rank(asked(event_id, excluded_actions=["sport"], defer_activation=True))
    assert response.event_id == event_id
    assert sorted(each.id for each in response.ranking) == ["film", "news", "sport"]
    client.events.activate(response.event_id)
    client.events.reward(response.event_id, value=0.75)
    stored = place.decision(response.event_id)
    assert (stored["rewardActionId"], stored["deferActivation"]) == (response.reward_action_id, True)
    assert stored["probability"] == next(each.probability for each in response.ranking if each.id == response.reward_action_id)
    assert "activatedAt" in stored
    assert [each["value"] for each in stored["rewards"]] == [0.75]


def test_the_answers_are_exactly_201_and_204(client):
    ranked = client.rank(asked(None), raw=True)
    rewarded = client.events.reward(ranked.output.event_id, 1.0, raw=True)
    activated = client.events.activate(ranked.output.event_id, raw=True)
    assert [each.response.status_code for each in (ranked, rewarded, activated)] == [201, 204, 204]


def test_a_refusal_is_the_sdks_own_exception_with_the_field_that_is_wrong(client):
    with pytest.raises(ErrorResponseException) as caught:
        client.rank(asked("e1", excluded_actions=["news", "sport", "film"]))
    failure: Any = caught.value.error
    error = failure.error
    assert (caught.value.response.status_code, error.code, error.target) == (400, "InvalidRankRequest", "excludedActions")
    with pytest.raises(HttpOperationError) as refused:
        client.events.reward("e1", value=1.5)
    assert refused.value.response.status_code == 400


def test_a_wrong_key_opens_nothing(place):
    with connect(place, key="another") as stranger:
        with pytest.raises(ErrorResponseException) as caught:
            stranger.rank(asked("e1"))
        with pytest.raises(HttpOperationError) as unrewarded:
            stranger.events.reward("e1", 1.0)
        with pytest.raises(HttpOperationError) as inactive:
            stranger.events.activate("e1")
    assert {each.value.response.status_code for each in (caught, unrewarded, inactive)} == {401}
