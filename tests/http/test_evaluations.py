"""Evaluations: asked for, read, listed and deleted in both shapes, and their policies put to use."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from shared.domain.evaluation import Evaluation, Job
from shared.domain.loop import LearningPolicy
from shared.runtime.settings import read_settings
from shared.runtime.wiring import build
from shared.services.analysis.evaluations import MOST_KEPT
from shared.storage.evaluation_store import evaluation_store
from tests.builders import T0, after
from tests.contract import examples
from tests.contract.shapes import conforms
from tests.http.building import ON_ONE_HOST, QUERY_VERSION, VERSIONS, path, rank, refused
from tests.running import Answer, RunningApp

OLD = [version for version in VERSIONS if version != QUERY_VERSION]
LAST = "v1.1-preview.3"
MINE = {"name": "mine", "arguments": "--cb_explore_adf --softmax"}
PAST = {"startTime": "2018-12-19T00:00:00Z", "endTime": "2019-01-19T00:00:00Z"}
NOW = {"startTime": "2020-01-01", "endTime": "2100-01-01"}
REPEATED = {"x-ms-client-request-id": "9a1b0c4e-0000-4000-8000-000000000001"}


@pytest.fixture(scope="module")
def judged(host, new_store) -> Iterator[RunningApp]:
    """An app with one event in its log, whose evaluations the tests make and delete."""
    settings = {"PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.2S"}
    with RunningApp(new_store(), kind=host, settings=settings) as running:
        assert rank(running).status == 201
        yield running


@pytest.fixture(autouse=True)
def cleared(request) -> Iterator[None]:
    yield
    if "judged" in request.fixturenames:
        app = request.getfixturevalue("judged")
        for each in app.request("GET", path("evaluations", version=LAST)).json:
            app.request("DELETE", one(each["id"]))


def one(job_id: str, *, version: str = QUERY_VERSION, **query: str) -> str:
    place = path(f"evaluations/{quote(job_id, safe='')}", version=version)
    return f"{place}{'&' if '?' in place else '?'}{urlencode(query)}" if query else place


def put(app: RunningApp, job_id: str = "e1", headers: dict[str, str] | None = None, **members: Any) -> Answer:
    body = {"name": "first", **NOW, "policies": [MINE], **members}
    return app.request("PUT", one(job_id), body, headers=headers)


def post(app: RunningApp, *, version: str = LAST, headers: dict[str, str] | None = None, **members: Any) -> Answer:
    body = {"name": "first", **NOW, "policies": [MINE], **members}
    return app.request("POST", path("evaluations", version=version), body, headers=headers)


def get(app: RunningApp, job_id: str = "e1", **query: str) -> Answer:
    return app.request("GET", one(job_id, **{**NOW, **query}))


# --- v1.0 and its previews -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OLD)
def test_what_is_created_is_found_where_the_answer_says(judged, version):
    answer = judged.request("POST", path("evaluations", version=version), {**examples.wanted(version), **PAST})
    assert answer.status == 201
    conforms(answer.json, version, "Evaluation")
    assert (answer.json["status"], answer.json["featureImportance"]) == ("completed", [])
    location = urlsplit(answer.headers["location"])
    assert location._replace(path="").geturl() == judged.base_url
    found = judged.request("GET", location.path)
    assert (found.status, found.json) == (200, answer.json)
    assert judged.request("GET", path("evaluations", version=version)).json == [answer.json]


@pytest.mark.parametrize("version", OLD)
def test_what_waits_lists_the_policies_without_figures(judged, version):
    found = post(judged, version=version).json
    assert found["status"] == "notSubmitted"
    assert [{name: each[name] for name in ("name", "arguments")} for each in found["policyResults"]] == [MINE]
    assert ("creationTime" in found) == (version != "v1.0")
    conforms(found, version, "Evaluation")


def test_two_requests_make_two_evaluations_and_one_that_is_repeated_makes_one(judged):
    assert post(judged).json["id"] != post(judged).json["id"]
    first = post(judged, headers=REPEATED)
    again = post(judged, headers=REPEATED)
    assert (again.status, again.json) == (201, first.json)
    assert len(judged.request("GET", path("evaluations", version=LAST)).json) == 3


def test_an_evaluation_is_the_same_in_every_version(judged):
    job_id = post(judged).json["id"]
    found = get(judged, job_id)
    assert (found.json["id"], found.json["status"], found.json["evaluationType"]) == (job_id, "NotSubmitted", "Manual")
    assert judged.request("DELETE", one(job_id, version="v1.0")).status == 204
    refused(get(judged, job_id), 404, "EvaluationNotFound", naming=job_id, target="evaluationId")


# --- 2022-09-01-preview ----------------------------------------------------------------------------------------------------


def test_an_empty_range_is_over_at_once_and_says_so(judged):
    answer = judged.request("PUT", one("spring"), {**examples.wanted(QUERY_VERSION), **PAST})
    assert (answer.status, answer.body) == (200, b"")
    query = {"startTime": "2018-12-20T00:00:00Z", "endTime": "2019-01-18T00:00:00Z", "intervalInMinutes": "5", "window": "Expanding"}
    got = judged.request("GET", one("spring", **query))
    assert got.status == 200
    conforms(got.json, QUERY_VERSION, "Evaluation")
    assert (got.json["status"], got.json["content"]["value"]) == ("Succeeded", [])
    assert "No event was logged" in got.json["description"]
    content = {name: str(got.json["content"][name]) for name in ("startTime", "endTime", "intervalInMinutes")}
    assert content == {name: query[name] for name in content}


def test_what_waits_has_an_empty_report_and_what_is_not_there_none(judged):
    assert put(judged).status == 200
    answer = judged.request("GET", path("evaluations/e1/report", version=QUERY_VERSION))
    assert (answer.status, answer.json) == (200, {"value": []})
    refused(
        judged.request("GET", path("evaluations/nobody/report", version=QUERY_VERSION)),
        404,
        "EvaluationNotFound",
        naming="nobody",
        target="evaluationId",
    )


def test_what_waits_has_no_content_yet(judged):
    assert put(judged).status == 200
    found = get(judged).json
    conforms(found, QUERY_VERSION, "Evaluation")
    content = {"startTime": "0001-01-01T00:00:00", "endTime": "0001-01-01T00:00:00", "intervalInMinutes": 0, "value": []}
    assert (found["status"], found["content"]) == ("NotSubmitted", content)
    assert "description" not in found


@pytest.mark.parametrize("job_id", ["a b", "a/b", "x" * 256, "ä-ö", "%41"])
def test_any_text_of_256_characters_can_be_an_id(judged, job_id):
    assert put(judged, job_id).status == 200
    assert get(judged, job_id).json["id"] == job_id
    assert judged.request("DELETE", one(job_id)).status == 204


def test_an_id_is_taken_only_once_but_a_repeated_request_is_no_second_one(judged):
    assert [put(judged, headers=REPEATED).status for _ in range(3)] == [200] * 3
    refused(put(judged), 400, "EvaluationAlreadyExists", naming="e1", target="evaluationId")
    refused(put(judged, headers=REPEATED, name="other"), 400, "EvaluationAlreadyExists", naming="e1", target="evaluationId")


def test_too_long_an_id_is_refused(judged):
    refused(put(judged, "x" * 257), 400, "InvalidEvaluationContract", naming="evaluationId: ", target="evaluationId")


def test_what_is_not_there_is_not_found_to_read_or_to_delete(judged):
    refused(get(judged, "none"), 404, "EvaluationNotFound", naming="none", target="evaluationId")
    refused(judged.request("DELETE", one("none")), 404, "EvaluationNotFound", naming="none", target="evaluationId")
    refused(judged.request("GET", one("none", version=LAST)), 404, "EvaluationNotFound", naming="none", target="evaluationId")


@pytest.mark.parametrize(
    ("query", "place"),
    [({"startTime": ""}, "startTime"), ({"window": "Rolling"}, "intervalInMinutes"), ({"intervalInMinutes": "60"}, "intervalInMinutes")],
)
def test_a_query_that_cannot_be_answered_is_refused_by_naming_the_parameter(judged, query, place):
    put(judged)
    refused(get(judged, **query), 400, "InvalidRequest", naming=f"{place}: ", target=place)


BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": ({"name": None}, "InvalidEvaluationContract", "name"),
    "an end before the start": ({"endTime": "2019-01-01"}, "InvalidDateTimesInEvaluationContract", "endTime"),
    "eleven policies": (
        {"policies": [{**MINE, "name": str(number)} for number in range(11)]},
        "MaximumEvaluationCustomPoliciesExceeded",
        "policies",
    ),
    "a policy without arguments": ({"policies": [{"name": "a"}]}, "InvalidPolicyContract", "policies[0].arguments"),
    "a policy that cannot be followed": (
        {"policies": [{**MINE, "arguments": "--cb_explore_adf --nope"}]},
        "InvalidPolicyConfiguration",
        "policies[0].arguments",
    ),
    "a policy twice": ({"policies": [MINE, MINE]}, "DuplicateCustomPolicyNames", "policies[1].name"),
}


@pytest.mark.parametrize(("members", "code", "place"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_refused_by_naming_the_field_and_nothing_is_kept(judged, members, code, place):
    refused(put(judged, **members), 400, code, naming=f"{place}: ", target=place)
    refused(post(judged, version="v1.0", **members), 400, code, naming=f"{place}: ", target=place)
    assert judged.request("GET", path("evaluations", version=LAST)).json == []


# --- listings --------------------------------------------------------------------------------------------------------------


def pages(app: RunningApp, **query: str) -> list[list[str]]:
    """Follow the links from page to page."""
    found: list[list[str]] = []
    place: str | None = f"{path('evaluations', version=QUERY_VERSION)}&{urlencode(query)}"
    while place is not None:
        answer = app.request("GET", place)
        assert answer.status == 200, answer.body
        conforms(answer.json, QUERY_VERSION, "Evaluations")
        found.append([each["id"] for each in answer.json["value"]])
        link = answer.json.get("nextLink")
        assert link is None or link.startswith(f"{app.base_url}/personalizer/evaluations?api-version={QUERY_VERSION}&")
        place = link and link.removeprefix(app.base_url)
    return found


def test_a_listing_goes_from_page_to_page_the_newest_first(judged):
    for number in range(5):
        put(judged, f"e{number}")
    assert pages(judged) == [["e4", "e3", "e2", "e1", "e0"]]
    assert pages(judged, maxpagesize="2") == [["e4", "e3"], ["e2", "e1"], ["e0"]]
    assert pages(judged, maxpagesize="2", skip="1", top="3") == [["e3", "e2"], ["e1"]]
    assert pages(judged, top="0") == [[]]
    assert pages(judged, skip="9") == [[]]


def test_a_filter_holds_on_every_page(judged):
    for number in range(3):
        put(judged, f"e{number}")
    assert pages(judged, filter="metadata=evaluationType eq 'Manual'", maxpagesize="2") == [["e2", "e1"], ["e0"]]
    assert pages(judged, filter="metadata=evaluationType eq 'Auto'") == [[]]


@pytest.mark.parametrize(("name", "text"), [("top", "-1"), ("skip", "x"), ("maxpagesize", "0"), ("filter", "name eq 'x'")])
def test_a_listing_that_cannot_be_given_is_refused_by_naming_the_parameter(judged, name, text):
    answer = judged.request("GET", f"{path('evaluations', version=QUERY_VERSION)}&{urlencode({name: text})}")
    refused(answer, 400, "InvalidRequest", naming=f"{name}: ", target=name)


def test_a_link_and_a_location_stay_with_the_loop_that_was_asked(judged):
    prefix = "/loops/default"
    location = judged.request("POST", prefix + path("evaluations", version=LAST), {"name": "first", **NOW, "policies": []}).headers[
        "location"
    ]
    assert location.startswith(f"{judged.base_url}{prefix}/personalizer/{LAST}/evaluations/")
    put(judged)
    first = judged.request("GET", f"{prefix}{path('evaluations', version=QUERY_VERSION)}&maxpagesize=1").json
    assert first["nextLink"].startswith(f"{judged.base_url}{prefix}/personalizer/evaluations?")
    assert judged.request("GET", first["nextLink"].removeprefix(judged.base_url)).json["value"][0]["id"] == location.rpartition("/")[2]


@ON_ONE_HOST
async def test_only_so_many_are_kept(host, storage):
    with RunningApp(storage, kind=host) as app:
        services = build(read_settings(app.environment))
        job = Job("", "first", T0, after(60), T0)
        store = evaluation_store(services.storage, loop="default")
        await store.create(Evaluation(replace(job, id="e0"), LearningPolicy()))
        await asyncio.gather(*(store.create(Evaluation(replace(job, id=f"e{n}"), LearningPolicy())) for n in range(1, MOST_KEPT)))
        await services.close()
        refused(put(app, "one more"), 400, "BadRequest", naming=f"{MOST_KEPT} are kept")
        assert [len(page) for page in pages(app)] == [100, 100]
        assert len(app.request("GET", path("evaluations")).json) == MOST_KEPT
        assert app.request("DELETE", one("e7")).status == 204
        assert put(app, "one more").status == 200


# --- what belongs to which version, and to whom ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_a_method_of_the_other_family_is_not_allowed(judged, version):
    method, place, allowed = (
        ("POST", path("evaluations", version=version), "GET")
        if version == QUERY_VERSION
        else ("PUT", one("e1", version=version), "GET, DELETE")
    )
    answer = judged.request(method, place, {})
    refused(answer, 405, "BadRequest", naming="use ")
    assert answer.headers["allow"] == allowed


def test_without_a_key_nothing_is_told(judged):
    for method, place in (("GET", path("evaluations")), ("PUT", one("e1")), ("DELETE", one("e1"))):
        assert judged.request(method, place, {} if method == "PUT" else None, keyed=False).status == 401


# --- a policy put to use ---------------------------------------------------------------------------------------------------


def policy(app: RunningApp) -> dict[str, str]:
    found: dict[str, str] = app.request("GET", path("configurations/policy")).json
    return found


def apply(app: RunningApp, name: str, *, job_id: str = "e1", version: str = QUERY_VERSION) -> Answer:
    place = path("configurations/applyFromEvaluation", version=version)
    return app.request("POST", place, {"evaluationId": job_id, "policyName": name})


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_policy_of_an_evaluation_becomes_the_loops_and_the_one_before_can_be_had_back(judged, version):
    before = policy(judged)
    put(judged)
    answer = apply(judged, "mine", version=version)
    assert (answer.status, answer.body) == (204, b"")
    assert policy(judged) == MINE
    assert apply(judged, "online", version=version).status == 204
    assert policy(judged) == before


def test_a_policy_that_does_not_pass_the_gate_is_not_applied_and_it_is_told_why(judged):
    """The evaluation has no figures yet: what is not known passes no gate."""
    before = policy(judged)
    put(judged)
    place = path("configurations/applyFromEvaluation", version=QUERY_VERSION)
    body = {"evaluationId": "e1", "policyName": "mine", "gate": {"leastLift": 0.0, "leastEvents": 10}}
    answer = judged.request("POST", place, body)
    refused(answer, 409, "GateNotPassed", naming="does not pass the gate", target="gate")
    assert [each["code"] for each in answer.json["error"]["details"]] == ["Broken"]
    assert policy(judged) == before
    for gate, where in (
        ({"leastLyft": 0.0}, "leastLyft"),
        ({"estimators": ["mine"]}, "estimators[0]"),
        ({"mostWeight": 0.0}, "mostWeight"),
    ):
        refused(judged.request("POST", place, body | {"gate": gate}), 400, "InvalidContract", naming=where, target=f"gate.{where}")


@pytest.mark.parametrize("name", ["Gate", "GATE", "gates"])
def test_no_policy_is_applied_without_the_gate_that_was_meant_for_it(judged, name):
    """Other members that are not known are left unread, as in the original."""
    before = policy(judged)
    put(judged)
    place = path("configurations/applyFromEvaluation", version=QUERY_VERSION)
    body = {"evaluationId": "e1", "policyName": "mine"}
    refused(judged.request("POST", place, body | {name: {"leastLift": 5.0}}), 400, "InvalidContract", naming=f"{name!r} is no member")
    assert policy(judged) == before
    assert judged.request("POST", place, body | {"comment": "by hand"}).status == 204
    assert policy(judged) == MINE
    assert apply(judged, "online").status == 204


def test_what_is_not_in_the_evaluation_changes_nothing(judged):
    before = policy(judged)
    put(judged)
    refused(apply(judged, "other"), 404, "LearningSettingsNotFound", naming="not in this evaluation", target="policyName")
    refused(apply(judged, "baseline1"), 404, "LearningSettingsNotFound", naming="compared only", target="policyName")
    refused(apply(judged, "mine", job_id="e2"), 404, "EvaluationNotFound", naming="e2", target="evaluationId")
    refused(apply(judged, "x" * 257), 400, "InvalidContract", naming="policyName: ", target="policyName")
    refused(apply(judged, "mine", version="v1.0"), 404, "ResourceNotFound", naming="not part of API version v1.0")
    assert policy(judged) == before
