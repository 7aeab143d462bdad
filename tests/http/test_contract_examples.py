"""The published API description's own example requests, all of every version, where a copy of it lies beside the repository."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import jsonschema
import pytest

from shared.runtime.http import QUERY_VERSION, VERSIONS
from tests.http.building import KEY, code_of, event_path, path, probabilities, rank
from tests.running import REPOSITORY, Answer, RunningApp

PUBLISHED = REPOSITORY.parent / "shared" / "contract" / "openapi"
EXAMPLES = PUBLISHED / "examples"
FOLDERS = ("v1.0-preview", *VERSIONS)
ADMIN_KEY = "the-administrators-key"

OURS = frozenset({"isInferenceExplainabilityEnabled", "latestApprenticeModeMetrics"})
"""Members of the configuration that the live service had as well, but the description does not."""
REFUSED = {"Log_Interactions": (415, "InvalidRequest"), "Log_Observations": (415, "InvalidRequest")}
"""Examples that are refused on purpose: binary batches of client libraries."""
BESIDE_THE_DESCRIPTION = frozenset({"401", "MaximumEvaluationCustomPoliciesExceeded", "InvalidDateTimesInEvaluationContract"})
"""Codes that no version's description lists; the live service had them."""


class Documented(NamedTuple):
    """An operation as one version's document describes it."""

    folder: str
    name: str
    method: str
    route: str
    places: dict[str, str]
    status: int
    schema: dict[str, Any]
    headers: tuple[str, ...]

    def __repr__(self) -> str:
        return f"{self.folder}-{self.name}"


def read(name: str) -> Any:
    return json.loads((PUBLISHED / name).read_text(encoding="utf-8-sig"))


def documented(folder: str) -> Iterator[Documented]:
    document = read(f"{folder}.json")
    shared = document.get("parameters", {})
    for route, methods in {**document["paths"], **document.get("x-ms-paths", {})}.items():
        for method, operation in methods.items():
            given = [shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in operation.get("parameters", [])]
            ((status, success),) = [entry for entry in operation["responses"].items() if entry[0] != "default"]
            yield Documented(
                folder,
                operation["operationId"],
                method.upper(),
                document["basePath"] + route,
                {each["name"]: each["in"] for each in given},
                int(status),
                success.get("schema", {}),
                tuple(success.get("headers", {})),
            )


OPERATIONS = [operation for folder in FOLDERS if (PUBLISHED / f"{folder}.json").exists() for operation in documented(folder)]
"""None where there is no copy: the tests are skipped then, and say so."""
AT = {(operation.folder, operation.name): operation for operation in OPERATIONS}


@pytest.fixture(scope="module")
def described(host, new_store) -> Iterator[RunningApp]:
    """An app that has one event in its log, and a loop with a policy for several slots."""
    settings = {"PERSONALIZER_ADMIN_KEY": ADMIN_KEY}
    with RunningApp(new_store(), kind=host, settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def slots_key(described: RunningApp) -> str:
    """The key of the loop for several slots."""
    key: str = described.request("PUT", "/loops/slots", headers={KEY: ADMIN_KEY}).json["keys"][0]
    policy = {"name": "several slots", "arguments": "--ccb_explore_adf --epsilon 0.2"}
    assert described.request("PUT", f"/loops/slots{path('configurations/policy')}", policy, headers={KEY: key}).status == 200
    return key


def example(operation: Documented) -> dict[str, Any]:
    found: dict[str, Any] = read(f"examples/{operation.folder}/{operation.name}.json")
    return found


def send(app: RunningApp, operation: Documented, parameters: dict[str, Any], *, root: str = "", key: str = "") -> Answer:
    """Send an operation with the parameters where its document says that they are."""
    given = {name: (where, parameters[name]) for name, where in operation.places.items() if name in parameters}
    route = root + operation.route
    for name, (where, value) in given.items():
        if where == "path":
            route = route.replace(f"{{{name}}}", quote(str(value), safe=""))
    query = {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, (where, value) in given.items() if where == "query"
    }
    body = next((value for where, value in given.values() if where == "body"), None)
    headers = {"Content-Type": "application/octet-stream"} if isinstance(body, bytes) else {}
    return app.request(operation.method, f"{route}?{urlencode(query)}" if query else route, body, headers={KEY: key or app.key, **headers})


def conforms(document: Any, folder: str, schema: dict[str, Any]) -> None:
    """Demand that a document is as this version says, and has no member that it does not name."""
    closed = {name: closed_schema(each) for name, each in read(f"{folder}.json")["definitions"].items()}
    jsonschema.Draft4Validator({**schema, "definitions": closed}).validate(document)


def closed_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow no further members, but further words where the description says that there may be some."""
    members = {name: open_words(each) for name, each in schema.get("properties", {}).items()}
    return {**schema, "properties": members, "additionalProperties": False} if members else schema


def open_words(member: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in member.items() if name != "enum" or member.get("x-ms-enum", {}).get("name") not in CODES}


CODES = ("ErrorCode", "PersonalizerErrorCode")


# --- what has to be there before -------------------------------------------------------------------------------------------


def with_evaluation(app: RunningApp, operation: Documented, parameters: dict[str, Any]) -> dict[str, Any]:
    """Ask for the evaluation that is meant; before 2022 the service makes its id."""
    create = AT[operation.folder, "Evaluations_Create"]
    asked = example(create)["parameters"]
    named = parameters.get("evaluationId") or parameters["body"]["evaluationId"]
    made = send(app, create, {**asked, "evaluationId": named})
    if "evaluationId" not in create.places:
        named = made.json["id"]
    if "body" in parameters:
        return {**parameters, "body": {**parameters["body"], "evaluationId": named}}
    return {**parameters, "evaluationId": named}


def with_importance(app: RunningApp, operation: Documented, parameters: dict[str, Any]) -> dict[str, Any]:
    create = AT[operation.folder, "FeatureImportances_Create"]
    send(app, create, {**example(create)["parameters"], "featureImportanceId": parameters["featureImportanceId"]})
    return parameters


def with_a_free_id(app: RunningApp, operation: Documented, parameters: dict[str, Any]) -> dict[str, Any]:
    for name, kind in (("evaluationId", "Evaluations_Delete"), ("featureImportanceId", "FeatureImportances_Delete")):
        if name in operation.places:
            send(app, AT[operation.folder, kind], {**parameters, name: parameters[name]})
    return parameters


def with_an_archive(app: RunningApp, operation: Documented, parameters: dict[str, Any]) -> dict[str, Any]:
    """Take the service's own archive in place of the two letters of the example."""
    export = AT[operation.folder, "Model_Get"]
    return {**parameters, "body": send(app, export, {**parameters, "signed": True}).body}


def with_an_event(app: RunningApp, operation: Documented, parameters: dict[str, Any]) -> dict[str, Any]:
    assert rank(app).status == 201
    return parameters


def as_bytes(app: RunningApp, operation: Documented, parameters: dict[str, Any]) -> dict[str, Any]:
    return {**parameters, "body": parameters["body"].encode()}


PREPARED: dict[str, Callable[[RunningApp, Documented, dict[str, Any]], dict[str, Any]]] = {
    "Evaluations_Create": with_a_free_id,
    "Evaluations_Get": with_evaluation,
    "Evaluations_Delete": with_evaluation,
    "ServiceConfiguration_ApplyFromEvaluation": with_evaluation,
    "FeatureImportances_Create": with_a_free_id,
    "FeatureImportances_Get": with_importance,
    "FeatureImportances_Delete": with_importance,
    "Model_Import": with_an_archive,
    "Log_GetProperties": with_an_event,
    "Log_Interactions": as_bytes,
    "Log_Observations": as_bytes,
}


# --- all of them -----------------------------------------------------------------------------------------------------------


def replay(app: RunningApp, operation: Documented, slots_key: str) -> Answer:
    parameters = example(operation)["parameters"]
    if operation.name in PREPARED:
        parameters = PREPARED[operation.name](app, operation, parameters)
    if operation.name.startswith("MultiSlot"):
        return send(app, operation, parameters, root="/loops/slots", key=slots_key)
    return send(app, operation, parameters)


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_every_example_is_answered_as_its_version_documents(described, slots_key, operation):
    answer = replay(described, operation, slots_key)
    if operation.name in REFUSED:
        assert (answer.status, code_of(answer)) == REFUSED[operation.name]
        return
    assert answer.status == operation.status, answer.body
    assert not [name for name in operation.headers if name.lower() not in answer.headers]
    if operation.schema.get("type") == "file":
        assert answer.headers["content-type"] == "application/octet-stream"
    elif operation.schema:
        body = answer.json
        if operation.name.startswith("ServiceConfiguration"):
            body = {name: value for name, value in body.items() if name not in OURS}
        conforms(body, operation.folder, operation.schema)
    else:
        assert answer.body == b""


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_every_operation_refuses_in_the_shape_of_its_version(described, operation):
    """With a wrong key, and with a body that is none of its own."""
    parameters = example(operation)["parameters"]
    answers = [send(described, operation, parameters, key="another")]
    if "body" in operation.places.values():
        body = next(name for name, where in operation.places.items() if where == "body")
        answers.append(send(described, operation, {**parameters, body: []}))
    for answer in answers:
        assert 400 <= answer.status < 500
        conforms(answer.json, operation.folder, {"$ref": "#/definitions/ErrorResponse"})
        assert code_of(answer) in {*codes(QUERY_VERSION), *BESIDE_THE_DESCRIPTION}


def codes(folder: str) -> list[str]:
    listed: list[str] = read(f"{folder}.json")["definitions"]["PersonalizerError"]["properties"]["code"]["enum"]
    return listed


def test_there_is_an_example_for_every_operation_of_every_version():
    if not OPERATIONS:
        pytest.skip("no copy of the published API description beside the repository")
    assert len(OPERATIONS) > 100
    assert {operation.folder for operation in OPERATIONS} == set(FOLDERS)
    assert not [operation for operation in OPERATIONS if not (EXAMPLES / operation.folder / f"{operation.name}.json").exists()]


# --- more of the three calls that an application makes all day -------------------------------------------------------------


def parameters_of(folder: str, name: str) -> dict[str, Any]:
    if not OPERATIONS:
        pytest.skip(f"no copy of the published API description beside the repository ({folder}/{name}.json)")
    found: dict[str, Any] = example(AT[folder, name])["parameters"]
    return found


def version_of(folder: str) -> str:
    return "v1.0" if folder == "v1.0-preview" else folder


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_example_rank_keeps_the_excluded_action_in_its_place(app, folder):
    parameters = parameters_of(folder, "Rank")
    asked = next(parameters[name] for name in ("rankRequest", "body") if name in parameters)
    answer = app.request("POST", path("rank", version=version_of(folder)), asked)
    assert answer.status == 201
    assert answer.json["eventId"] == asked["eventId"]
    assert [action["id"] for action in answer.json["ranking"]][1] == "SportsArticle"
    assert dict(probabilities(answer))["SportsArticle"] == 0.0


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_example_event_can_be_looked_up_with_its_reward(app, folder):
    event_id = f"of {folder} {app.port}"
    reward = parameters_of(folder, "Events_Reward")
    value = next(reward[name] for name in ("reward", "body") if name in reward)["value"]
    version = version_of(folder)
    assert rank(app, eventId=event_id, deferActivation=True).status == 201
    assert app.request("POST", event_path(event_id, "activate", version=version)).status == 204
    assert app.request("POST", event_path(event_id, "reward", version=version), {"value": value}).status == 204
    (decision,) = app.request("GET", path(f"events/{quote(event_id, safe='')}", version=version)).json["decisions"]
    assert [each["value"] for each in decision["rewards"]] == [value]
    assert "activatedAt" in decision
