"""The contract: what is asked and answered in every version, as it was recorded (`tests/contract`)."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest

from tests.contract.recordings import Played, Step, differences, loop_of, played, seen, sent, story
from tests.contract.shapes import Kind, conforms
from tests.http.building import KEY, QUERY_VERSION, VERSIONS, code_of
from tests.http.described import OPERATIONS
from tests.http.own_loops import SETTINGS, OwnLoop
from tests.running import RunningApp

ANSWERED: dict[str, Kind] = {
    "rank": "RankResponse",
    "multislot_rank": "MultiSlotRankResponse",
    "configuration_get": "ServiceConfiguration",
    "configuration_put": "ServiceConfiguration",
    "policy_get": "PolicyContract",
    "policy_put": "PolicyContract",
    "policy_delete": "PolicyContract",
    "model_properties": "ModelProperties",
    "logs_properties": "LogsProperties",
    "evaluations_create": "Evaluation",
    "evaluations_get_old": "Evaluation",
    "evaluations_list_old": ["Evaluation"],
    "evaluations_get": "Evaluation",
    "evaluations_list": "Evaluations",
    "importances_get": "FeatureImportance",
    "importances_list": "FeatureImportances",
}
"""What the contract's operations answer when they answer with a document; the others are this project's own."""
OURS = {"isInferenceExplainabilityEnabled", "latestApprenticeModeMetrics"}
"""Members of the configuration that the live service had as well, but no version's description."""


class Told(NamedTuple):
    """An app that was told all stories, with what it answered."""

    loops: dict[str, OwnLoop]
    answers: dict[str, list[Played]]


@pytest.fixture(scope="module")
def told(host, new_store) -> Iterator[Told]:
    with RunningApp(new_store(), kind=host, settings=SETTINGS) as app:
        loops = {version: loop_of(app, version) for version in VERSIONS}
        yield Told(loops, {version: list(played(loop, story(version))) for version, loop in loops.items()})


def of(step: Step) -> str:
    return f"{step['request']['method']} {step['request']['path']}"


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_are_answered_as_they_were(told, version):
    different = {
        f"{number}: {of(found.step)}": said
        for number, found in enumerate(told.answers[version])
        if (said := differences(found.step["answer"], seen(found.answer, only=found.step.get("only", ())), found.known))
    }
    assert not different


@pytest.mark.parametrize("version", VERSIONS)
def test_operations_refuse_in_the_shape_of_the_contract(told, version):
    """With a wrong key, and with a body that is none of their own."""
    for found in told.answers[version]:
        answer = sent(told.loops[version], found.step, found.known, headers={KEY: "another"})
        assert (answer.status, code_of(answer)) == (401, "401"), of(found.step)
        conforms(answer.json, version, "ErrorResponse")
        if "refusal" in found.step:
            answer = sent(told.loops[version], found.step, found.known, body=[])
            assert not differences(found.step["refusal"], seen(answer), found.known), of(found.step)
            conforms(answer.json, version, "ErrorResponse")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_recorded_has_the_shapes_of_its_version(version):
    for step in story(version):
        if "body" not in step["answer"]:
            continue
        body = without_places(step["answer"]["body"])
        if step["answer"]["status"] >= 400:
            conforms(body, version, "ErrorResponse")
        elif kind := ANSWERED.get(step["operation"]):
            is_configuration = kind == "ServiceConfiguration"
            conforms({name: body[name] for name in body.keys() - OURS} if is_configuration else body, version, kind)


def without_places(recorded: Any) -> Any:
    """Put a time where any time may stand."""
    return json.loads(json.dumps(recorded).replace("<time>", "2026-05-17T12:00:00Z"))


@cache
def operations(version: str) -> set[str]:
    return {operation.name for operation in OPERATIONS if operation.versioned and version in operation.versions}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_of_a_version_is_recorded_and_done_at_least_once(version):
    done = {step["operation"] for step in story(version) if step["answer"]["status"] < 300}
    assert done - {""} == operations(version)


def test_the_contract_has_as_many_operations_as_each_version_had():
    """The project's own ones stand beside them: events looked up, previews, reports, and versions of the model."""
    ours = {
        "preview",
        "configuration_set",
        "configuration_unset",
        "receipt",
        "model_versions",
        "model_restore",
        "evaluations_report",
        "service_status",
    }
    assert [len(operations(version) - ours) for version in VERSIONS] == [17, 21, 23, 24, 28]
    assert VERSIONS[-1] == QUERY_VERSION


@pytest.mark.parametrize("version", VERSIONS)
def test_an_excluded_action_keeps_its_place_and_is_never_chosen(version):
    step = next(each for each in story(version) if each["operation"] == "rank")
    asked, answer = step["request"]["body"], step["answer"]["body"]
    (excluded,) = asked["excludedActions"]
    place = [action["id"] for action in asked["actions"]].index(excluded)
    assert answer["ranking"][place] == {"id": excluded, "probability": 0.0}
    assert answer["rewardActionId"] != excluded
    assert sum(each["probability"] for each in answer["ranking"]) == pytest.approx(1.0)
