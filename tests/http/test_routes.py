"""Paths, versions, methods and headers."""

import contextlib
import http.client
import json
import uuid

import pytest

from tests.http.building import KEY, QUERY_VERSION, VERSIONS, code_of, event_path, nothing_logged, path, rank, rank_body, refused
from tests.patience import PATIENCE
from tests.running import RunningApp

POSTS = ("rank", "events/e1/reward", "events/e1/activate")
JSON = "application/json; charset=utf-8"
UNDER_2022 = [f"/personalizer/{rest}" for rest in POSTS]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_ranks_rewards_and_activates_with_exactly_the_contracts_statuses(app, version):
    ranked = app.request("POST", path("rank", version=version), rank_body())
    assert ranked.status == 201
    assert ranked.json.keys() == {"ranking", "eventId", "rewardActionId"}
    assert all(action.keys() == {"id", "probability"} for action in ranked.json["ranking"])
    for verb, body in (("reward", {"value": 1.0}), ("activate", None)):
        answer = app.request("POST", event_path(ranked.json["eventId"], verb, version=version), body)
        assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize("place", UNDER_2022)
@pytest.mark.parametrize("query", ["", "?api-version=", "?api-version=2022-09-01", "?api-version=v1.0", "?version=2022-09-01-preview"])
def test_a_path_without_a_version_needs_the_right_api_version(quiet, place, query):
    answer = quiet.request("POST", place + query, rank_body() if place.endswith("rank") else {"value": 1})
    refused(answer, 400, "InvalidRequest", naming=f"api-version={QUERY_VERSION}", target="api-version")


@pytest.mark.parametrize("version", ["v1", "v1.1", "v1.1-preview.4", "v2.0", "preview", "v1.0x", "caf%C3%A9"])
@pytest.mark.parametrize("rest", POSTS)
def test_a_version_that_does_not_exist_is_not_found_and_those_that_do_are_listed(quiet, version, rest):
    refused(quiet.request("POST", path(rest, version=version), rank_body()), 404, "ResourceNotFound", naming="v1.0, v1.1-preview.1")


@pytest.mark.parametrize("version", [QUERY_VERSION, QUERY_VERSION.upper()])
@pytest.mark.parametrize("loop", ["", "/loops/default"])
def test_the_version_of_the_query_is_told_so_where_it_stands_in_the_path(quiet, version, loop):
    answer = quiet.request("POST", f"{loop}/personalizer/{version}/rank", rank_body())
    refused(
        answer, 404, "ResourceNotFound", naming=f"in the query, and not in the path: {loop}/personalizer/rank?api-version={QUERY_VERSION}"
    )
    answer = quiet.request("POST", f"{loop}/personalizer/{version}/events/a/b/reward", {"value": 1})
    refused(answer, 404, "ResourceNotFound", naming=f"/personalizer/events/{{eventId}}/reward?api-version={QUERY_VERSION}")


def test_a_version_in_the_path_makes_the_query_irrelevant(app):
    assert app.request("POST", path("rank") + "?api-version=v9&other=1", rank_body()).status == 201


@pytest.mark.parametrize(
    "place",
    [
        "/",
        "/personalizer",
        "/personalizer/v1.0",
        "/personalizer/v1.0/nothing",
        "/personalizer/v1.0/rank/more",
        "/personalizer/v1.0/events",
        "/personalizer/v1.0/events/e1/praise",
        "/personalizer/v1.0/events/e1/reward/more",
        "/api/personalizer/v1.0/rank",
        "/personalization/v1.0/rank",
        "/rank",
        "/caf%C3%A9",
        f"/{'x' * 5000}",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.sweep(keep=20)
def test_an_unknown_path_is_not_found_in_the_contracts_shape(quiet, place, method):
    refused(quiet.request(method, place), 404, "ResourceNotFound", naming="there is nothing at /")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("place", [*map(path, POSTS), *(f"{place}?api-version={QUERY_VERSION}" for place in UNDER_2022)])
@pytest.mark.sweep(keep=16)
def test_a_wrong_method_is_refused_and_told_the_right_one(quiet, method, place):
    answer = quiet.request(method, place, rank_body() if method == "PUT" else None)
    refused(answer, 405, "BadRequest", naming="POST")
    assert answer.headers["allow"] == "POST"


def test_status_takes_get_only(quiet):
    answer = quiet.request("POST", "/status", {})
    refused(answer, 405, "BadRequest", naming="GET")
    assert answer.headers["allow"] == "GET"


READ = [
    "/status",
    "/figures",
    "/figures/actions",
    "/figures/segments",
    "/figures/crossed",
    "/openapi.json",
    "/docs",
    "/dashboard",
    *(path(rest, version=version) for version in VERSIONS[-2:] for rest in ("status", "configurations/service", "model/properties")),
]


@pytest.mark.parametrize("place", READ)
def test_whatever_can_be_read_can_be_asked_about_by_head(quiet, place):
    read, asked = quiet.request("GET", place), quiet.request("HEAD", place)
    assert (asked.status, asked.body) == (read.status, b"") == (200, b"")
    assert asked.headers.keys() == read.headers.keys()
    assert asked.headers["content-type"] == read.headers["content-type"]


def test_head_is_refused_as_get_would_be(quiet):
    assert quiet.request("HEAD", path("model/properties"), keyed=False).status == 401
    assert quiet.request("HEAD", path("events/nobody-ranked-this")).status == 404
    assert quiet.request("HEAD", path("model")).status == quiet.request("GET", path("model")).status


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("/personalization/v1.0/rank", "/personalizer/v1.0/rank"),
        ("/personalizer/v1.0/personalizer/v1.0/rank", "/personalizer/v1.0/rank"),
        ("/personalizer/personalizer/v1.1-preview.1/rank", "/personalizer/v1.1-preview.1/rank"),
        ("/api/personalizer/v1.0/rank", "/personalizer/v1.0/rank"),
        ("/api/personalizer/rank?API-Version=2022-09-01-preview", "/personalizer/rank"),
        ("/api/loops/news/personalizer/v1.0/events/e1/reward", "/loops/news/personalizer/v1.0/events/e1/reward"),
        ("/personalizer/v1.0/loops/news/rank", "/loops/news/personalizer/v1.0/rank"),
        ("/v1.0/rank", "/personalizer/v1.0/rank"),
        ("/loops//personalizer/v1.0/rank", "/personalizer/v1.0/rank"),
        ("/rank", "/personalizer/v1.0/rank"),
        ("/multislot/rank", "/personalizer/v1.1-preview.3/multislot/rank"),
        ("/personalizer/v1.0/personalizer/v1.0/events/e1/activate", "/personalizer/v1.0/events/e1/activate"),
    ],
)
def test_a_path_that_was_put_together_wrongly_is_told_the_right_one(quiet, wrong, right):
    refused(quiet.request("POST", wrong, rank_body()), 404, "ResourceNotFound", naming=f"; did you mean {right}?")
    assert quiet.request("POST", right, keyed=False).status in {400, 401, 404}


@pytest.mark.parametrize("wrong", ["/personalizer/v1.0/figures", "/api/figures", "/v1.0//figures/"])
def test_what_has_no_version_is_told_so_too(quiet, wrong):
    refused(quiet.request("GET", wrong), 404, "ResourceNotFound", naming="; did you mean /figures?")


def test_nothing_is_proposed_that_there_is_not(quiet):
    for method, place in [("GET", "/api/rank"), ("POST", "/personalizer/v9/nothing"), ("POST", f"/{'a/' * 80}rank"), ("POST", "/a" * 900)]:
        answer = quiet.request(method, place)
        assert "did you mean" not in answer.json["error"]["message"]


@pytest.mark.parametrize("query", ["API-Version=2022-09-01-preview", "Api-version=2022-09-01-Preview", "api-VERSION=2022-09-01-PREVIEW"])
def test_names_in_the_query_may_be_in_any_case(app, query):
    assert app.request("POST", f"/personalizer/rank?{query}", rank_body()).status == 201
    assert app.request("GET", f"/personalizer/events/none?AROUND=never&{query}").json["error"]["target"] == "around"
    assert app.request("GET", f"/personalizer/evaluations?TOP=x&{query}").json["error"]["target"] == "top"


@pytest.mark.parametrize("begin", ["/personalizer/v1.0//", "/personalizer//v1.0/", "/personalizer///v1.0//"])
def test_the_place_of_what_was_made_has_no_doubled_slashes(quiet, begin):
    body = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-02T00:00:00Z", "name": "n", "policies": []}
    made = quiet.request("POST", f"{begin}evaluations//", body)
    assert (made.status, "//" in made.headers["location"].removeprefix("http://")) == (201, False)
    assert quiet.request("GET", made.headers["location"].removeprefix(quiet.base_url)).json["id"] == made.json["id"]


@pytest.mark.parametrize("name", ["[::1", "]", "[x]", "[1:2]:80", "a:b:c"])
def test_a_name_that_no_host_has_harms_nobody(quiet, name):
    body = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-02T00:00:00Z", "name": "n", "policies": []}
    made = quiet.request("POST", path("evaluations"), body, headers={"Host": name})
    assert made.status == 400 or made.headers["location"] == f"http://{name}{path('evaluations')}/{made.json['id']}"
    assert quiet.request("GET", "/", headers={"Host": name, "Accept": "text/html"}).status in {200, 400}


def test_a_refusal_of_head_has_no_body(quiet):
    answer = quiet.request("HEAD", path("rank"))
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "POST", b"")


def test_wrong_methods_and_versions_leave_no_trace(quiet):
    with nothing_logged(quiet):
        quiet.request("PUT", path("rank"), rank_body())
        quiet.request("POST", path("rank", version="v9"), rank_body())
        quiet.request("POST", "/personalizer/rank", rank_body())
        quiet.request("POST", "/personalizer/events/e1/reward", {"value": 1})


@pytest.mark.parametrize(
    "place",
    [
        "/personalizer//v1.0/rank",
        "/personalizer/v1.0//rank",
        "/personalizer/v1.0/rank//",
        "/personalizer///v1.0////rank",
        f"/personalizer//rank?api-version={QUERY_VERSION}",
        "/personalizer/v1.0/rank/",
        f"/personalizer/rank/?api-version={QUERY_VERSION}",
        "/PERSONALIZER/V1.0/RANK",
        "/Personalizer/v1.1-PREVIEW.2/Rank/",
        "/PERSONALIZER//V1.0//RANK//",
        f"/PERSONALIZER/RANK?api-version={QUERY_VERSION}",
    ],
)
def test_rank_is_found_through_doubled_slashes_a_trailing_slash_and_in_any_case(app, place):
    assert app.request("POST", place, rank_body()).status == 201


@pytest.mark.parametrize("verb", ["reward", "activate"])
@pytest.mark.parametrize(
    "place",
    [
        "/personalizer/v1.0//events/e1/{verb}",
        "/personalizer//events/e1/{verb}?api-version=2022-09-01-preview",
        "/personalizer/v1.0/events/e1/{verb}/",
        "/PERSONALIZER/V1.0/EVENTS/e1/{verb}",
    ],
)
def test_events_are_found_through_doubled_slashes_a_trailing_slash_and_in_any_case(app, place, verb):
    assert app.request("POST", place.format(verb=verb), {"value": 1}).status == 204


def test_doubled_slashes_change_neither_the_need_for_a_key_nor_the_method(quiet):
    assert quiet.request("POST", "/personalizer//v1.0/rank", rank_body(), keyed=False).status == 401
    assert quiet.request("GET", "/personalizer//v1.0/rank").headers["allow"] == "POST"
    refused(quiet.request("POST", "/personalizer//rank", rank_body()), 400, "InvalidRequest", naming="api-version", target="api-version")


def test_every_answer_has_a_request_id_of_its_own_and_is_not_to_be_cached(app):
    answers = [
        rank(app),
        app.request("POST", event_path("e1", "activate")),
        app.request("POST", path("rank"), b"nonsense"),
        app.request("POST", path("rank"), keyed=False),
        app.request("GET", "/status"),
        app.request("GET", "/nothing"),
    ]
    assert [answer.status for answer in answers] == [201, 204, 400, 401, 200, 404]
    assert len({uuid.UUID(answer.headers["apim-request-id"]) for answer in answers}) == len(answers)
    assert all(answer.headers["x-ms-request-id"] == answer.headers["apim-request-id"] for answer in answers)
    assert all(answer.headers["cache-control"] == "no-store" for answer in answers)
    assert all(answer.headers["x-content-type-options"] == "nosniff" for answer in answers)
    assert [answer.headers.get("content-type") for answer in answers] == [JSON if answer.body else None for answer in answers]
    assert all(("x-ms-error-code" in answer.headers) == (answer.status >= 400) for answer in answers)


@pytest.mark.parametrize("own", ["9C4D50EE-2D56-4CD3-8152-34347DC9F2B0", "made-up", "x" * 128])
@pytest.mark.parametrize(("method", "place"), [("POST", path("rank")), ("POST", event_path("e1", "activate")), ("GET", "/nothing")])
def test_a_clients_own_request_id_comes_back_if_it_asks_for_it(app, own, method, place):
    body = rank_body() if "rank" in place else None
    for wish, back in (("true", own), ("True", own), ("false", None), (None, None)):
        headers = {"x-ms-client-request-id": own} | ({"x-ms-return-client-request-id": wish} if wish else {})
        answer = app.request(method, place, body, headers=headers)
        assert answer.headers.get("x-ms-client-request-id") == back


@pytest.mark.parametrize("own", ["", "x" * 129, "a b", "é"])
def test_what_is_no_request_id_does_not_come_back(app, own):
    headers = {"x-ms-client-request-id": own, "x-ms-return-client-request-id": "true"}
    assert "x-ms-client-request-id" not in app.request("POST", path("rank"), rank_body(), headers=headers).headers


DOUBLED = [
    ("POST", "//personalizer/v1.0/rank", 201),
    ("POST", "//personalizer///v1.0////rank", 201),
    ("POST", f"//PERSONALIZER//RANK//?api-version={QUERY_VERSION}", 201),
    ("POST", "//personalizer/v1.0/events//e1//reward", 204),
    ("GET", "//personalizer/v1.0/status", 200),
    ("HEAD", "//personalizer/v1.1-preview.1/status", 200),
    ("GET", "//status", 200),
]


@pytest.mark.parametrize(("method", "place", "status"), DOUBLED)
def test_an_endpoint_that_ends_in_a_slash_works_on_a_server(on_a_server, method, place, status):
    body = {"value": 1} if place.endswith("reward") else rank_body()
    assert on_a_server.request(method, place, body if method == "POST" else None).status == status


@pytest.mark.parametrize(("method", "place", "status"), DOUBLED)
def test_behind_the_functions_host_no_function_is_asked_for_a_path_that_begins_with_two_slashes(quiet, method, place, status):
    assert quiet.request(method, place)[::2] == (404, b"")


def test_an_evaluation_asked_for_at_such_an_endpoint_is_where_it_says(on_a_server):
    body = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-02T00:00:00Z", "name": "n", "policies": []}
    made = on_a_server.request("POST", "//personalizer/v1.0/evaluations", body)
    assert made.headers["location"] == f"{on_a_server.base_url}/personalizer/v1.0/evaluations/{made.json['id']}"


def test_one_connection_carries_successes_and_refusals_in_turn(app: RunningApp):
    calls = [
        ("POST", path("rank"), json.dumps(rank_body()).encode(), 201),
        ("POST", event_path("e1", "activate"), None, 204),
        ("POST", path("rank"), b"x" * 2_000_000, 413),
        ("POST", event_path("e1", "reward"), b'{"value": 1}', 204),
        ("DELETE", path("rank"), None, 405),
        ("POST", path("rank"), b"nonsense", 400),
        ("POST", path("rank"), json.dumps(rank_body()).encode(), 201),
        ("GET", "/status", None, 200),
    ]
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", app.port, timeout=PATIENCE)) as connection:
        connection.connect()
        first = connection.sock
        for method, place, body, status in calls:
            connection.request(method, place, body, {KEY: app.key})
            response = connection.getresponse()
            response.read()
            assert (response.status, connection.sock) == (status, first)


def test_the_code_in_the_header_is_the_one_in_the_body(quiet):
    assert code_of(quiet.request("POST", path("rank"), {"actions": []})) == "InvalidRankRequest"
