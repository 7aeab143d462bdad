"""GET /figures/actions, /figures/segments and /figures/crossed: what was shown, to whom, and which segment gains."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.running import run
from tests.http.building import ON_ONE_HOST, counters, rank, refused, reward
from tests.http.own_loops import OwnLoop, own_loop
from tests.http.test_figures import SHORT
from tests.running import HostKind, RunningApp
from tests.stores import NewStorage

EVENTS = 40
PLACE = "/personalizer/configurations/service?api-version=2022-09-01-preview"
FULL = {
    "rewardWaitTime": "PT1S",
    "defaultReward": 0.0,
    "rewardAggregation": "earliest",
    "explorationPercentage": 0.5,
    "modelExportFrequency": "PT1S",
    "logRetentionDays": 30,
    "modelRetrainDays": 0,
}


@pytest.fixture(scope="module")
def learned(host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    """An app that has learned some events of two devices, those with a phone all rewarded."""
    with RunningApp(new_store(), kind=host, settings=SHORT) as running:
        assert running.request("PUT", PLACE, {**FULL, "breakdownFeature": "user.device"}).status == 200
        for number in range(EVENTS):
            device = "phone" if number % 4 else "tv"
            assert rank(running, eventId=f"e{number}", contextFeatures=[{"user": {"device": device}}]).status == 201
            if device == "phone":
                assert reward(running, f"e{number}", 1.0).status == 204
        until = time.monotonic() + 60
        while counters(running)["pending"]:
            assert time.monotonic() < until, running.logs
            running.request("POST", "/admin/functions/train")
            time.sleep(0.2)
        yield running


@pytest.fixture
def own(shared: RunningApp) -> Iterator[OwnLoop]:
    with own_loop(shared) as loop:
        yield loop


def told(app: RunningApp | OwnLoop, path: str) -> Any:
    answer = app.request("GET", path)
    assert answer.status == 200, answer.body
    return answer.json


@ON_ONE_HOST
def test_actions_tell_what_was_shown_and_what_it_earned(learned):
    found, figures = told(learned, "/figures/actions"), told(learned, "/figures")
    assert sum(each["events"] for each in found["value"]) == found["total"]["events"] == figures["totals"]["events"] == EVENTS
    assert found["total"]["averageReward"] == pytest.approx(figures["totals"]["averageReward"])
    assert (found["others"]["events"], found["mostEventsOfOthers"], found["source"], found["loop"]) == (0, 0, "figures", "default")
    for each in found["value"]:
        assert each["confidenceInterval"][0] <= each["averageReward"] <= each["confidenceInterval"][1]
        assert sum(point["events"] for point in each["trend"]) == each["events"]
        assert each["firstSeen"] <= each["lastSeen"] <= found["watermark"]


@ON_ONE_HOST
def test_segments_tell_what_each_value_earned_beside_the_baseline(learned):
    found = told(learned, "/figures/segments")
    assert found["feature"] == "user.device"
    assert [(each["value"], each["events"], each["averageReward"]) for each in found["value"]] == [("phone", 30, 1.0), ("tv", 10, 0.0)]
    assert all(each["gain"]["effectiveEvents"] < 50 and each["gain"]["lift"]["value"] is None for each in found["value"])


@ON_ONE_HOST
def test_crossed_has_a_cell_for_each_pair(learned):
    found = told(learned, "/figures/crossed")
    for number, value in enumerate(found["values"]):
        cells = [each["cells"][number] for each in found["actions"] if each["cells"][number]]
        assert sum(cell["events"] for cell in cells) == value["events"]
        assert sum(cell["share"] for cell in cells) == pytest.approx(1.0)
    assert len(told(learned, "/figures/crossed?values=1&actions=2")["actions"][0]["cells"]) == 1


@ON_ONE_HOST
def test_a_query_chooses_rows(learned):
    assert [each["value"] for each in told(learned, "/figures/segments?search=PHO")["value"]] == ["phone"]
    assert [each["value"] for each in told(learned, "/figures/segments?sort=averageReward&order=asc")["value"]] == ["tv", "phone"]
    cut = told(learned, "/figures/segments?sort=id&top=1&skip=1")
    assert ([each["value"] for each in cut["value"]], cut["matched"], cut["total"]["events"]) == (["tv"], 2, EVENTS)
    assert told(learned, "/figures/actions?until=2020-01-01")["value"] == []


@ON_ONE_HOST
def test_the_command_line_tells_the_same(learned):
    at = ("--endpoint", learned.base_url, "--key", learned.key)
    for command in ("actions", "segments", "crossed"):
        assert run("figures", command, "--json", *at).json == told(learned, f"/figures/{command}")
    text = run("figures", "segments", *at).text
    assert "phone" in text
    assert "not known yet" in text
    assert "phone" in run("figures", "crossed", *at).text
    assert "1 of 2 values" in run("figures", "segments", "--top", "1", *at).text


@pytest.mark.parametrize("path", ["/figures/actions", "/figures/segments", "/figures/crossed"])
@pytest.mark.parametrize(("query", "target"), [("since=yesterday", "since"), ("since=2026-01-02&until=2026-01-01", "until")])
def test_a_range_that_makes_no_sense_is_refused(quiet, path, query, target):
    refused(quiet.request("GET", f"{path}?{query}"), 400, "InvalidRequest", target=target)


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("sort=reward", "sort"),
        ("order=up", "order"),
        ("top=0", "top"),
        ("top=501", "top"),
        ("skip=-1", "skip"),
        (f"search={'x' * 257}", "search"),
    ],
)
def test_rows_that_make_no_sense_are_refused(quiet, query, target):
    refused(quiet.request("GET", f"/figures/actions?{query}"), 400, "InvalidRequest", target=target)


@pytest.mark.parametrize(("query", "target"), [("actions=0", "actions"), ("values=101", "values"), ("values=many", "values")])
def test_cells_that_make_no_sense_are_refused(quiet, query, target):
    refused(quiet.request("GET", f"/figures/crossed?{query}"), 400, "InvalidRequest", target=target)


def test_a_loop_without_a_feature_says_so(quiet):
    found = told(quiet, "/figures/segments")
    assert (found["feature"], found["value"], found["total"], found["others"]) == (None, [], None, None)
    assert told(quiet, "/figures/crossed")["actions"] == []


def test_the_feature_is_kept_told_and_taken_back(own):
    assert "breakdownFeature" not in told(own, PLACE)
    assert own.request("PUT", PLACE, {**FULL, "breakdownFeature": "a.b"}).json["breakdownFeature"] == "a.b"
    assert own.request("PUT", PLACE, FULL).json["breakdownFeature"] == "a.b"
    assert "breakdownFeature" not in told(own, "/personalizer/v1.1-preview.3/configurations/service")
    assert "breakdownFeature" not in own.request("PUT", PLACE, {**FULL, "breakdownFeature": ""}).json
    too_long = own.request("PUT", PLACE, {**FULL, "breakdownFeature": "x" * 257})
    refused(too_long, 400, "InvalidServiceConfiguration", target="breakdownFeature")
