"""Evaluations over HTTP, from the request to the figures: the queue's workers do the rest."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.ai.personalizer import PersonalizerAdministrationClient
from azure.core.credentials import AzureKeyCredential

from tests.http.building import ON_ONE_HOST, QUERY_VERSION, path, rank
from tests.patience import PATIENCE
from tests.running import HostKind, RunningApp
from tests.services.analysis.logs import BEST, FIRST, drawn
from tests.services.analysis.seeding import seed
from tests.stores import NewStorage, opened

pytestmark = [pytest.mark.slow, pytest.mark.sweep(keep=1)]

EVENTS = 2_000
SETTINGS = {"PERSONALIZER_TRAINER_SCHEDULE": "0 0 0 1 1 *"}
RANGE = {"startTime": "2026-05-17T00:00:00Z", "endTime": "2026-05-18T20:00:00Z"}
POLICIES = [
    {"name": "greedy", "arguments": "--cb_explore_adf --first 1"},
    {"name": "blind", "arguments": "--cb_explore_adf --first 1 --ignore u"},
]
END = datetime(2026, 5, 18, 20, tzinfo=UTC)
OLD = "v1.1-preview.3"


@pytest.fixture(scope="module")
def app(host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    """An app with a log, whose queue is served."""
    storage = new_store()

    async def fill() -> None:
        account, events = opened(storage), drawn(EVENTS, every=57.0)
        await seed(account, [events[first : first + 200] for first in range(0, EVENTS, 200)], until=END)
        await account.close()

    asyncio.run(fill())
    with RunningApp(storage, kind=host, settings=SETTINGS, queues=True) as running:
        yield running


def new(job_id: str = "") -> str:
    return path(f"evaluations/{job_id}" if job_id else "evaluations", version=QUERY_VERSION)


def query(window: str = "Expanding", minutes: int = 5, since: str = RANGE["startTime"], until: str = RANGE["endTime"]) -> str:
    return f"&startTime={since}&endTime={until}&window={window}&intervalInMinutes={minutes}"


def until_over(app: RunningApp, where: str, *, running: tuple[str, ...]) -> tuple[dict[str, Any], set[str]]:
    """Ask until it is over; gives the answer, and the statuses that were seen before."""
    seen: set[str] = set()
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = app.request("GET", where).json
        if found["status"] not in running:
            return found, seen
        seen.add(found["status"])
        time.sleep(0.4 if found["status"] == running[-1] else 0.1)  # it takes long enough, and each question takes time of its own
    raise AssertionError(f"it is not over: {found}, {app.logs[-2000:]}")


def test_in_the_newest_shape_with_time_series_as_asked_for(app):
    assert app.request("PUT", new("newest"), {"name": "one", **RANGE, "policies": POLICIES}).status == 200
    found, seen = until_over(app, new("newest") + query(), running=("NotSubmitted", "Running"))
    assert (found["status"], found["optimalPolicy"], found.get("description")) == ("Succeeded", "greedy", None)
    assert "Running" in seen
    content = found["content"]
    assert [(each["name"], each["policySource"]) for each in content["value"]] == [
        ("online", "Online"),
        ("baseline1", "Baseline"),
        ("baselineRand", "Random"),
        ("present policy", "Custom"),
        ("greedy", "Custom"),
        ("blind", "Custom"),
    ]
    expected = {each["name"]: each["summary"]["expectedReward"] for each in content["value"]}
    assert expected["baseline1"] == pytest.approx(FIRST, abs=0.06)
    assert expected["greedy"] == pytest.approx(BEST, abs=0.08)
    for each in content["value"]:
        low, high = each["summary"]["confidenceInterval"]
        assert low < each["summary"]["expectedReward"] < high
    assert content["intervalInMinutes"] == 5
    asked = query("Rolling", 360, "2026-05-17T12:00:00Z", "2026-05-18T12:00:00Z")
    by_six_hours = app.request("GET", new("newest") + asked).json["content"]
    assert by_six_hours["intervalInMinutes"] == 360
    assert [point["timeStamp"] for point in by_six_hours["value"][3]["timeseries"]["data"]] == [
        f"2026-05-{day}T{hour}:00:00Z" for day, hour in ((17, 12), (17, 18), (18, "00"), (18, "06"))
    ]


@ON_ONE_HOST
def test_in_the_older_shape_with_running_sums(app):
    answer = app.request(
        "POST", path("evaluations", version=OLD), {"name": "old", **RANGE, "policies": POLICIES[:1], "enableOfflineExperimentation": False}
    )
    assert answer.status == 201
    where = answer.headers["location"].removeprefix(app.base_url)
    found, _ = until_over(app, where, running=("notSubmitted", "pending"))
    assert (found["status"], found["optimalPolicy"]) == ("completed", "greedy")
    assert found["featureImportance"][0] == ["user.kind"]
    online, baseline, old_random = found["policyResults"][:3]
    assert old_random["name"] == "baselineRand"
    total = baseline["totalSummary"]
    assert total["ipsEstimatorDenominator"] == EVENTS
    assert total["ipsEstimatorNumerator"] / total["snipsEstimatorDenominator"] == pytest.approx(FIRST, abs=0.06)
    assert sum(each["ipsEstimatorDenominator"] for each in baseline["summary"]) == EVENTS
    assert (online["totalSummary"]["nonZeroProbability"], old_random["totalSummary"]["nonZeroProbability"]) == (EVENTS, EVENTS)
    assert 0 < total["nonZeroProbability"] == sum(each["nonZeroProbability"] for each in baseline["summary"]) < EVENTS
    assert {each["aggregateTimeWindow"] for each in baseline["summary"]} == {"PT5M"}
    assert total["aggregateTimeWindow"] == "PT0S"
    earned = sum(each["ipsEstimatorNumerator"] for each in online["summary"]) / EVENTS
    assert earned == pytest.approx(online["totalSummary"]["averageReward"])
    listed = app.request("GET", path("evaluations", version=OLD)).json
    assert any(each["name"] == "old" and each["policyResults"][0]["totalSummary"] == online["totalSummary"] for each in listed)


@ON_ONE_HOST
def test_both_shapes_tell_of_the_same_evaluation(app):
    assert app.request("PUT", new("both"), {"name": "both", **RANGE, "policies": []}).status == 200
    found, _ = until_over(app, new("both") + query(), running=("NotSubmitted", "Running"))
    old = app.request("GET", path("evaluations/both", version=OLD)).json
    assert [each["summary"]["expectedReward"] for each in found["content"]["value"]] == [
        each["totalSummary"]["averageReward"] for each in old["policyResults"]
    ]


@ON_ONE_HOST
def test_the_full_report_has_every_estimator_and_interval_of_each_policy(app):
    assert app.request("PUT", new("reported"), {"name": "one", **RANGE, "policies": POLICIES[:1]}).status == 200
    where = path("evaluations/reported/report", version=QUERY_VERSION)
    found, _ = until_over(app, new("reported") + query(), running=("NotSubmitted", "Running"))
    policies = app.request("GET", where).json["value"]
    assert [each["name"] for each in policies] == [each["name"] for each in found["content"]["value"]]
    greedy, summary = policies[-1], found["content"]["value"][-1]["summary"]
    assert greedy["estimates"]["calibrated_dr"] == pytest.approx(summary["expectedReward"])
    assert greedy["intervals"]["default"] == pytest.approx(summary["confidenceInterval"])
    assert {"ips", "snips", "dm", "dr", "sndr", "mle", "cressie_read", "switch_dr", "dr_os"} <= greedy["estimates"].keys()
    assert {"default", "cressie_read", "empirical_bernstein", "anytime"} <= greedy["intervals"].keys()
    assert (greedy["rounds"], greedy["weights"]["isSound"]) == (EVENTS, True)
    assert app.request("GET", path("evaluations/reported/report", version=OLD)).json["value"] == policies


@ON_ONE_HOST
def test_one_that_is_deleted_on_the_way_is_cancelled_and_its_id_is_free(app):
    assert app.request("PUT", new("cancelled"), {"name": "one", **RANGE, "policies": POLICIES}).status == 200
    assert app.request("DELETE", new("cancelled")).status == 204
    assert app.request("GET", new("cancelled") + query()).status == 404
    assert app.request("PUT", new("cancelled"), {"name": "two", **RANGE, "policies": []}).status == 200
    found, _ = until_over(app, new("cancelled") + query(), running=("NotSubmitted", "Running"))
    assert (found["name"], len(found["content"]["value"])) == ("two", 4)


@ON_ONE_HOST
def test_a_feature_importance_tells_what_matters(app):
    where = path("featureImportances/one", version=QUERY_VERSION)
    assert app.request("PUT", where, {"name": "one", "startTime": RANGE["startTime"], "endTime": "2026-05-18T00:00:00Z"}).status == 200
    found, _ = until_over(app, where, running=("NotSubmitted", "Running"))
    assert found["status"] == "Succeeded"
    best, *others = found["featureScores"]
    assert (best["namespace"], best["featureName"]) == ("user", "kind")
    assert all(each["score"] < best["score"] / 3 for each in others)
    low, high = best["confidenceInterval"]
    assert 0.0 < low < best["score"] <= high <= 1.0
    assert {(each["namespace"], each["featureName"]) for each in others} == {("noise", "day"), ("item", "topic")}


@ON_ONE_HOST
def test_a_gate_lets_the_policy_through_that_surely_earns_more_and_no_other(app):
    assert app.request("PUT", new("gated"), {"name": "gated", **RANGE, "policies": POLICIES}).status == 200
    until_over(app, new("gated") + query(), running=("NotSubmitted", "Running"))
    policy, place = (path(f"configurations/{each}", version=QUERY_VERSION) for each in ("policy", "applyFromEvaluation"))
    gate = {"leastLift": 0.0, "leastEvents": EVENTS, "mostWeight": 1_000.0, "estimators": ["dr", "snips"], "comparedWith": "baseline1"}
    asked = {"evaluationId": "gated", "gate": gate}
    before = app.request("GET", policy).json
    refused = app.request("POST", place, {**asked, "policyName": "blind"})
    assert (refused.status, refused.json["error"]["code"]) == (409, "GateNotPassed")
    told = {each["message"].split(":")[0]: each["code"] for each in refused.json["error"]["details"]}
    assert set(told) == {"lift", "mean weight", "events", "weight", "dr", "snips"}
    assert (told["lift"], told["events"]) == ("Broken", "Kept")
    assert app.request("GET", policy).json == before
    passed = app.request("POST", place, {**asked, "policyName": "greedy"})
    assert (passed.status, passed.body) == (204, b"")
    assert app.request("GET", policy).json == POLICIES[0]
    assert app.request("PUT", policy, before).json == before, "others of this file want to find it as it was"


@ON_ONE_HOST
def test_the_official_sdk_asks_reads_and_puts_to_use(app):
    administrator = PersonalizerAdministrationClient(app.base_url, AzureKeyCredential(app.key))
    span = {"start_time": datetime.fromisoformat(RANGE["startTime"]), "end_time": datetime.fromisoformat(RANGE["endTime"])}
    contract = {"name": "by the SDK", **RANGE, "enablePolicyOptimization": True, "policies": POLICIES[1:]}
    administrator.create_evaluation("sdk", contract)
    until_over(app, new("sdk") + query(), running=("NotSubmitted", "Running"))
    found = administrator.get_evaluation("sdk", **span, interval_in_minutes=60, window="Rolling")
    assert found["status"] == "Succeeded"
    assert "were searched before" in found["description"]
    sources = {each["name"]: each["policySource"] for each in found["content"]["value"]}
    assert (sources["blind"], sources["Hyper1"], sources["Inter-len1"]) == ("Custom", "OfflineExperimentation", "OfflineExperimentation")
    before = administrator.get_model_properties()
    administrator.apply_from_evaluation({"evaluationId": "sdk", "policyName": "Inter-len1"})
    assert administrator.get_policy()["name"] == "Inter-len1"
    assert administrator.get_model_properties() != before, "its model came with it"
    ranked = rank(app, "a", "b")
    assert ranked.status == 201
