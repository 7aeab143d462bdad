"""GET /figures/actions, /figures/segments and /figures/crossed: what was shown, to whom, and which segment gains."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.running import run
from tests.http.building import ON_ONE_HOST, counters, rank, refused, reward
from tests.http.own_loops import OwnLoop, own_loop
from tests.http.test_figures import SHORT
from tests.patience import PATIENCE
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
    with RunningApp(new_store(), kind=host, settings=SHORT, queues=True) as running:
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


# --- from the log --------------------------------------------------------------------------------------------------------

RANGE = {"startTime": "2020-01-01", "endTime": "2100-01-01"}
ASKED = {"name": "first", "feature": "user.device", **RANGE}


def is_over(app: RunningApp, job_id: str) -> Any:
    """Wait until a breakdown from the log is over, and give it."""
    until = time.monotonic() + PATIENCE
    while (found := told(app, f"/breakdowns/{job_id}"))["status"] in ("NotSubmitted", "Running"):
        assert time.monotonic() < until, found
        time.sleep(0.2)
    return found


@ON_ONE_HOST
def test_a_job_counts_from_the_log_what_the_trainer_counts(learned):
    assert learned.request("PUT", "/breakdowns/same", ASKED).status == 200
    found = is_over(learned, "same")
    assert (found["status"], found["events"], found["feature"]) == ("Succeeded", EVENTS, "user.device")
    for table in ("actions", "segments", "crossed"):
        mine, theirs = told(learned, f"/breakdowns/same/{table}"), told(learned, f"/figures/{table}")
        assert (mine["source"], theirs["source"]) == ("log", "figures")
        assert mine["since"] == "2020-01-01T00:00:00Z"
        assert mine["watermark"] == found["countedUntil"] <= theirs["watermark"]
        told_apart = {"source", "since", "watermark", "intervalInMinutes"}
        assert without_trends({name: each for name, each in mine.items() if name not in told_apart}) == without_trends(
            {name: each for name, each in theirs.items() if name not in told_apart}
        )
    assert [each["value"] for each in told(learned, "/breakdowns/same/segments?sort=averageReward&top=1")["value"]] == ["phone"]
    assert "same" in {each["id"] for each in told(learned, "/breakdowns")["value"]}


def without_trends(found: Any) -> Any:
    if isinstance(found, list):
        return [without_trends(each) for each in found]
    if isinstance(found, dict):
        return {name: without_trends(each) for name, each in found.items() if name != "trend"}
    return found


@ON_ONE_HOST
def test_a_feature_that_nothing_has_gives_one_row(learned):
    learned.request("PUT", "/breakdowns/none", {**ASKED, "feature": "nobody.has.it"})
    is_over(learned, "none")
    assert [(each["value"], each["events"]) for each in told(learned, "/breakdowns/none/segments")["value"]] == [(None, EVENTS)]


@ON_ONE_HOST
def test_the_command_line_asks_the_log_too(learned):
    at = ("--endpoint", learned.base_url, "--key", learned.key)
    text = run("figures", "count", "user.device", "--id", "by-hand", *at).text
    assert "phone" in text
    assert "40 events of this range counted" in text
    assert run("figures", "counted", "--json", *at).json == told(learned, "/breakdowns")
    for table in ("actions", "segments", "crossed"):
        assert run("figures", table, "--count", "by-hand", "--json", *at).json == told(learned, f"/breakdowns/by-hand/{table}")
    assert run("figures", "forget", "by-hand", *at).code == 0
    refused(learned.request("GET", "/breakdowns/by-hand"), 404, "BreakdownNotFound", target="breakdownId")


def test_a_range_without_events_is_over_at_once(quiet):
    assert quiet.request("PUT", "/breakdowns/empty", {**ASKED, "startTime": "2019-01-12", "endTime": "2019-01-19"}).status == 200
    assert told(quiet, "/breakdowns/empty")["status"] == "Succeeded"
    found = told(quiet, "/breakdowns/empty/segments")
    assert (found["value"], found["feature"], found["total"]["events"]) == ([], "user.device", 0)
    assert told(quiet, "/breakdowns/empty/actions")["count"] == 0
    assert told(quiet, "/breakdowns/empty/crossed")["actions"] == []
    assert quiet.request("DELETE", "/breakdowns/empty").status == 204


def test_one_that_waits_has_no_figures_yet(own):
    assert rank(own).status == 201
    own.request("PUT", "/breakdowns/waiting", ASKED)
    for table in ("actions", "segments", "crossed"):
        refused(own.request("GET", f"/breakdowns/waiting/{table}"), 409, "BreakdownWithoutResult", naming="waiting", target="breakdownId")


def test_an_id_is_taken_once_and_a_listing_goes_from_page_to_page(own):
    headers = {"x-ms-client-request-id": "one"}
    assert [own.request("PUT", "/breakdowns/b0", ASKED, headers=headers).status for _ in range(2)] == [200, 200]
    refused(own.request("PUT", "/breakdowns/b0", ASKED), 400, "BreakdownAlreadyExists", naming="b0", target="breakdownId")
    refused(
        own.request("PUT", "/breakdowns/b0", {**ASKED, "feature": "x"}, headers=headers),
        400,
        "BreakdownAlreadyExists",
        target="breakdownId",
    )
    own.request("PUT", "/breakdowns/b1", ASKED)
    first = told(own, "/breakdowns?maxpagesize=1")
    assert [each["id"] for each in first["value"]] == ["b1"]
    last = own.request("GET", first["nextLink"].partition(own.name)[2]).json
    assert ([each["id"] for each in last["value"]], "nextLink" in last) == (["b0"], False)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"name": ""}, "name"),
        ({"feature": ""}, "feature"),
        ({"feature": "x" * 257}, "feature"),
        ({"feature": None}, "feature"),
        ({"startTime": "x"}, "startTime"),
        ({"endTime": "2019-01-01"}, "endTime"),
    ],
)
def test_what_makes_no_sense_is_refused_by_naming_the_field(quiet, members, place):
    refused(quiet.request("PUT", "/breakdowns/broken", {**ASKED, **members}), 400, "InvalidContract", naming=place, target=place)


def test_what_is_not_there_is_not_found(quiet):
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/actions"), ("GET", "/segments"), ("GET", "/crossed")):
        refused(quiet.request(method, f"/breakdowns/none{path}"), 404, "BreakdownNotFound", naming="none", target="breakdownId")


def test_they_are_deleted_with_the_log(own):
    own.request("PUT", "/breakdowns/mine", ASKED)
    assert own.request("DELETE", "/personalizer/logs?api-version=2022-09-01-preview").status == 204
    assert told(own, "/breakdowns")["value"] == []
