"""`azure-ai-personalizer` of PyPI, unmodified, its synchronous and its asynchronous clients through every operation they have."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, NamedTuple

import pytest
from azure.ai.personalizer import PersonalizerAdministrationClient, PersonalizerClient, aio
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest

from tests.sdk.introspection import methods_called_in_tests, public_methods
from tests.sdk.places import SEVERAL_SLOTS

LONG_AGO = {"start_time": datetime(2019, 1, 12, tzinfo=UTC), "end_time": datetime(2019, 1, 18, tzinfo=UTC)}
EMPTY_RANGE = {"startTime": "2019-01-12T00:00:00Z", "endTime": "2019-01-18T00:00:00Z"}
MINE = {"name": "mine", "arguments": "--cb_explore_adf --softmax"}


class Blocking:
    """An asynchronous client called like the synchronous one: what can be awaited or iterated over is, to its end."""

    def __init__(self, client: Any, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *positional, **named: self._runner.run(finished(method, positional, named))


async def finished(method: Any, positional: tuple, named: dict[str, Any]) -> Any:
    result = method(*positional, **named)
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, AsyncIterable):
        return [each async for each in result]
    return result


class Pieces:
    """Bytes that come piece by piece, for either kind of client, and do not tell how many there are."""

    def __init__(self, content: bytes) -> None:
        self._pieces = [content[start : start + 1000] for start in range(0, len(content), 1000)]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class Clients(NamedTuple):
    """The two clients of an application and of its administrator."""

    user: Any
    administrator: Any


@pytest.fixture(scope="module", params=["synchronous", "asynchronous"])
def clients(request, place) -> Iterator[Clients]:
    with asyncio.Runner() as runner:
        opened = connect(request.param, place.endpoint, place.key, runner)
        yield opened
        opened.user.close()
        opened.administrator.close()


def connect(kind: str, endpoint: str, key: str, runner: asyncio.Runner) -> Clients:
    """Open both clients; ``use_env_settings`` keeps a proxy of this machine out of it, as an application may."""
    credential, options = AzureKeyCredential(key), {"use_env_settings": False}
    if kind == "synchronous":
        return Clients(
            PersonalizerClient(endpoint, credential, **options), PersonalizerAdministrationClient(endpoint, credential, **options)
        )
    return Clients(
        Blocking(aio.PersonalizerClient(endpoint, credential, **options), runner),
        Blocking(aio.PersonalizerAdministrationClient(endpoint, credential, **options), runner),
    )


@pytest.fixture(scope="module")
def user(clients: Clients) -> Any:
    return clients.user


@pytest.fixture(scope="module")
def administrator(clients: Clients) -> Any:
    return clients.administrator


@pytest.fixture
def event_id(request: pytest.FixtureRequest) -> str:
    """An id of each test's own, which no path can hold as it is."""
    return f"one / two? {request.node.name}"


def asked(event_id: str, **members: Any) -> dict[str, Any]:
    actions = [{"id": each, "features": [{"topic": each}]} for each in ("news", "sport", "film")]
    return {"eventId": event_id, "contextFeatures": [{"user": {"device": "phone"}}], "actions": actions, **members}


def slots(*ids: str) -> list[dict[str, Any]]:
    return [{"id": each, "baselineAction": baseline} for each, baseline in zip(ids, ("news", "sport"), strict=True)]


def code(caught: pytest.ExceptionInfo[HttpResponseError]) -> Any:
    """Give the code as the SDK read it, or, where it does not read bodies into errors, as its answer has it."""
    error = caught.value.error
    return error.code if error else json.loads(caught.value.response.text())["error"]["code"]  # type: ignore[union-attr]


def delete_everything(administrator: Any) -> None:
    for each in administrator.list_evaluations():
        administrator.delete_evaluation(each["id"])
    for each in administrator.list_feature_importances():
        administrator.delete_feature_importance(each["id"])


def test_every_operation_of_both_kinds_of_clients_is_called_here():
    methods = public_methods(PersonalizerClient, PersonalizerAdministrationClient)
    assert methods == public_methods(aio.PersonalizerClient, aio.PersonalizerAdministrationClient)
    assert len(methods) >= 28
    assert methods - methods_called_in_tests(__file__) == set()


# --- the application's calls -----------------------------------------------------------------------------------------------


def test_what_is_ranked_activated_and_rewarded_is_stored_as_it_was_sent(place, user, event_id):
    response = user.rank(asked(event_id, excludedActions=["sport"], deferActivation=True))
    assert response["eventId"] == event_id
    assert [each["id"] for each in response["ranking"]][1] == "sport", "the excluded action keeps its place"
    assert sum(each["probability"] for each in response["ranking"]) == pytest.approx(1)
    assert user.activate(event_id) is None
    assert user.reward(event_id, {"value": 0.75}) is None
    stored = place.decision(event_id)
    assert (stored["rewardActionId"], stored["deferActivation"]) == (response["rewardActionId"], True)
    assert "activatedAt" in stored
    assert [each["value"] for each in stored["rewards"]] == [0.75]


def test_several_slots_are_ranked_activated_and_rewarded_once_the_policy_is_one_for_several(place, user, administrator, event_id):
    body = asked(event_id, slots=slots("hero", "side"), deferActivation=True)
    with pytest.raises(HttpResponseError) as caught:
        user.rank_multi_slot(body)
    assert (caught.value.status_code, code(caught)) == (400, "InvalidMultiSlotApiAccess")
    administrator.update_policy(SEVERAL_SLOTS)
    response = user.rank_multi_slot(body)
    assert user.activate_multi_slot(event_id) is None
    assert user.reward_multi_slot(event_id, {"reward": [{"slotId": "side", "value": 0.5}]}) is None
    administrator.reset_policy()
    assert (response["eventId"], [each["id"] for each in response["slots"]]) == (event_id, ["hero", "side"])
    stored = place.slots(event_id)
    assert {each["id"]: each["rewardActionId"] for each in response["slots"]} == {
        slot_id: each["rewardActionId"] for slot_id, each in stored.items()
    }
    assert [[reward["value"] for reward in stored[each]["rewards"]] for each in ("hero", "side")] == [[], [0.5]]


def test_a_refusal_says_what_is_wrong_by_the_sdks_own_exceptions(user):
    with pytest.raises(HttpResponseError) as unranked:
        user.rank(asked("e1", excludedActions=["news", "sport", "film"]))
    with pytest.raises(HttpResponseError) as unrewarded:
        user.reward("e1", {"value": 1.5})
    assert [each.value.status_code for each in (unranked, unrewarded)] == [400, 400]
    assert [code(each) for each in (unranked, unrewarded)] == ["InvalidRankRequest", "InvalidRewardRequest"]


@pytest.mark.parametrize("kind", ["synchronous", "asynchronous"])
def test_a_wrong_key_is_an_authentication_error(place, kind):
    with asyncio.Runner() as runner:
        stranger = connect(kind, place.endpoint, "another", runner)
        with pytest.raises(ClientAuthenticationError):
            stranger.user.rank(asked("e1"))
        with pytest.raises(ClientAuthenticationError):
            stranger.administrator.get_service_configuration()
        stranger.user.close()
        stranger.administrator.close()


def test_a_request_of_ones_own_goes_the_same_way(user, administrator):
    address = "/model/versions?api-version=2022-09-01-preview"
    answers = [each.send_request(HttpRequest("GET", address)) for each in (user, administrator)]
    assert [answer.status_code for answer in answers] == [200, 200]


# --- configuration and policy ----------------------------------------------------------------------------------------------


def test_a_configuration_comes_back_as_it_was_changed_and_can_be_put_back(administrator):
    before = administrator.get_service_configuration()
    changed = administrator.update_service_configuration({**before, "explorationPercentage": 0.5, "logRetentionDays": 14})
    assert (changed["explorationPercentage"], changed["logRetentionDays"]) == (0.5, 14)
    assert administrator.get_service_configuration() == changed
    restored = administrator.update_service_configuration(before)
    assert {**restored, "lastConfigurationEditDate": ""} == {**before, "lastConfigurationEditDate": ""}


def test_a_configuration_that_cannot_be_is_refused_and_changes_nothing(administrator):
    before = administrator.get_service_configuration()
    with pytest.raises(HttpResponseError) as caught:
        administrator.update_service_configuration({**before, "rewardWaitTime": "P31D"})
    assert (caught.value.status_code, code(caught)) == (400, "InvalidRewardWaitTime")
    assert administrator.get_service_configuration() == before


def test_a_policy_comes_back_as_it_was_put_until_it_is_reset(administrator):
    at_first = administrator.get_policy()
    assert administrator.update_policy(MINE) == MINE
    assert administrator.get_policy() == MINE
    reset = administrator.reset_policy()
    assert reset["arguments"] == at_first["arguments"]
    assert administrator.get_policy() == reset


# --- model and log ---------------------------------------------------------------------------------------------------------


def test_a_signed_model_goes_out_away_and_back(place, administrator):
    place.learn()
    unsigned = b"".join(administrator.export_model(signed=False))
    archive = b"".join(administrator.export_model(signed=True))
    properties = administrator.get_model_properties()
    assert datetime.fromisoformat(properties["creationTime"]) <= datetime.fromisoformat(properties["lastModifiedTime"])

    assert administrator.reset_model() is None
    assert b"".join(administrator.export_model()) != unsigned
    assert administrator.import_model(BytesIO(archive)) is None
    assert b"".join(administrator.export_model()) == unsigned
    assert b"".join(administrator.export_model(signed=True)) == archive


def test_a_model_can_be_sent_in_chunks_of_unknown_number_where_the_host_hands_them_on(place, administrator):
    place.learn()
    unsigned = b"".join(administrator.export_model())
    archive = b"".join(administrator.export_model(signed=True))
    administrator.reset_model()
    if place.app.as_azure:
        with pytest.raises(HttpResponseError, match="send the signed archive with a Content-Length") as caught:
            administrator.import_model(Pieces(archive))
        assert (caught.value.status_code, code(caught)) == (400, "InvalidModelImportFormat")
        administrator.import_model(BytesIO(archive))
    else:
        assert administrator.import_model(Pieces(archive)) is None
    assert b"".join(administrator.export_model()) == unsigned


def test_an_unsigned_model_is_not_taken_back(place, administrator):
    place.learn()
    unsigned = b"".join(administrator.export_model(signed=False))
    with pytest.raises(HttpResponseError) as caught:
        administrator.import_model(BytesIO(unsigned))
    assert (caught.value.status_code, code(caught)) == (400, "InvalidModelImportFormat")


def test_a_log_tells_its_range_and_is_empty_after_it_is_deleted(user, administrator):
    user.rank(asked("logged"))
    logged = administrator.get_log_properties()["dateRange"]
    assert datetime.fromisoformat(logged["from"]) <= datetime.fromisoformat(logged["to"])
    assert administrator.delete_logs() is None
    assert administrator.get_log_properties() == {}


# --- analyses --------------------------------------------------------------------------------------------------------------


def test_an_evaluation_is_asked_for_read_and_deleted(administrator):
    delete_everything(administrator)
    contract = {"name": "first", **EMPTY_RANGE, "policies": [MINE], "enablePolicyOptimization": True}
    assert administrator.create_evaluation("id / 1", contract) is None
    found = administrator.get_evaluation("id / 1", **LONG_AGO, interval_in_minutes=60, window="Rolling")
    assert (found["id"], found["name"], found["status"], found["evaluationType"]) == ("id / 1", "first", "Succeeded", "Manual")
    assert found["content"]["intervalInMinutes"] == 60
    with pytest.raises(HttpResponseError) as taken:
        administrator.create_evaluation("id / 1", contract)
    assert (taken.value.status_code, code(taken)) == (400, "EvaluationAlreadyExists")
    assert administrator.delete_evaluation("id / 1") is None
    with pytest.raises(ResourceNotFoundError) as missing:
        administrator.get_evaluation("id / 1", **LONG_AGO)
    assert code(missing) == "EvaluationNotFound"


def test_an_evaluation_of_what_was_logged_is_taken(user, administrator):
    user.rank(asked("evaluated"))
    now = datetime.now(UTC)
    span = {"start_time": now - timedelta(hours=1), "end_time": now + timedelta(hours=1)}
    contract = {"name": "now", "startTime": span["start_time"].isoformat(), "endTime": span["end_time"].isoformat(), "policies": []}
    administrator.create_evaluation("now", contract)
    assert administrator.get_evaluation("now", **span)["status"] in {"NotSubmitted", "Running", "Succeeded"}
    administrator.delete_evaluation("now")


def test_a_list_of_evaluations_is_followed_page_by_page_and_filtered(administrator):
    delete_everything(administrator)
    for number in range(5):
        administrator.create_evaluation(f"e{number}", {"name": f"number {number}", **EMPTY_RANGE, "policies": []})
    newest_first = [f"e{number}" for number in reversed(range(5))]
    kind = "metadata=evaluationType eq 'Manual'"
    answers: list[Any] = []
    pages = administrator.list_evaluations(filter_expression=kind, params={"maxpagesize": 2}, raw_response_hook=answers.append)
    assert [each["id"] for each in pages] == newest_first
    assert len(answers) == 3
    assert [each["id"] for each in administrator.list_evaluations(top=3, skip=1, params={"maxpagesize": 2})] == newest_first[1:4]
    assert list(administrator.list_evaluations(filter_expression="metadata=evaluationType eq 'Auto'")) == []
    delete_everything(administrator)


def test_a_policy_of_an_evaluation_is_put_to_use(administrator):
    delete_everything(administrator)
    at_first = administrator.get_policy()
    administrator.create_evaluation("compared", {"name": "compared", **EMPTY_RANGE, "policies": [MINE]})
    assert administrator.apply_from_evaluation({"evaluationId": "compared", "policyName": "mine"}) is None
    assert administrator.get_policy() == MINE
    administrator.apply_from_evaluation({"evaluationId": "compared", "policyName": "online"})
    assert administrator.get_policy() == at_first
    with pytest.raises(ResourceNotFoundError) as missing:
        administrator.apply_from_evaluation({"evaluationId": "compared", "policyName": "none"})
    assert code(missing) == "LearningSettingsNotFound"


def test_a_feature_importance_is_asked_for_listed_and_deleted(administrator):
    delete_everything(administrator)
    for number in range(3):
        assert administrator.create_feature_importance(f"f{number}", {"name": f"number {number}", **EMPTY_RANGE}) is None
    found = administrator.get_feature_importance("f1")
    assert (found["id"], found["name"], found["status"], found["featureScores"]) == ("f1", "number 1", "Succeeded", [])
    answers: list[Any] = []
    pages = administrator.list_feature_importances(params={"maxpagesize": 2}, raw_response_hook=answers.append)
    assert [each["id"] for each in pages] == ["f2", "f1", "f0"]
    assert len(answers) == 2
    assert [each["id"] for each in administrator.list_feature_importances(top=1, skip=1)] == ["f1"]
    assert administrator.delete_feature_importance("f1") is None
    with pytest.raises(ResourceNotFoundError) as missing:
        administrator.get_feature_importance("f1")
    assert code(missing) == "FeatureImportanceNotFound"


def test_a_client_that_was_closed_can_be_opened_again(place):
    for _ in range(2):
        client = PersonalizerAdministrationClient(place.endpoint, AzureKeyCredential(place.key), use_env_settings=False)
        assert client.get_policy().keys() == {"name", "arguments"}
        client.close()
