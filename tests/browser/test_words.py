"""The modules that touch no page: how numbers are written, what the checklist finds, and how figures become lines."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from shared.advice.advice import Code
from tests.browser.visits import visited

Ask = Callable[..., Any]
CALL = "([place, name, given]) => import(`/dashboard/${place}`).then((module) => module[name](...given))"
GOOD: dict[str, Any] = {
    "learningMode": "Online",
    "rewardWaitTime": "PT10M",
    "modelVersion": "00000002-a",
    "publishedModelVersion": "00000002-a",
    "modelAgeSeconds": 30.0,
    "lagSeconds": 20.0,
    "advice": [],
    "error": None,
    "counters": {
        "ranked": 1000,
        "learned": 900,
        "pending": 100,
        "skipped": {},
        "rewards": 300,
        "lateRewards": 3,
        "unknownRewards": 0,
        "stragglers": 0,
    },
}


@pytest.fixture(scope="module")
def page(browser, app) -> Iterator[Page]:
    with visited(browser, app) as visit:
        visit.open()
        yield visit.page


@pytest.fixture(scope="module")
def ask(page) -> Ask:
    """Call a function of a module of the page."""
    return lambda place, name, *given: page.evaluate(CALL, [place, name, list(given)])


@pytest.mark.parametrize(
    ("name", "given", "written"),
    [
        ("count", 0, "0"),
        ("count", 12345, "12,345"),
        ("count", 2_345_678, "2.3M"),
        ("count", None, "–"),
        ("count", float("nan"), "–"),
        ("counted", [1, "visit"], "1 visit"),
        ("counted", [2, "visit"], "2 visits"),
        ("counted", [0, "visit"], "0 visits"),
        ("counted", [None, "visit"], "– visits"),
        ("reward", float("nan"), "–"),
        ("percent", float("inf"), "–"),
        ("duration", float("nan"), "–"),
        ("reward", 0.12345, "0.123"),
        ("reward", -0.5, "−0.500"),
        ("reward", -0.00001, "0.000"),
        ("percent", 0, "0%"),
        ("percent", 0.05, "5.0%"),
        ("percent", 0.523, "52%"),
        ("milliseconds", 1.44, "1.4\u00a0ms"),
        ("percent", 0.0997, "10%"),
        ("milliseconds", 9.97, "10\u00a0ms"),
        ("milliseconds", 43.6, "44\u00a0ms"),
        ("milliseconds", 999.7, "1.0\u00a0s"),
        ("milliseconds", 2500, "2.5\u00a0s"),
        ("duration", 0, "0\u00a0s"),
        ("duration", 6.34, "6.3\u00a0s"),
        ("duration", 60, "1\u00a0min"),
        ("duration", 125, "2\u00a0min 5\u00a0s"),
        ("duration", 7200, "2\u00a0h"),
        ("duration", 90_061, "1\u00a0d 1\u00a0h"),
        ("duration", 86_460, "1\u00a0d"),
        ("duration", 59.7, "1\u00a0min"),
        ("ago", 1, "just now"),
        ("ago", 75.4, "1\u00a0min 15\u00a0s ago"),
        ("secondsOf", "PT10M", 600),
        ("secondsOf", "P1DT12H", 129_600),
        ("secondsOf", "PT0.5S", 0.5),
        ("secondsOf", "P", None),
        ("secondsOf", "10 minutes", None),
        ("utcTime", "2026-05-17T12:00:03.25Z", "17 May 2026, 12:00:03 UTC"),
        ("localTime", "2026-05-17T12:00:03Z", "17 May 2026, 14:00"),
    ],
)
def test_numbers_and_times_are_written_so(ask, name, given, written):
    assert ask("lib/format.js", name, *(given if isinstance(given, list) else [given])) == written


def checked(ask: Ask, **changes: Any) -> dict[str, dict[str, Any]]:
    return {check["title"]: check for check in ask("sections/checklist.js", "checklist", {**GOOD, **changes})}


def advice(code: str, message: str = "It is so.") -> list[dict[str, Any]]:
    return [{"code": code, "message": message, "feature": None}]


def test_a_loop_that_learns_has_nothing_on_its_list_to_look_at(ask):
    assert {check["state"] for check in checked(ask).values()} == {"good"}


def test_there_is_something_to_do_about_every_advice_that_the_service_gives(ask):
    for code in Code:
        (found,) = [each for each in checked(ask, advice=advice(code)).values() if each["advice"]]
        assert re.fullmatch(r"It is so\. [A-Z].+\.", found["advice"][0])


@pytest.mark.parametrize(
    ("changes", "title", "state", "told"),
    [
        ({"advice": advice("noRewards")}, "Rewards arrive", "bad", "Send Reward"),
        ({"advice": advice("lateRewards") + advice("unknownRewards")}, "Rewards find their event in time", "warn", "longer"),
        ({"advice": advice("fewEvents") + advice("trainerBehind")}, "The trainer keeps up", "bad", "Wait. A clear effect"),
        ({"advice": advice("learningAnew")}, "The trainer keeps up", "wait", "Wait. New events"),
        ({"mirror": {"state": "failing"}, "advice": advice("mirrorFailing")}, "The log is mirrored", "bad", "signature"),
        ({"advice": advice("waiting")}, "The trainer keeps up", "wait", "To try things out"),
        ({"publishedModelVersion": "00000003-b"}, "The newest model is served", "wait", "poll interval"),
        ({"error": "the model is damaged"}, "The newest model is served", "bad", "the model is damaged"),
        ({"counters": None, "advice": None}, "Storage answers", "bad", "Rank uses the model it has"),
    ],
)
def test_the_list_names_the_step_that_is_in_the_way_and_what_to_do(ask, changes, title, state, told):
    found = checked(ask, **changes)[title]
    assert found["state"] == state
    assert told in found["advice"][0]


def test_policies_that_are_not_known_yet_have_no_line(ask):
    known = {"name": "online", "expectedReward": 0.5, "confidenceInterval": [0.4, 0.6]}
    points = [
        {"timeStamp": "2026-05-17T12:00:00Z", "policies": [{"name": "online", "expectedReward": None, "confidenceInterval": None}]},
        {"timeStamp": "2026-05-17T12:05:00Z", "policies": [known, {"name": "random", "expectedReward": None}]},
    ]
    drawn = ask("sections/series.js", "ofPolicies", points)
    assert [(each["label"], each["values"], each["low"], each["high"]) for each in drawn["series"]] == [
        ("What was shown", [0.5], [0.4], [0.6])
    ]
    assert len(drawn["times"]) == 1


def test_the_figures_move_between_buckets_by_what_was_seen_since_the_page_was_opened(page):
    def figures(events: int, at: str) -> dict[str, Any]:
        return {"totals": {"events": events, "policies": [{"name": "online", "expectedReward": events / 100}]}, "watermark": at}

    seen = [figures(0, "2026-05-17T12:06:00Z"), figures(10, "2026-05-17T12:07:00Z"), figures(10, "2026-05-17T12:08:00Z")]
    buckets = [{"timeStamp": f"2026-05-17T12:{minute}:00Z", "policies": []} for minute in ("00", "05")]
    points = page.evaluate(
        """async ([seen, figures]) => {
            const { Samples } = await import("/dashboard/sections/series.js");
            const samples = new Samples();
            for (const each of seen) samples.add(each);
            return samples.after(figures);
        }""",
        [seen, {"cumulative": buckets, "intervalInMinutes": 5}],
    )
    assert [each["timeStamp"] for each in points] == ["2026-05-17T12:05:00.000Z", "2026-05-17T12:07:00Z"]


def test_however_long_a_page_is_open_what_it_has_seen_is_kept_from_first_to_last_in_a_bounded_number_of_points(page):
    points = page.evaluate(
        """async () => {
            const { Samples } = await import("/dashboard/sections/series.js");
            const samples = new Samples();
            const at = (minute) => new Date(Date.UTC(2026, 4, 17) + minute * 60_000).toISOString();
            const policies = [{ name: "online", expectedReward: 0.5, more: "x".repeat(1_000) }];
            for (let minute = 1; minute <= 5_000; minute++) samples.add({ totals: { events: minute, policies }, watermark: at(minute) });
            return samples.after({ cumulative: [], intervalInMinutes: 5 });
        }"""
    )
    assert len(points) <= 241
    assert [points[0]["events"], points[-1]["events"]] == [1, 5_000]
    assert [each["events"] for each in points] == sorted({each["events"] for each in points})
    assert set(points[0]["policies"][0]) <= {"name", "expectedReward", "confidenceInterval"}


def test_the_lines_of_an_evaluation_share_their_times(ask):
    def result(name: str, *minutes: int) -> dict[str, Any]:
        data = [{"timeStamp": f"2026-05-17T12:{each:02}:00Z", "expectedReward": each, "confidenceInterval": [0, 60]} for each in minutes]
        return {"name": name, "timeseries": {"data": data}}

    drawn = ask("sections/series.js", "ofResults", [result("online", 0, 5), result("mine", 5, 10)])
    assert [each["values"] for each in drawn["series"]] == [[0, 5, None], [None, 5, 10]]
    assert [each["colour"] for each in drawn["series"]] == ["online", "third"]


def test_what_the_service_says_has_the_pages_way_of_times_and_per_cent(ask):
    said = "Better ones were sought before 2026-05-17 10:00:03 UTC, sure at 95 %; it was the same from 2026-05-17 10:00 UTC on."
    assert ask("lib/format.js", "told", said) == (
        "Better ones were sought before 17 May 2026, 12:00:03, sure at 95%; it was the same from 17 May 2026, 12:00 on."
    )


@pytest.mark.parametrize(
    ("value", "other", "written"),
    [(0.55, 0.5, "+0.050 (+10.0%)"), (0.45, 0.5, "−0.050 (−10.0%)"), (0.5, 0.5, "0.000 (0.0%)"), (0.5, -0.1, "+0.600"), (0.5, 0, "+0.500")],
)
def test_a_lift_is_told_by_itself_and_as_a_share(ask, value, other, written):
    assert ask("lib/format.js", "difference", value, other) == written


def test_what_the_model_knows_is_said_where_it_is_served(ask):
    found = checked(ask, publishedModelLearned=20_001)["The newest model is served"]
    assert found["value"] == "30\u00a0s old, knows 20,001 events"
    assert checked(ask, publishedModelLearned=1)["The newest model is served"]["value"].endswith("knows 1 event")
