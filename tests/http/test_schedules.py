"""PUT, GET and DELETE /evaluations/schedules: an evaluation that is asked for once and done again and again."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.running import run
from tests.http.building import ON_ONE_HOST, counters, rank, refused, reward
from tests.http.own_loops import OwnLoop, own_loop
from tests.http.test_breakdowns import FULL, PLACE
from tests.http.test_figures import SHORT
from tests.patience import PATIENCE
from tests.running import HostKind, RunningApp
from tests.stores import NewStorage

EVENTS = 60
MINE = {"name": "mine", "arguments": "--cb_explore_adf --squarecb"}
WEEKLY: dict[str, Any] = {
    "name": "every week",
    "everyDays": 7,
    "overDays": 7,
    "policies": [MINE],
    "leastLifts": {"mine": -5.0, "online": 5.0},
}


@pytest.fixture(scope="module")
def learned(host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    """An app that has learned some events."""
    with RunningApp(new_store(), kind=host, settings=SHORT, queues=True) as running:
        assert running.request("PUT", PLACE, FULL).status == 200
        for number in range(EVENTS):
            assert rank(running, eventId=f"e{number}").status == 201
            assert reward(running, f"e{number}", float(number % 3 == 0)).status == 204
        until = time.monotonic() + PATIENCE
        while counters(running)["pending"]:
            assert time.monotonic() < until, running.logs
            running.request("POST", "/admin/functions/train")
            time.sleep(0.2)
        yield running


@pytest.fixture
def own(shared: RunningApp) -> Iterator[OwnLoop]:
    with own_loop(shared) as loop:
        yield loop


def put(app: RunningApp | OwnLoop, schedule_id: str = "weekly", **changes: Any) -> Any:
    answer = app.request("PUT", f"/evaluations/schedules/{schedule_id}", WEEKLY | changes)
    assert answer.status == 200, answer.body
    return answer.json


def told(app: RunningApp | OwnLoop, schedule_id: str = "weekly") -> Any:
    answer = app.request("GET", f"/evaluations/schedules/{schedule_id}")
    assert answer.status == 200, answer.body
    return answer.json


def ran(app: RunningApp, schedule_id: str = "weekly") -> Any:
    """Wait until the last run is over."""
    until = time.monotonic() + PATIENCE
    while (found := told(app, schedule_id))["lastRun"]["status"] in ("NotSubmitted", "Running"):
        assert time.monotonic() < until, app.logs
        time.sleep(0.1)
    return found


@ON_ONE_HOST
def test_a_schedule_runs_at_once_and_keeps_its_figures(learned):
    made = put(learned)
    assert (made["numberOfRuns"], made["comparedWith"]) == (1, "baseline1")
    due, following = [datetime.fromisoformat(made[name]) for name in ("startTime", "nextTime")]
    assert following - due == timedelta(days=7)
    run = ran(learned)["runs"][0]
    assert (run["status"], run["events"]) == ("Succeeded", EVENTS)
    figures = {each["name"]: each for each in run["value"]}
    assert set(figures) == {"online", "present policy", "baseline1", "baselineRand", "mine"}
    assert figures["online"]["expectedReward"] == pytest.approx(1 / 3)
    assert (figures["mine"]["isBelow"], figures["online"]["isBelow"]) == (False, True)
    assert "lift" not in figures["baseline1"]
    low, high = figures["mine"]["liftInterval"]
    assert low <= figures["mine"]["lift"] <= high
    listed = learned.request("GET", "/personalizer/evaluations?api-version=2022-09-01-preview").json["value"]
    assert run["evaluationId"] in [each["id"] for each in listed]
    report = learned.request("GET", f"/personalizer/evaluations/{run['evaluationId']}/report?api-version=2022-09-01-preview").json
    lifts = {each["name"]: each["lifts"] for each in report["value"] if not each["slotId"]}
    assert lifts["mine"]["baseline1"]["value"] == pytest.approx(figures["mine"]["lift"])
    learned.request("POST", "/admin/functions/analyses")
    until = time.monotonic() + PATIENCE
    while "a lift is lower than its schedule asks for" not in learned.logs:
        assert time.monotonic() < until, learned.logs
        time.sleep(0.1)
    assert told(learned)["runs"] == [run]


@ON_ONE_HOST
def test_the_command_line_makes_shows_lists_and_deletes_schedules(learned):
    place = ("--endpoint", learned.base_url, "--key", learned.key)
    made = run("schedules", "set", "by hand", "--every", "1", "--over", "30", "--policy", "mine=--cb_explore_adf --squarecb",
               "--least-lift", "0.5", "--least-lift", "mine=-2", *place)  # fmt: skip
    assert made.code == 0, made.errors
    ran(learned, "by%20hand")
    shown = run("schedules", "show", "by hand", *place)
    assert shown.code == 0, shown.errors
    assert "alert below  mine -2, present policy +0.5" in shown.text
    assert [line.split()[-1] for line in shown.text.splitlines() if "present policy" in line][-1] == "below"
    found = run("schedules", "show", "by hand", "--json", *place).json
    assert (found["everyDays"], found["overDays"], found["leastLifts"]) == (1, 30, {"mine": -2.0, "present policy": 0.5})
    assert "by hand" in run("schedules", "list", *place).text
    assert run("schedules", "delete", "by hand", *place).code == 0
    assert run("schedules", "show", "by hand", *place).code == 2
    assert run("schedules", "set", "x", "--least-lift", "much", *place).code == 2


@ON_ONE_HOST
def test_a_schedule_can_be_changed_listed_and_deleted(own):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    first = put(own, "a%2Fb", startTime=start.isoformat())
    changed = put(own, "a%2Fb", startTime=start.isoformat(), everyDays=90, policies=[], leastLifts={})
    assert (changed["everyDays"], changed["policies"], changed["runs"]) == (90, [], first["runs"])
    assert told(own, "a/b") == told(own, "a%2Fb"), "a server before the app may decode it"
    put(own, "second", startTime="2999-01-01")
    listed = own.request("GET", "/evaluations/schedules").json["value"]
    assert [(each["id"], each["numberOfRuns"]) for each in listed] == [("a/b", 1), ("second", 0)]
    assert (listed[1]["nextTime"], "lastRun" in listed[1]) == ("2999-01-01T00:00:00Z", False)
    assert own.request("DELETE", "/evaluations/schedules/a%2Fb").status == 204
    for method in ("DELETE", "GET"):
        refused(own.request(method, "/evaluations/schedules/a%2Fb"), 404, "ScheduleNotFound", target="scheduleId")


@ON_ONE_HOST
@pytest.mark.parametrize(
    ("changes", "code", "target"),
    [
        ({"everyDays": 0}, "InvalidContract", "everyDays"),
        ({"everyDays": 91}, "InvalidContract", "everyDays"),
        ({"overDays": 366}, "InvalidContract", "overDays"),
        ({"everyDays": 1.5}, "InvalidContract", "everyDays"),
        ({"name": ""}, "InvalidContract", "name"),
        ({"startTime": "soon"}, "InvalidContract", "startTime"),
        ({"comparedWith": "mine"}, "InvalidContract", "comparedWith"),
        ({"leastLifts": {"other": 0.0}}, "InvalidContract", "leastLifts"),
        ({"leastLifts": {"baseline1": 0.0}}, "InvalidContract", "leastLifts"),
        ({"leastLifts": {"mine": "much"}}, "InvalidContract", "leastLifts.mine"),
        ({"leastLifts": {"": 0.0}}, "InvalidContract", "leastLifts"),
        ({"leastLifts": {"m" * 257: 0.0}}, "InvalidContract", "leastLifts"),
        ({"leastLifts": {f"p{number}": 0.0 for number in range(100)}}, "InvalidContract", "leastLifts"),
        ({"startTime": "0001-01-01T00:00:00+14:00"}, "InvalidContract", "startTime"),
        ({"policies": [MINE, MINE]}, "DuplicateCustomPolicyNames", "policies[1].name"),
        ({"policies": [{"name": "bad", "arguments": "--nothing"}]}, "InvalidPolicyConfiguration", "policies[0].arguments"),
        ({"policies": [MINE] * 11}, "MaximumEvaluationCustomPoliciesExceeded", "policies"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_its_place(own, changes, code, target):
    refused(own.request("PUT", "/evaluations/schedules/s", WEEKLY | changes), 400, code, target=target)
    assert own.request("GET", "/evaluations/schedules").json == {"value": []}


@ON_ONE_HOST
def test_the_eleventh_schedule_is_refused(own):
    for number in range(10):
        put(own, f"s{number}", startTime="2999-01-01")
    answer = own.request("PUT", "/evaluations/schedules/more", WEEKLY)
    assert (answer.status, "10 schedules" in answer.json["error"]["message"]) == (400, True)


@ON_ONE_HOST
def test_a_schedule_of_another_loop_is_not_seen(shared):
    with own_loop(shared) as one, own_loop(shared) as other:
        put(one, startTime="2999-01-01")
        refused(other.request("GET", "/evaluations/schedules/weekly"), 404, "ScheduleNotFound", target="scheduleId")
