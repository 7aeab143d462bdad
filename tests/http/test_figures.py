"""GET /figures: what was earned and would have been, and how fast the process answers."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.http.building import ON_ONE_HOST, counters, rank, refused, reward
from tests.patience import PATIENCE
from tests.running import HostKind, RunningApp
from tests.stores import NewStorage

EVENTS, REWARDED = 40, 10
ADMIN = {"PERSONALIZER_ADMIN_KEY": "the-administrator"}
SHORT = {
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
}


@pytest.fixture(scope="module")
def learned(host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    """An app that has learned some events, every fourth of them rewarded."""
    with RunningApp(new_store(), kind=host, settings=SHORT | ADMIN) as running:
        for number in range(EVENTS):
            assert rank(running, eventId=f"e{number}").status == 201
            if number % 4 == 0:
                assert reward(running, f"e{number}", 1.0).status == 204
        until = time.monotonic() + PATIENCE
        while counters(running)["pending"]:
            assert time.monotonic() < until, running.logs
            running.request("POST", "/admin/functions/train")
            time.sleep(0.2)
        yield running


def figures(app: RunningApp, query: str = "") -> dict[str, Any]:
    answer = app.request("GET", f"/figures{query}")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


@ON_ONE_HOST
def test_they_tell_what_was_learned(learned):
    found, status = figures(learned), learned.request("GET", "/status").json["loop"]
    assert (found["loop"], found["intervalInMinutes"]) == ("default", 5)
    assert found["totals"]["events"] == status["counters"]["learned"] == EVENTS
    assert datetime.fromisoformat(found["watermark"]) == datetime.fromisoformat(status["watermark"])
    assert found["totals"]["averageReward"] == pytest.approx(REWARDED / EVENTS)
    assert "apprentice" not in found["totals"]
    assert sum(point["events"] for point in found["timeseries"]) == EVENTS
    assert sum(point["rewards"] for point in found["timeseries"]) == REWARDED
    assert found["since"] <= found["timeseries"][0]["timeStamp"] < found["asOf"]


@ON_ONE_HOST
def test_each_policy_has_an_estimate_within_its_interval(learned):
    found = figures(learned)
    policies = found["totals"]["policies"]
    assert [each["name"] for each in policies] == ["online", "baseline1", "random"]
    for each in policies:
        low, high = each["confidenceInterval"]
        assert 0.0 <= low <= each["expectedReward"] <= high <= 1.0
        assert each["meanWeightInterval"][0] <= each["meanWeight"] <= each["meanWeightInterval"][1]
        assert 0.0 < each["effectiveEvents"] <= EVENTS
    assert found["cumulative"][-1]["policies"][0]["confidenceInterval"] == policies[0]["confidenceInterval"]
    assert policies[0]["confidenceInterval"] != [0.0, 1.0]


@ON_ONE_HOST
def test_exploration_and_lag_are_told_of_each_bucket(learned):
    for point in figures(learned)["timeseries"]:
        if point["events"]:
            assert 0.0 <= point["explorationShare"] <= 1.0
            assert 0.0 < point["entropy"] <= 1.1  # ln 3: there are three actions
            assert 0.0 <= point["lagSeconds"] < 60.0
        assert "matchRate" not in point


@ON_ONE_HOST
def test_the_answering_process_tells_how_fast_it_is(learned):
    before = figures(learned)["latency"]
    assert rank(learned, eventId="timed").status == 201
    assert rank(learned, contextFeatures=7).status == 400  # refused: not counted
    after = figures(learned)["latency"]
    assert after["rank"]["count"] == before["rank"]["count"] + 1 > EVENTS
    assert after["reward"]["count"] == before["reward"]["count"] == REWARDED
    assert 0.0 < after["rank"]["p50Ms"] <= after["rank"]["p95Ms"] <= after["rank"]["p99Ms"] < 60_000.0


@ON_ONE_HOST
def test_the_query_chooses_buckets(learned):
    day = figures(learned, "?interval=1440")
    assert [(point["events"], point["timeStamp"][-9:]) for point in day["timeseries"]] == [(EVENTS, "00:00:00Z")]
    assert figures(learned, "?until=2020-01-01")["timeseries"] == []
    assert figures(learned, "?since=2999-01-01")["totals"]["events"] == EVENTS
    now = figures(learned)["asOf"]
    assert len(figures(learned, f"?since=2026-01-01T00:00:00Z&until={now}")["timeseries"]) >= 1


@ON_ONE_HOST
def test_a_loop_has_figures_of_its_own(learned):
    admin = {"Ocp-Apim-Subscription-Key": ADMIN["PERSONALIZER_ADMIN_KEY"]}
    made = learned.request("PUT", "/loops/other", {}, headers=admin, keyed=False)
    assert made.status == 201
    keyed = {"Ocp-Apim-Subscription-Key": made.json["keys"][0]}
    answer = learned.request("GET", "/loops/other/figures", headers=keyed, keyed=False)
    assert (answer.status, answer.json["loop"], answer.json["totals"]["events"]) == (200, "other", 0)
    assert (answer.json["watermark"], answer.json["since"], answer.json["timeseries"]) == (None, None, [])
    refused(learned.request("GET", "/figures", headers=keyed, keyed=False), 401, "401", naming="key")


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("interval=10", "interval"),
        ("interval=5.0", "interval"),
        ("since=yesterday", "since"),
        ("until=2026-13-01", "until"),
        ("since=2026-05-17T12:00:00Z&until=2026-05-17T12:00:00Z", "until"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_name(quiet, query, target):
    refused(quiet.request("GET", f"/figures?{query}"), 400, "InvalidRequest", naming=f"{target}: ", target=target)


def test_they_are_for_who_has_a_key(quiet):
    refused(quiet.request("GET", "/figures", keyed=False), 401, "401", naming="key")


def test_they_are_read_and_not_written(quiet):
    answer = quiet.request("POST", "/figures", {})
    assert (answer.status, answer.headers.get("allow")) == (405, "GET")
