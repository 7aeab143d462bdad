"""GET events and GET models/compare: the latest events of a loop, two of its models, and what is refused about them."""

from collections.abc import Iterator

import pytest

from tests.http.building import KEY, rank, refused, reward
from tests.http.own_loops import OwnLoop, own_loop


@pytest.fixture
def own(shared) -> Iterator[OwnLoop]:
    with own_loop(shared) as loop:
        yield loop


def found(app: OwnLoop, query: str = ""):
    answer = app.request("GET", f"/events{query}")
    assert answer.status == 200, answer.body
    return answer.json


def test_the_latest_events_are_listed_newest_first_with_what_is_known_of_them(own):
    assert found(own)["value"] == []
    for event_id in ("first", "second"):
        assert rank(own, eventId=event_id).status == 201
    assert reward(own, "first", 0.5).status == 204
    listed = found(own)
    told = [(each["eventId"], each["fate"], each["rewards"]) for each in listed["value"]]
    assert told == [("second", "pending", 0), ("first", "pending", 1)]
    assert (listed["lookedAt"]["events"], listed["lookedAt"]["isCut"]) == (2, False)
    assert [each["eventId"] for each in found(own, "?rewarded=true")["value"]] == ["first"]
    assert [each["eventId"] for each in found(own, "?rewarded=FALSE")["value"]] == ["second"]
    assert [each["eventId"] for each in found(own, "?top=1")["value"]] == ["second"]
    assert found(own, "?action=nothing")["value"] == found(own, "?until=2001-01-01")["value"] == []
    shown = listed["value"][0]["rewardActionId"]
    assert "second" in [each["eventId"] for each in found(own, f"?action={shown}")["value"]]


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("rewarded=maybe", "rewarded"),
        ("late=1", "late"),
        ("explored=x", "explored"),
        ("top=0", "top"),
        ("top=501", "top"),
        ("since=yesterday", "since"),
        ("since=2026-01-02&until=2026-01-01", "until"),
        (f"action={'a' * 2049}", "action"),
    ],
)
def test_a_query_that_cannot_be_is_refused_by_name(own, query, target):
    refused(own.request("GET", f"/events?{query}"), 400, "InvalidRequest", naming=target, target=target)


@pytest.mark.parametrize(("query", "target"), [("", "from"), ("?from=a", "to"), ("?from=a&to=b&top=0", "top")])
def test_a_comparison_needs_two_versions(own, query, target):
    refused(own.request("GET", f"/models/compare{query}"), 400, "InvalidRequest", naming=target, target=target)


def test_a_version_that_is_not_kept_is_not_found(own):
    refused(own.request("GET", "/models/compare?from=a&to=b"), 404, "ResourceNotFound", naming="from", target="from")


@pytest.mark.parametrize("place", ["/events", "/models/compare?from=a&to=b"])
def test_who_has_no_key_is_told_nothing(own, place):
    assert own.request("GET", place, keyed=False).status == 401
    assert own.request("GET", place, headers={KEY: "wrong"}).status == 401
