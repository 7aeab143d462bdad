"""Feature importances: asked for, read, listed and deleted."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.contract import examples
from tests.contract.shapes import conforms
from tests.http.building import QUERY_VERSION, path, rank, refused
from tests.running import Answer, RunningApp

NOW = {"startTime": "2020-01-01", "endTime": "2100-01-01"}
REPEATED = {"x-ms-client-request-id": "9a1b0c4e-0000-4000-8000-000000000002"}
ID = "featureImportanceId"


@pytest.fixture(scope="module")
def asked(host, new_store) -> Iterator[RunningApp]:
    """An app with one event in its log."""
    with RunningApp(new_store(), kind=host) as running:
        assert rank(running).status == 201
        yield running


def one(job_id: str) -> str:
    return path(f"featureImportances/{quote(job_id, safe='')}", version=QUERY_VERSION)


def put(app: RunningApp, job_id: str, headers: dict[str, str] | None = None, **members: Any) -> Answer:
    return app.request("PUT", one(job_id), {"name": "first", **NOW, **members}, headers=headers)


def listing(app: RunningApp, **query: str) -> Answer:
    return app.request("GET", f"{path('featureImportances', version=QUERY_VERSION)}&{urlencode(query)}")


def test_an_empty_range_is_over_at_once_and_says_so(asked):
    answer = asked.request("PUT", one("spring"), {**examples.ASKED, "startTime": "2019-01-12T00:00:00Z", "endTime": "2019-01-19T00:00:00Z"})
    assert (answer.status, answer.body) == (200, b"")
    got = asked.request("GET", one("spring"))
    conforms(got.json, QUERY_VERSION, "FeatureImportance")
    assert (got.json["status"], got.json["featureScores"]) == ("Succeeded", [])
    assert "No event was logged" in got.json["description"]


def test_what_waits_has_no_scores_yet(asked):
    put(asked, "waiting/one")
    found = asked.request("GET", one("waiting/one")).json
    conforms(found, QUERY_VERSION, "FeatureImportance")
    assert (found["id"], found["name"], found["status"], found["featureScores"]) == ("waiting/one", "first", "NotSubmitted", [])


def test_a_listing_goes_from_page_to_page_and_what_was_deleted_is_not_in_it(asked):
    for each in listing(asked).json["value"]:
        assert asked.request("DELETE", one(each["id"])).status == 204
    for number in range(3):
        put(asked, f"i{number}")
    first = listing(asked, maxpagesize="2").json
    conforms(first, QUERY_VERSION, "FeatureImportances")
    assert [each["id"] for each in first["value"]] == ["i2", "i1"]
    last = asked.request("GET", first["nextLink"].removeprefix(asked.base_url)).json
    assert ([each["id"] for each in last["value"]], "nextLink" in last) == (["i0"], False)


def test_an_id_is_taken_only_once_but_a_repeated_request_is_no_second_one(asked):
    assert [put(asked, "once", headers=REPEATED).status for _ in range(2)] == [200, 200]
    refused(put(asked, "once"), 400, "FeatureImportanceAlreadyExists", naming="once", target=ID)


def test_what_is_not_there_is_not_found_to_read_or_to_delete(asked):
    for method in ("GET", "DELETE"):
        refused(asked.request(method, one("none")), 404, "FeatureImportanceNotFound", naming="none", target=ID)


@pytest.mark.parametrize(
    ("members", "place"), [({"name": ""}, "name"), ({"startTime": "x"}, "startTime"), ({"endTime": "2019-01-01"}, "endTime")]
)
def test_a_broken_rule_is_refused_by_naming_the_field(asked, members, place):
    refused(put(asked, "broken", **members), 400, "InvalidContract", naming=f"{place}: ", target=place)
    refused(put(asked, "x" * 257), 400, "InvalidContract", naming=f"{ID}: ", target=ID)
    refused(listing(asked, top="x"), 400, "InvalidRequest", naming="top: ", target="top")


@pytest.mark.parametrize("version", ["v1.0", "v1.1-preview.3"])
def test_the_versions_of_the_path_have_none_of_it(asked, version):
    for place in ("featureImportances", "featureImportances/i1"):
        refused(asked.request("GET", path(place, version=version)), 404, "ResourceNotFound")
