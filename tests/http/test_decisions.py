"""Decisions of clients over HTTP: what the service decides for the same request is stored, and all else is refused by its line."""

import gzip
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.http.building import ON_ONE_HOST, actions, counters, path, rank, rank_body, refused
from tests.http.own_loops import ADMIN, QUICK, OwnLoop, own_loop
from tests.http.test_logs import learned, receipt
from tests.http.test_model import learn
from tests.http.test_serving import serving
from tests.running import Answer, Asked

PLACE = "/logs/decisions"
LINES = {"Content-Type": "application/x-ndjson"}
SLOTS = [{"id": "top", "baselineAction": "a"}, {"id": "side", "baselineAction": "b"}]


@pytest.fixture
def own(shared) -> Iterator[OwnLoop]:
    with own_loop(shared, **QUICK, explorationPercentage=0.3) as loop:
        yield loop


def now() -> str:
    return datetime.now(UTC).isoformat()


def first(app: Asked, **members: Any) -> dict[str, Any]:
    return {"sentAt": now(), "ticket": serving(app).json["ticket"], **members}


def as_ranked(app: Asked, event_id: str, **members: Any) -> dict[str, Any]:
    """Give the line of a decision that the service was asked for, and made, itself."""
    answer = rank(app, eventId=event_id, **members)
    assert answer.status == 201
    shown = answer.json["rewardActionId"]
    (chance,) = [each["probability"] for each in answer.json["ranking"] if each["id"] == shown]
    return {**rank_body(eventId=event_id, **members), "rewardActionId": shown, "probability": chance, "timestamp": now()}


def send(app: Asked, *lines: Any, headers: dict[str, str] | None = None) -> Answer:
    body = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    return app.request("POST", PLACE, body, headers=headers or LINES)


def test_what_the_service_has_ranked_comes_out_the_same(own):
    lines = [as_ranked(own, f"e{number}", excludedActions=["b"] if number % 2 else []) for number in range(10)]
    answer = send(own, first(own), *lines)
    assert (answer.status, answer.json) == (200, {"stored": 10, "repeated": 0, "refused": []})
    assert send(own, first(own), *lines).json == {"stored": 0, "repeated": 10, "refused": []}
    uploads = own.request("GET", "/status").json["loop"]["uploads"]
    assert uploads == {"stored": 10, "repeated": 10, "refused": {}}


@ON_ONE_HOST
def test_what_a_model_has_decided_is_verified_by_that_model_and_learned_once(own):
    version = learn(own, "first")
    lines = [as_ranked(own, f"e{number}") for number in range(10)]
    ticket = first(own)
    before = counters(own)["learned"]
    assert send(own, ticket, *lines).json["stored"] == 10
    learned(own, before + 10)
    while (found := counters(own))["pending"]:  # a window may end between the two of an event
        own.request("POST", "/admin/functions/train")
    assert found["skipped"] == {"duplicate": 10}
    assert receipt(own, "e3").json["decisions"][0]["modelVersion"] == version
    learn(own, "second")
    again = as_ranked(own, "later")
    assert [each["code"] for each in send(own, ticket, {**again, "eventId": "f1", "probability": 0.5}).json["refused"]] == ["NotReproduced"]


def test_a_refused_line_says_why_and_the_others_are_stored(own):
    line = as_ranked(own, "e1")
    wrong = {**as_ranked(own, "e2"), "probability": 0.9}
    answer = send(own, first(own), line, wrong, b"{nonsense", {**line, "eventId": "e3", "timestamp": "2020-01-01"})
    assert answer.status == 200
    assert answer.json["stored"] == 1
    assert [(each["line"], each.get("eventId"), each["code"]) for each in answer.json["refused"]] == [
        (3, "e2", "NotReproduced"),
        (4, None, "InvalidLine"),
        (5, "e3", "TooOld"),
    ]
    assert "0.333" in answer.json["refused"][0]["message"]
    assert own.request("GET", "/status").json["loop"]["uploads"]["refused"] == {"NotReproduced": 1, "InvalidLine": 1, "TooOld": 1}


def test_another_loops_decisions_are_refused(own, shared):
    with own_loop(shared, **QUICK) as other:
        line = as_ranked(other, "e1")
        answer = send(own, first(other), line)
        assert [each["code"] for each in answer.json["refused"]] == ["TicketOfAnotherLoop"]


def test_a_ticket_of_an_earlier_life_of_the_loop_is_refused(shared):
    name = f"again{secrets.token_hex(6)}"

    def made() -> OwnLoop:
        answer = shared.request("PUT", f"/loops/{name}", {"configuration": QUICK}, headers=ADMIN)
        assert answer.status == 201
        return OwnLoop(shared, name, answer.json["keys"][0])

    earlier = made()
    ticket, line = first(earlier), as_ranked(earlier, "e1")
    assert shared.request("DELETE", f"/loops/{name}", headers=ADMIN).status == 204
    later = made()
    assert [each["code"] for each in send(later, ticket, line).json["refused"]] == ["TicketOfAnotherLoop"]
    assert send(later, first(later), line).json["stored"] == 1
    shared.request("DELETE", f"/loops/{name}", headers=ADMIN)


def test_several_slots_are_decided_as_the_service_does(own):
    policy = path("configurations/policy")
    assert own.request("PUT", policy, {"name": "slots", "arguments": "--ccb_explore_adf"}).status == 200
    asked = {**rank_body("a", "b", "c"), "slots": SLOTS, "eventId": "e1"}
    ranked = own.request("POST", path("multislot/rank", version="v1.1-preview.3"), asked)
    assert ranked.status == 201
    filled = [{**each, "probability": chance} for each, chance in zip(ranked.json["slots"], (1 / 3, 1 / 2), strict=True)]
    line = {**asked, "filled": filled, "timestamp": now()}
    assert send(own, first(own), line).json == {"stored": 1, "repeated": 0, "refused": []}


def test_a_wrong_clock_is_told_the_right_time(own):
    sent_at = (datetime.now(UTC) + timedelta(minutes=6)).isoformat()
    answer = send(own, first(own, sentAt=sent_at), as_ranked(own, "e1"))
    refused(answer, 400, "InvalidRequest", naming="5 minutes away from the service's time, 2", target="line 1: sentAt")


@pytest.mark.parametrize(
    ("body", "status", "naming"),
    [
        (b"", 400, "no line"),
        (b"\n \n", 400, "no line"),
        (b"nonsense", 400, "line 1: not valid JSON"),
        (gzip.compress(b'{"ticket": null}\n'), 415, "compressed (gzip)"),
        (b'{"ticket": null}\n' * 9, 400, "line 9: a body has at most 8 tickets"),
        (b'{"eventId": "e"}\n' * 1_001, 400, "1001 lines"),
        (b'{"sentAt": "yesterday"}', 400, "line 1: sentAt"),
        (b" " * (1024 * 1024 + 1), 413, "at most 1048576"),
    ],
    ids=["empty", "no lines", "no JSON", "compressed", "many tickets", "many lines", "no time", "too long"],
)
def test_a_body_that_is_none_is_refused_whole(quiet, body, status, naming):
    answer = quiet.request("POST", PLACE, body, headers=LINES)
    assert answer.status == status
    assert naming in answer.json["error"]["message"]


@pytest.mark.parametrize("sent", ["application/octet-stream", "application/json"])
def test_only_lines_of_json_are_read(quiet, sent):
    refused(send(quiet, {"ticket": None}, headers={"Content-Type": sent}), 415, "InvalidRequest", naming="x-ndjson", target="Content-Type")


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"eventId": "e", "actions": ' + b"[" * 500_000,
        b"\xff\x00" * 100,
        b'"text"',
        b"7",
        b"null",
        b"{}",
        b'{"sentAt": "2026-05-17"}',
    ],
    ids=["deep", "deeper", "binary", "text", "number", "null", "nothing", "sent again"],
)
def test_a_hostile_line_is_refused_alone(own, line):
    answer = send(own, first(own), line, as_ranked(own, "e1"))
    assert (answer.status, answer.json["stored"]) == (200, 1)
    assert [(each["line"], each["code"]) for each in answer.json["refused"]] == [(2, "InvalidLine")]


@ON_ONE_HOST
def test_a_thousand_lines_are_a_batch(own):
    chances = {each["id"]: 1 / 3 for each in actions()}
    lines = [
        {**rank_body(eventId=f"e{number}"), "probability": chances["a"], "rewardActionId": "a", "timestamp": now()} for number in range(999)
    ]
    answer = send(own, {"sentAt": now()}, *lines)
    assert answer.status == 200
    assert answer.json["stored"] + len(answer.json["refused"]) == 999
    assert 250 < answer.json["stored"] < 420
    assert counters(own)["ranked"] == answer.json["stored"]


def test_who_reads_the_log_needs_a_key(quiet):
    refused(quiet.request("POST", PLACE, b"{}", headers=LINES, keyed=False), 401, "401", naming="Access denied")
