"""The description of the API: what there is, and nothing else, and every example of it works."""

import re
import time
import tomllib
from collections.abc import Iterator

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from shared.api.openapi.catalogue import DESCRIBED, TAGS
from shared.api.openapi.document import RELEASE
from shared.api.receipts import DecisionReceiptBody, RewardReceiptBody
from shared.runtime.failures import STATUS
from shared.runtime.http import LOOP_PREFIX, PATH_VERSIONS, QUERY_VERSION
from shared.services.log.receipts import Fate, Outcome
from tests.http.building import rank_body, refused
from tests.http.described import OPERATIONS, DescribedApp, Said, described_app, document, fits, page, resolved, said
from tests.patience import PATIENCE
from tests.running import REPOSITORY

SHORT_WAITS = {
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.2S",
}


@pytest.fixture(scope="module")
def described(new_store) -> Iterator[DescribedApp]:
    with described_app(new_store()) as running:
        yield running


@pytest.fixture
def learning(storage) -> Iterator[DescribedApp]:
    with described_app(storage, **SHORT_WAITS) as running:
        yield running


def operation(name: str) -> Said:
    return next(each for each in said() if each.operation["operationId"] == name)


def codes(each: Said) -> set[tuple[int, str]]:
    refusals = [(status, resolved(response)) for status, response in each.operation["responses"].items() if status >= "4"]
    return {(int(status), code) for status, response in refusals for code in response["x-error-codes"]}


# --- the document ----------------------------------------------------------------------------------------------------


def test_the_document_is_openapi():
    OpenAPIV31SpecValidator(document()).validate()


def test_the_document_has_every_operation_under_each_of_its_routes_and_no_other():
    served = {(operation.method, f"/{route}") for operation in OPERATIONS for _, route in operation.routes}
    assert {(each.method, each.path) for each in said()} == served


def test_the_document_has_every_status_and_code_that_there_is():
    assert {pair for each in said() for pair in codes(each)} | {(405, "BadRequest")} == set(STATUS.values())
    assert "BadRequest" in document()["components"]["responses"]["405-BadRequest"]["x-error-codes"]


def test_no_description_is_without_its_operation():
    assert {name.removesuffix("_2022") for name in DESCRIBED} == {operation.name for operation in OPERATIONS}


def test_an_operation_is_described_for_the_versions_that_have_it():
    for each in OPERATIONS:
        for name, route in each.routes:
            parameters = {one["name"]: one["schema"].get("enum") for one in operation(name).operation.get("parameters", [])}
            if "{version}" in route:
                assert parameters["version"] == [version for version in PATH_VERSIONS if version in each.versions]
            assert parameters.get("api-version") == ([QUERY_VERSION] if each.versioned and "{version}" not in route else None)


def test_the_administrators_operations_are_there_for_no_other_loop():
    servers = [server["url"] for server in document()["servers"]]
    assert servers == ["/", f"/{LOOP_PREFIX}".rstrip("/")]
    for each in OPERATIONS:
        for name, _ in each.routes:
            told = operation(name).operation
            assert [server["url"] for server in told.get("servers", document()["servers"])] == (["/"] if each.needs_admin else servers)


def test_ids_are_unique_and_tags_are_told():
    ids = [each.operation["operationId"] for each in said()]
    assert len(set(ids)) == len(ids)
    assert [tag["name"] for tag in document()["tags"]] == [*TAGS]
    assert {tag for each in said() for tag in each.operation["tags"]} == {*TAGS}


def test_an_id_that_was_published_stays_and_leads_to_the_same_call():
    """Clients that were made from the description are called by it; functions may be renamed. A new one is written down."""
    published = dict(line.split("\t") for line in (REPOSITORY / "tests" / "contract" / "operation_ids.tsv").read_text("utf-8").splitlines())
    assert {each.operation["operationId"]: f"{each.method} {each.path}" for each in said()} == published


@pytest.mark.parametrize("each", said(), ids=str)
def test_every_parameter_and_body_has_a_schema_and_its_examples_fit(each):
    for parameter in each.operation.get("parameters", []):
        assert parameter["description"]
        if "example" in parameter:
            fits(parameter["example"], parameter["schema"])
    for content in each.operation.get("requestBody", {}).get("content", {}).values():
        if content["schema"].get("format") != "binary":
            fits(content["example"], content["schema"])
    for response in map(resolved, each.operation["responses"].values()):
        for media_type, content in response.get("content", {}).items():
            if media_type == "application/json" and each.operation["operationId"] != "openapi":
                fits(content["example"], content["schema"])


@pytest.mark.parametrize("each", said(), ids=str)
def test_the_path_names_its_parameters_and_no_others(each):
    assert re.findall(r"\{(\w+)\}", each.path) == [parameter["name"] for parameter in each.parameters("path")]


def test_an_operation_that_asks_for_a_key_can_refuse_it():
    for each in said():
        assert ((401, "401") in codes(each)) == bool(each.operation["security"])


def test_words_that_other_rooms_choose_are_the_documents():
    schemas = document()["components"]["schemas"]
    assert schemas[DecisionReceiptBody.__name__]["properties"]["fate"]["enum"] == [*Fate]
    assert schemas[RewardReceiptBody.__name__]["properties"]["outcome"]["enum"] == [*Outcome]


def test_the_release_is_this_one():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == RELEASE == document()["info"]["version"]


def test_what_is_told_tells_nothing_of_the_code():
    """Docstrings are read by developers too; callers are told their first paragraph, which speaks of the API."""
    told = str(document())
    assert not re.findall(r"shared\.\w+|\.py\b|``|\w+Error\b(?<!InternalServerError)", told)


# --- over HTTP -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["", "/loops/nobody"])
@pytest.mark.parametrize(("place", "kind"), [("/openapi.json", "application/json"), ("/docs", "text/html; charset=utf-8")])
def test_the_description_needs_no_key_and_is_sent_again_only_when_it_changed(quiet, before, place, kind):
    first = quiet.request("GET", before + place, keyed=False)
    assert (first.status, first.headers["content-type"], first.headers["cache-control"]) == (200, kind, "no-cache")
    again = quiet.request("GET", before + place, keyed=False, headers={"If-None-Match": f'W/"other", {first.headers["etag"]}'})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert quiet.request("GET", before + place, keyed=False, headers={"If-None-Match": '"other"'}).body == first.body


def test_the_app_serves_this_description(quiet):
    assert quiet.request("GET", "/openapi.json", keyed=False).json == document()
    assert quiet.request("GET", "/docs", keyed=False).body.decode() == page()


@pytest.mark.parametrize("place", ["/openapi.json", "/docs"])
def test_the_description_takes_get_only(quiet, place):
    refused(quiet.request("POST", place, {}), 405, "BadRequest", naming="GET")


@pytest.mark.parametrize("path", sorted({each.path for each in said()}))
@pytest.mark.sweep(keep=16)
def test_methods_that_are_not_described_are_refused_with_those_that_are(described, path):
    there = {each.method: each for each in said() if each.path == path}
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - there.keys():
        answer = described.app.request(method, next(iter(there.values())).address(version="v1.1-preview.3"))
        refused(answer, 405, "BadRequest")
        assert set(answer.headers["allow"].split(", ")) == there.keys()


@pytest.mark.parametrize("each", [each for each in said() if each.example is not None], ids=str)
def test_every_example_of_a_body_is_taken(described, each):
    if each.operation["operationId"].startswith("apply_from_evaluation"):
        body = operation("evaluations_put_2022").example
        described.ask(operation("evaluations_put_2022"), body, headers={"x-ms-client-request-id": "the same"})
    request_id = {"x-ms-client-request-id": "the same"}
    answer = described.ask(each, each.example, headers=request_id)
    assert answer.status < 300, answer.body


@pytest.mark.parametrize("name", ["configuration_put", "configuration_put_2022"])
@pytest.mark.parametrize(
    ("member", "taken", "beyond"),
    [
        ("defaultReward", [-1, 1], [-1.001, 1.001]),
        ("explorationPercentage", [0, 1], [-0.001, 1.001]),
        ("logRetentionDays", [-1, 2**31 - 1], [-2, 2**31]),
        ("modelRetrainDays", [0, 2**31 - 1], [-1, 2**31]),
    ],
)
def test_the_bounds_of_settings_are_the_real_ones(described, name, member, taken, beyond):
    asked = operation(name)
    schema = resolved(asked.operation["requestBody"]["content"]["application/json"]["schema"])["properties"].get(member)
    if schema is None:
        assert (name, member) == ("configuration_put", "modelRetrainDays")
        return
    assert [schema["minimum"], schema["maximum"]] == taken
    for value in taken:
        assert described.ask(asked, {**asked.example, "logRetentionDays": -1, member: value}, version="v1.1-preview.3").status == 200
    for value in beyond:
        assert described.ask(asked, {**asked.example, member: value}, version="v1.1-preview.3").status == 400


def test_what_a_loop_with_a_history_answers_is_as_described(learning):
    described, app = learning, learning.app
    asked = operation("configuration_put_2022")
    fast = {"rewardWaitTime": "PT1S", "modelExportFrequency": "PT1S", "isInferenceExplainabilityEnabled": True}
    described.ask(asked, {**asked.example, **fast})
    for number in range(3):
        described.ask(operation("rank"), rank_body("a", "b", eventId=f"h{number}"), version="v1.1-preview.1")
        described.ask(operation("reward_2022"), {"value": 0.5}, eventId=f"h{number}")
    until = time.monotonic() + PATIENCE
    while described.ask(operation("status")).json["loop"]["counters"]["learned"] < 3:
        assert time.monotonic() < until, app.logs[-3000:]
        app.request("POST", "/admin/functions/train")
        time.sleep(0.2)
    (kept, *_) = described.ask(operation("model_versions_2022")).json["value"]
    assert described.ask(operation("model_restore_2022"), modelVersion=kept["version"]).status == 200
    assert described.ask(operation("receipt"), version="v1.0", eventId="h0").json["decisions"][0]["fate"] == "learned"
    assert described.ask(operation("logs_properties")).json["dateRange"]
    assert described.ask(operation("model_properties")).json["lastModifiedTime"]
    assert described.ask(operation("model_get")).status == 200
    while "inferenceExplanation" not in described.ask(operation("rank_2022"), rank_body("a", "b")).json:
        assert time.monotonic() < until, app.logs[-3000:]
        time.sleep(0.1)


def test_a_response_to_evaluations_is_as_described_in_every_version(described):
    put = operation("evaluations_put_2022")
    described.ask(put, {**put.example, "endTime": "2099-01-01"}, evaluationId="range", headers={"x-ms-client-request-id": "range"})
    for version in PATH_VERSIONS:
        assert described.ask(operation("evaluations_list_old"), version=version).json
        assert described.ask(operation("evaluations_get_old"), version=version, evaluationId="range").json
    assert described.ask(operation("evaluations_list_2022")).json["value"]
    query = {"startTime": "2026-01-01", "endTime": "2099-01-01"}
    assert described.ask(operation("evaluations_get_2022"), evaluationId="range", **query).status == 200
