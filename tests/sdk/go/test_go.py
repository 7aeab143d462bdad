"""azure-sdk-for-go's services/personalizer/v1.0, unmodified, through every operation it has: answers, errors, ids and retries."""

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.storage.loop_store import FileUsage
from tests.http.building import KEY
from tests.running import REPOSITORY
from tests.sdk.go import building
from tests.sdk.go.building import SOURCE, Reply
from tests.sdk.go.losing import losing
from tests.sdk.places import ADMIN_KEY, Place
from tests.stores import opened

IDS = [
    "plain",
    "a/b",
    "ends/reward",
    "ends/activate",
    "/begins",
    "one / two? three#four",
    "100 %",
    "%41",
    "a+b&c=d;e",
    "ünï çödé 漢字 🎯",
    'quoted "twice"',
    "back\\slash",
    "a:b@c,d!",
    "...",
    "x" * 256,
]
ANSWERED = {
    "Base.Rank": 201,
    "Events.Activate": 204,
    "Events.Reward": 204,
    "ServiceConfiguration.Get": 200,
    "ServiceConfiguration.Update": 200,
    "Policy.Get": 200,
    "Policy.Update": 200,
    "Policy.Reset": 200,
    "Evaluations.Create": 201,
    "Evaluations.Get": 200,
    "Evaluations.List": 200,
    "Evaluations.Delete": 204,
    "Log.GetProperties": 200,
    "Log.Delete": 204,
    "Model.Get": 200,
    "Model.GetProperties": 200,
    "Model.Reset": 204,
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def program() -> Path:
    go = building.find_go()
    if go is None:
        pytest.skip("Go is not installed on this machine")
    return building.compiled(go)


@pytest.fixture(scope="module")
def said(program: Path, place: Place) -> dict[str, Reply]:
    place.learn()
    replies = building.run(program, "operations", place.endpoint, place.key, f"from Go at {place.endpoint}")
    return {reply["what"]: reply for reply in replies}


def stored_rewards(place: Place, event_id: str) -> list[float]:
    return [each["value"] for each in place.decision(event_id)["rewards"]]


# --- every operation -------------------------------------------------------------------------------------------------


def test_every_operation_of_the_sdk_is_called_and_answered_with_its_own_status(said):
    assert sorted(said["operations"]["names"]) == sorted(ANSWERED)
    assert {name: said[name]["status"] for name in ANSWERED} == ANSWERED
    assert not [reply for reply in said.values() if "failure" in reply]
    assert not [name for name in ANSWERED if "error" in said[name]]


def test_what_was_ranked_activated_and_rewarded_has_been_answered_in_the_sdks_types(said):
    answer = said["Base.Rank"]["body"]
    assert {each["id"] for each in answer["ranking"]} == {"news", "sport", "film"}
    assert sum(each["probability"] for each in answer["ranking"]) == pytest.approx(1.0)
    assert next(each["probability"] for each in answer["ranking"] if each["id"] == "sport") == 0.0
    assert answer["rewardActionId"] in {"news", "film"}
    assert re.fullmatch(r"[\w-]{20,}", said["own id"]["body"]["eventId"])


def test_a_configuration_and_a_policy_come_back_as_they_were_put(said):
    at_first = said["ServiceConfiguration.Get"]["body"]
    assert said["ServiceConfiguration.Update"]["body"] == {**at_first, "explorationPercentage": 0.5}
    assert said["put back"]["body"] == at_first
    assert said["Policy.Update"]["body"] == {"name": "mine", "arguments": "--cb_explore_adf --softmax"}
    assert said["Policy.Reset"]["body"]["arguments"] == said["Policy.Get"]["body"]["arguments"]


def test_an_evaluation_comes_to_its_end_and_tells_figures_as_azure_did(said, place):
    created, found = said["Evaluations.Create"], said["Evaluations.Get"]
    root = place.endpoint.rstrip("/").removeprefix(place.app.base_url)
    assert created["location"] == f"{place.app.base_url}{root}/personalizer/v1.0/evaluations/{created['id']}"
    assert created["id"] in said["Evaluations.List"]["ids"]
    assert found["status of it"] == "completed"
    policies = {each["name"]: each for each in found["policies"]}
    assert list(policies) == ["online", "baseline1", "baselineRand", "present policy", "mine"]
    rounds = policies["online"]["rounds"]
    assert rounds > 0
    assert (policies["online"]["nonZeroProbability"], policies["baselineRand"]["nonZeroProbability"]) == (rounds, rounds)
    for each in policies.values():
        assert each["window"] == "PT0S"
        assert set(each["windows"]) == {"PT5M"}


def test_the_model_and_the_log_are_told_of_and_gone_when_they_are_deleted(said):
    assert said["Model.Get"]["bytes"] > 100
    times = said["Model.GetProperties"]["body"]
    assert times.keys() == {"creationTime", "lastModifiedTime"}
    assert datetime.fromisoformat(times["creationTime"]) <= datetime.now(UTC)
    assert not said["Log.GetProperties"]["isEmpty"]
    assert said["properties after the deletion"]["isEmpty"]


# --- errors ----------------------------------------------------------------------------------------------------------


def test_every_refusal_is_the_sdks_own_error_with_code_target_and_request_id(said):
    refused = {name: reply for name, reply in said.items() if "error" in reply}
    assert {name: (reply["status"], reply["error"]["code"]) for name, reply in refused.items()} == {
        "all excluded": (400, "InvalidRankRequest"),
        "too much": (400, "InvalidRewardRequest"),
        "another key": (401, "401"),
        "another key for the model": (401, "401"),
        "too long": (400, "InvalidRewardWaitTime"),
        "no policy": (400, "InvalidPolicyConfiguration"),
        "deleted": (404, "EvaluationNotFound"),
        "no range": (400, "InvalidDateTimesInEvaluationContract"),
    }
    assert refused["all excluded"]["error"]["target"] == "excludedActions"
    for reply in refused.values():
        assert reply["detailed"] == str(reply["status"])
        assert reply["error"]["message"]
        assert re.fullmatch(r"[0-9a-f-]{36}", reply["error"]["requestId"])


def test_a_months_quota_that_is_used_up_is_an_error_at_once(program, served):
    """Of 429 the SDK's Rank would try five times, and wait for minutes."""
    made = served.request("PUT", "/loops/gosquota", {"tier": "F0"}, headers={KEY: ADMIN_KEY})
    assert made.status == 201, made.body

    async def spend() -> None:
        account = opened(served.storage)
        await FileUsage(account, place="gosquotax0001").grant(f"{datetime.now(UTC):%Y%m}", wanted=50_000, limit=50_000)
        await account.close()

    asyncio.run(spend())
    ranked, rewarded = building.run(program, "retries", f"{served.base_url}/loops/gosquota", made.json["keys"][0], "beyond")
    assert (ranked["status"], ranked["error"]["code"]) == (403, "403")
    assert ranked["error"]["message"].startswith("Out of call volume quota")
    assert ranked["seconds"] < 2
    assert rewarded["status"] == 204


# --- ids -------------------------------------------------------------------------------------------------------------


def test_event_ids_of_every_kind_are_ranked_activated_and_rewarded(program, place):
    ids = [f"{number} {each}"[:256] if each != "/begins" else each for number, each in enumerate(IDS)]
    replies = building.run(program, "ids", place.endpoint, place.key, *map(json.dumps, ids))
    assert [(reply["what"], reply["id"], reply["status"]) for reply in replies] == [
        (what, each, status) for each in ids for what, status in (("rank", 201), ("activate", 204), ("reward", 204))
    ]
    assert [reply["answered"] for reply in replies if reply["what"] == "rank"] == ids
    assert [stored_rewards(place, each) for each in ids] == [[0.25]] * len(ids)
    assert all("activatedAt" in place.decision(each) for each in ids)


# --- retries ---------------------------------------------------------------------------------------------------------


def test_a_call_whose_answer_was_lost_is_repeated_and_counts_once(program, served):
    event_id = "answered twice"
    with losing(served.port, answers=2) as (gateway, seen):
        ranked, rewarded = building.run(program, "retries", gateway, served.key, event_id)
    assert (ranked["status"], rewarded["status"]) == (201, 204)
    assert [seen.count(each) for each in dict.fromkeys(seen)] == [3, 3]
    place = Place(served, served.base_url, served.key)

    def fates() -> list[Any] | None:
        place.train()
        found = place.call("GET", "events/answered%20twice")["decisions"]
        assert {each["rewardActionId"] for each in found} == {ranked["body"]["rewardActionId"]}
        told = sorted(each["fate"] for each in found)
        return None if "pending" in told else told

    assert place.until(fates) == ["learned", "skipped", "skipped"]
    for reply in (ranked, rewarded):
        assert 2 <= reply["seconds"] < 15, "it waits as long as Retry-After says"


def test_a_service_that_is_not_there_is_an_error_of_the_sdk(program):
    with losing(0, answers=0) as (nowhere, _):
        pass
    (said,) = [each for each in building.run(program, "unreachable", nowhere, "key", "e") if each["what"] == "rank"]
    assert said["status"] == 0
    assert "refused" in said["failure"]


# --- how it is built -------------------------------------------------------------------------------------------------


def test_the_sdk_is_the_last_one_that_has_personalizer_and_is_pinned_by_hash():
    required = (SOURCE / "go.mod").read_text("utf-8")
    assert "github.com/Azure/azure-sdk-for-go v68.0.0+incompatible" in required
    pins = (SOURCE / "go.sum").read_text("utf-8").splitlines()
    assert any(re.match(r"github.com/Azure/azure-sdk-for-go v68\.0\.0\+incompatible h1:", each) for each in pins)
    assert "replace" not in required


def test_ci_runs_these_tests_where_go_is_and_says_so_where_it_is_not():
    script = (REPOSITORY / ".ci" / "run").read_text("utf-8")
    assert re.search(r"command -v go.*\n\s*make sdks SDK=go[^\n]*\nelse\n\s*echo \"[^\"]*Go", script)
