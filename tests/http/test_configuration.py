"""The service configuration: every version's shape, every rule, and what a change does."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.building import KEY, ON_ONE_HOST, QUERY_VERSION, VERSIONS, nothing_logged, path, rank, rank_body, refused
from tests.http.own_loops import OwnLoop, another_process, own_loop
from tests.patience import PATIENCE
from tests.running import Answer, Asked

PLACE = "configurations/service"
V10 = {"rewardWaitTime", "defaultReward", "rewardAggregation", "explorationPercentage", "modelExportFrequency", "logRetentionDays"}
V10_OPTIONAL = {"logMirrorEnabled"}
V11 = {"learningMode", "isAutoOptimizationEnabled", "autoOptimizationFrequency", "isInferenceExplainabilityEnabled"}
FULL: dict[str, Any] = {
    "rewardWaitTime": "PT10M",
    "defaultReward": 0,
    "rewardAggregation": "earliest",
    "explorationPercentage": 0.2,
    "modelExportFrequency": "PT5M",
    "logRetentionDays": 90,
    "modelRetrainDays": 2,
}
MIRROR = "https://testblob.blob.core.windows.net/container?se=2040-08-13T00%3A00Z&sp=rwl&spr=https&sv=2018-11-09&sr=c&sig=signature"


@pytest.fixture
def own(shared) -> Iterator[OwnLoop]:
    """A loop of the test's own, whose configuration it may change."""
    with own_loop(shared) as loop:
        yield loop


def get(app: Asked, version: str = QUERY_VERSION) -> dict[str, Any]:
    answer = app.request("GET", path(PLACE, version=version))
    assert answer.status == 200
    found: dict[str, Any] = answer.json
    return found


def put(app: Asked, changes: Any = None, *, version: str = QUERY_VERSION, **members: Any) -> Answer:
    body = {**FULL, **members} if changes is None else changes
    return app.request("PUT", path(PLACE, version=version), body)


def changed(app: Asked, **members: Any) -> dict[str, Any]:
    answer = put(app, {**get(app), **members})
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


# --- shapes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_has_its_own_members_and_none_that_is_null(quiet, version):
    found = get(quiet, version)
    expected = V10 | V10_OPTIONAL | (V11 if version != "v1.0" else set()) | ({"modelRetrainDays"} if version == QUERY_VERSION else set())
    assert found.keys() == expected
    assert None not in found.values()


def test_a_loop_begins_with_the_settings_of_the_app(quiet):
    assert get(quiet) == {
        **FULL,
        "logMirrorEnabled": False,
        "learningMode": "Online",
        "isAutoOptimizationEnabled": False,
        "autoOptimizationFrequency": "P28D",
        "isInferenceExplainabilityEnabled": False,
    }


@ON_ONE_HOST
@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_read_can_be_written_back_and_changes_nothing(own, version):
    before = get(own, version)
    assert put(own, before, version=version).json == before
    assert get(own, version) == before
    assert "lastConfigurationEditDate" not in get(own)


@ON_ONE_HOST
def test_what_is_put_is_answered_read_and_kept_over_a_restart(own):
    wanted = {
        "rewardWaitTime": "PT4H",
        "defaultReward": -0.25,
        "rewardAggregation": "sum",
        "explorationPercentage": 0.35,
        "modelExportFrequency": "PT1M",
        "logRetentionDays": 30,
        "logMirrorEnabled": True,
        "logMirrorSasUri": MIRROR,
        "isAutoOptimizationEnabled": True,
        "autoOptimizationFrequency": "P7D",
        "autoOptimizationStartDate": "2019-01-19T00:00:00Z",
        "isInferenceExplainabilityEnabled": True,
        "modelRetrainDays": 5,
    }
    answered = changed(own, **wanted)
    edited = answered.pop("lastConfigurationEditDate")
    assert answered == {**wanted, "learningMode": "Online"}
    assert edited.endswith("Z")
    own.app.stop()
    own.app.start()
    assert get(own) == {**answered, "lastConfigurationEditDate": edited}


@ON_ONE_HOST
def test_optional_members_that_are_left_out_or_null_keep_their_value(own):
    changed(own, isAutoOptimizationEnabled=True, autoOptimizationFrequency="P9D", isInferenceExplainabilityEnabled=True)
    for body in (FULL, {**FULL, "learningMode": None, "autoOptimizationFrequency": None, "logMirrorSasUri": None}):
        found = put(own, {**body, "explorationPercentage": 0.5}).json
        assert (found["autoOptimizationFrequency"], found["isAutoOptimizationEnabled"]) == ("P9D", True)
        assert (found["isInferenceExplainabilityEnabled"], found["explorationPercentage"]) == (True, 0.5)


@ON_ONE_HOST
def test_a_version_changes_only_what_it_knows_of(own):
    before = changed(own, modelRetrainDays=7, autoOptimizationFrequency="P9D")
    body = {**FULL, "explorationPercentage": 0.4, "modelRetrainDays": 1, "learningMode": "Apprentice", "autoOptimizationFrequency": "P1D"}
    assert put(own, body, version="v1.0").status == 200
    after = get(own)
    assert {name: after[name] for name in ("modelRetrainDays", "learningMode", "autoOptimizationFrequency")} == {
        name: before[name] for name in ("modelRetrainDays", "learningMode", "autoOptimizationFrequency")
    }
    assert after["explorationPercentage"] == 0.4


@ON_ONE_HOST
def test_unknown_members_and_those_that_only_the_service_sets_are_ignored(own):
    body = {**FULL, "lastConfigurationEditDate": "0001-01-01T00:00:00Z", "latestApprenticeModeMetrics": {"x": 1}, "unheardOf": []}
    assert put(own, body).status == 200
    assert "lastConfigurationEditDate" not in get(own)


@ON_ONE_HOST
@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("PT90S", "PT1M30S"),
        ("P1D", "P1D"),
        ("PT36H", "P1DT12H"),
        ("P1W", "P7D"),
        ("PT0.5H", "PT30M"),
        ("PT1S", "PT1S"),
        ("P30D", "P30D"),
        ("P29DT24H", "P30D"),
    ],
)
def test_durations_are_read_and_written_in_iso_8601(own, given, written):
    assert changed(own, rewardWaitTime=given)["rewardWaitTime"] == written


@ON_ONE_HOST
@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2026-01-02", "2026-01-02T00:00:00Z"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
    ],
)
def test_a_start_date_without_an_offset_is_utc(own, given, written):
    assert changed(own, autoOptimizationStartDate=given)["autoOptimizationStartDate"] == written


@ON_ONE_HOST
@pytest.mark.parametrize("word", ["SUM", "Average", "median", "min", "max", "Earliest"])
def test_words_are_read_in_any_case(own, word):
    assert changed(own, rewardAggregation=word)["rewardAggregation"] == word.lower()


# --- rules -----------------------------------------------------------------------------------------------------------------

CONFIGURATION = "InvalidServiceConfiguration"

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no wait": ({"rewardWaitTime": "PT0S"}, "InvalidRewardWaitTime", "rewardWaitTime"),
    "a wait below a second": ({"rewardWaitTime": "PT0.999S"}, "InvalidRewardWaitTime", "rewardWaitTime"),
    "a wait over 30 days": ({"rewardWaitTime": "P30DT1S"}, "InvalidRewardWaitTime", "rewardWaitTime"),
    "a wait of no format": ({"rewardWaitTime": "24:00:00"}, CONFIGURATION, "rewardWaitTime"),
    "a negative wait": ({"rewardWaitTime": "-PT5M"}, "InvalidRewardWaitTime", "rewardWaitTime"),
    "a wait in numbers": ({"rewardWaitTime": 600}, CONFIGURATION, "rewardWaitTime"),
    "a negative wait of .NET": ({"rewardWaitTime": "-00:05:00"}, "InvalidRewardWaitTime", "rewardWaitTime"),
    "a negative time between models": ({"modelExportFrequency": "-00:05:00"}, CONFIGURATION, "modelExportFrequency"),
    "a wait beyond all bounds": ({"rewardWaitTime": "P99999999999D"}, "InvalidRewardWaitTime", "rewardWaitTime"),
    "a wait that is null": ({"rewardWaitTime": None}, CONFIGURATION, "rewardWaitTime"),
    "a long text for a wait": ({"rewardWaitTime": "P" + "1" * 100_000}, CONFIGURATION, "rewardWaitTime"),
    "a reward over 1": ({"defaultReward": 1.001}, CONFIGURATION, "defaultReward"),
    "a reward under -1": ({"defaultReward": -2}, CONFIGURATION, "defaultReward"),
    "a reward as words": ({"defaultReward": "none"}, CONFIGURATION, "defaultReward"),
    "a reward that is true": ({"defaultReward": True}, CONFIGURATION, "defaultReward"),
    "no such aggregation": ({"rewardAggregation": "first"}, CONFIGURATION, "rewardAggregation"),
    "a long aggregation": ({"rewardAggregation": "s" * 257}, CONFIGURATION, "rewardAggregation"),
    "exploration in percent": ({"explorationPercentage": 20}, CONFIGURATION, "explorationPercentage"),
    "negative exploration": ({"explorationPercentage": -0.1}, CONFIGURATION, "explorationPercentage"),
    "an export too often": ({"modelExportFrequency": "PT0.5S"}, CONFIGURATION, "modelExportFrequency"),
    "an export too rarely": ({"modelExportFrequency": "P2D"}, CONFIGURATION, "modelExportFrequency"),
    "retention below -1": ({"logRetentionDays": -2}, "InvalidLogRetentionDays", "logRetentionDays"),
    "retention shorter than the wait": ({"logRetentionDays": 1, "modelRetrainDays": 0}, "InvalidLogRetentionDays", "logRetentionDays"),
    "retention too short for a long wait": (
        {"logRetentionDays": 3, "rewardWaitTime": "P2DT1S", "modelRetrainDays": 0},
        "InvalidLogRetentionDays",
        "logRetentionDays",
    ),
    "retention in parts of days": ({"logRetentionDays": 2.5}, CONFIGURATION, "logRetentionDays"),
    "retention beyond int32": ({"logRetentionDays": 2**31}, CONFIGURATION, "logRetentionDays"),
    "more days to retrain than there are": (
        {"logRetentionDays": 10, "modelRetrainDays": 11},
        "InvalidModelRetrainDays",
        "modelRetrainDays",
    ),
    "negative days to retrain": ({"modelRetrainDays": -1}, "InvalidModelRetrainDays", "modelRetrainDays"),
    "a mirror without an address": ({"logMirrorEnabled": True}, "InvalidSasUri", "logMirrorSasUri"),
    "a mirror that is no address": ({"logMirrorSasUri": "somewhere"}, "InvalidSasUri", "logMirrorSasUri"),
    "a mirror that is no blob storage": ({"logMirrorSasUri": "https://example.org/c?sp=w&sr=c&sig=s"}, "InvalidSasUri", "logMirrorSasUri"),
    "a long mirror": ({"logMirrorSasUri": "https://" + "x" * 5_000}, CONFIGURATION, "logMirrorSasUri"),
    "no such mode": ({"learningMode": "Offline"}, CONFIGURATION, "learningMode"),
    "a mode in numbers": ({"learningMode": 1}, CONFIGURATION, "learningMode"),
    "mode and reward together": (
        {"learningMode": "Apprentice", "defaultReward": 0.5},
        "InvalidLearningModeServiceConfiguration",
        "learningMode",
    ),
    "mode and wait together": (
        {"learningMode": "LoggingOnly", "rewardWaitTime": "PT1H"},
        "InvalidLearningModeServiceConfiguration",
        "learningMode",
    ),
    "mode and aggregation together": (
        {"learningMode": "Apprentice", "rewardAggregation": "sum"},
        "InvalidLearningModeServiceConfiguration",
        "learningMode",
    ),
    "a flag as text": ({"isAutoOptimizationEnabled": "yes"}, CONFIGURATION, "isAutoOptimizationEnabled"),
    "a flag as a number": ({"logMirrorEnabled": 1}, CONFIGURATION, "logMirrorEnabled"),
    "an optimisation too often": ({"autoOptimizationFrequency": "PT1M"}, CONFIGURATION, "autoOptimizationFrequency"),
    "an optimisation too rarely": ({"autoOptimizationFrequency": "P366D"}, CONFIGURATION, "autoOptimizationFrequency"),
    "no date": ({"autoOptimizationStartDate": "soon"}, CONFIGURATION, "autoOptimizationStartDate"),
    "a date that does not exist": ({"autoOptimizationStartDate": "2026-02-30"}, CONFIGURATION, "autoOptimizationStartDate"),
}


@pytest.mark.parametrize(("members", "code", "target"), WRONG.values(), ids=WRONG)
def test_what_breaks_a_rule_is_refused_by_its_name_and_changes_nothing(quiet, members, code, target):
    before = get(quiet)
    refused(put(quiet, **members), 400, code, naming=f"{target}: ", target=target)
    assert get(quiet) == before


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != QUERY_VERSION])
def test_the_versions_of_the_path_have_their_own_code_for_a_wrong_mirror(quiet, version):
    answer = put(quiet, version=version, logMirrorEnabled=True, logMirrorSasUri="somewhere")
    refused(answer, 400, "InvalidContainer", naming="logMirrorSasUri", target="logMirrorSasUri")


@pytest.mark.parametrize("name", sorted(V10 | {"modelRetrainDays"}))
def test_a_required_member_that_is_missing_is_named(quiet, name):
    body = {member: value for member, value in FULL.items() if member != name}
    refused(put(quiet, body), 400, CONFIGURATION, naming=f"{name}: Field required", target=name)


def test_all_required_members_that_are_missing_are_named_at_once(quiet):
    answer = put(quiet, {})
    refused(answer, 400, CONFIGURATION, naming="these members are required", target="rewardWaitTime")
    assert all(name in answer.json["error"]["message"] for name in FULL)


def test_the_versions_of_the_path_do_not_ask_for_what_they_do_not_know(quiet):
    body = {name: value for name, value in FULL.items() if name != "modelRetrainDays"}
    for version in VERSIONS[:-1]:
        assert put(quiet, body, version=version).status == 200


BODIES = {
    "nothing": (b"", "InvalidRequest"),
    "no JSON": (b"rewardWaitTime=PT10M", "InvalidRequest"),
    "cut short": (json.dumps(FULL).encode()[:-4], "InvalidRequest"),
    "NaN": (json.dumps({**FULL, "defaultReward": float("nan")}).encode(), "InvalidRequest"),
    "an array": (b"[]", CONFIGURATION),
    "null": (b"null", CONFIGURATION),
    "deep": (b'{"rewardWaitTime": ' + b"[" * 900 + b"]" * 900 + b"}", CONFIGURATION),
    "an enormous number": (json.dumps({**FULL, "logRetentionDays": 10**40}).encode(), CONFIGURATION),
}


@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_configuration_is_refused(quiet, body, code):
    answer = quiet.request("PUT", path(PLACE), body)
    assert (answer.status, answer.json["error"]["code"]) == (400, code)


def test_a_body_that_is_too_long_is_refused(quiet):
    refused(put(quiet, {**FULL, "more": "x" * 1_100_000}), 413, "PayloadSizeExceeded", naming="1048576")


@pytest.mark.parametrize(
    "kind", ["application/xml", "text/html", "multipart/form-data; boundary=x", "application/octet-stream", "image/png"]
)
def test_a_body_that_says_it_is_something_else_is_refused(quiet, kind):
    body = json.dumps(FULL).encode()
    answer = quiet.request("PUT", path(PLACE), body, headers={"Content-Type": kind})
    refused(answer, 415, "InvalidRequest", naming="application/json", target="Content-Type")


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/merge-patch+json",
        "application/json, application/json",
        None,
    ],
)
def test_a_body_that_says_it_is_json_or_nothing_is_read(quiet, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    assert quiet.request("PUT", path(PLACE), json.dumps(FULL).encode(), headers=headers).status == 200


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
@pytest.mark.parametrize("version", VERSIONS)
def test_another_method_is_refused_and_told_the_right_ones(quiet, method, version):
    answer = quiet.request(method, path(PLACE, version=version), FULL if method != "DELETE" else None)
    refused(answer, 405, "BadRequest", naming="GET or PUT")
    assert answer.headers["allow"] == "GET, PUT"


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_without_a_key_of_the_loop_nothing_is_told(quiet, method):
    for headers in ({}, {KEY: "wrong"}):
        refused(quiet.request(method, path(PLACE), FULL, headers=headers, keyed=False), 401, "401", naming="Access denied")


# --- what a change does ----------------------------------------------------------------------------------------------------


def test_a_changed_mode_is_served_by_the_process_that_took_it_at_once(own):
    assert rank(own).status == 201
    changed(own, learningMode="Apprentice")
    for number in range(20):
        assert rank(own, "a", "b", "c", eventId=f"e{number}").json["rewardActionId"] == "a"
    assert own.request("GET", "/status").json["loop"]["learningMode"] == "Apprentice"


@ON_ONE_HOST
def test_another_process_follows_within_a_poll(own, host):
    with another_process(own.app, host) as process:
        other = own.at(process)
        assert rank(other).status == 201
        changed(own, rewardWaitTime="PT4H", explorationPercentage=0.4)
        assert get(other)["rewardWaitTime"] == "PT4H", "what is stored is read from storage"
        until = time.monotonic() + PATIENCE
        while other.request("GET", "/status").json["loop"]["rewardWaitTime"] != "PT4H":
            assert time.monotonic() < until
            time.sleep(0.05)


@ON_ONE_HOST
def test_two_who_change_different_members_at_once_both_have_their_way(own):
    """Two PUTs that do not know of each other: each stores what it changes, on condition, and again after a conflict."""
    bodies = [
        {**FULL, "explorationPercentage": 0.31},
        {**FULL, "autoOptimizationFrequency": "P3D"},
        {**FULL, "modelRetrainDays": 2, "isInferenceExplainabilityEnabled": True},
    ]
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda body=body: answers.append(put(own, body))) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} <= {200, 503}
    found = get(own)
    assert found["autoOptimizationFrequency"] == "P3D"
    assert found["isInferenceExplainabilityEnabled"] is True


def test_configuring_logs_no_event(quiet):
    with nothing_logged(quiet):
        put(quiet)
        put(quiet, defaultReward=7)
        get(quiet)


def test_the_configuration_is_found_through_doubled_slashes_a_trailing_slash_and_in_any_case(quiet):
    for place in (
        "/personalizer//v1.0//configurations/service",
        "/Personalizer/V1.0/Configurations/Service/",
        "/PERSONALIZER/v1.0/configurations/SERVICE",
    ):
        assert quiet.request("GET", place).status == 200


def test_rank_and_configuration_have_the_headers_of_every_answer(quiet):
    for answer in (quiet.request("GET", path(PLACE)), quiet.request("POST", path("rank"), rank_body()), quiet.request("GET", "/nowhere")):
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["apim-request-id"]
