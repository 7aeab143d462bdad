"""`@azure/cognitiveservices-personalizer` and `@azure-rest/ai-personalizer` of npm, unmodified, through every operation they have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.npm import lock_of
from tests.sdk import npm
from tests.sdk.places import Place

OLD, NEW = "cognitiveservices.mjs", "ai-personalizer.mjs"
EVENT = "from / JavaScript"
RESPONSE_MAP = re.compile(r'^    "([A-Z]+ /\S+)": \["(\d+)"\],$', re.MULTILINE)


@pytest.fixture(scope="module")
def packages() -> Path:
    return npm.ensure_installed()


@pytest.fixture(scope="module")
def old(packages: Path, place: Place) -> dict[str, npm.Reply]:
    return {reply["what"]: reply for reply in npm.run(OLD, place.endpoint, place.key, f"{EVENT} of {OLD} at {place.endpoint}")}


@pytest.fixture(scope="module")
def new(packages: Path, place: Place) -> dict[str, npm.Reply]:
    place.learn()
    return {reply["what"]: reply for reply in npm.run(NEW, place.endpoint, place.key, f"{EVENT} of {NEW} at {place.endpoint}")}


def documented(packages: Path) -> dict[str, str]:
    """Read from the SDK itself which operations it has, and which status each answers with."""
    source = (packages / "node_modules" / "@azure-rest" / "ai-personalizer" / "dist" / "index.js").read_text("utf-8")
    return dict(RESPONSE_MAP.findall(source))


def refusals(replies: dict[str, npm.Reply]) -> dict[str, tuple[int, str]]:
    return {what: (int(reply["status"]), error_of(reply)["code"]) for what, reply in replies.items() if error_of(reply)}


def error_of(reply: npm.Reply) -> Any:
    body = reply.get("body")
    return reply.get("error") or (body.get("error") if isinstance(body, dict) else None)


# --- @azure/cognitiveservices-personalizer ---------------------------------------------------------------------------------


def test_every_operation_of_the_older_sdk_is_called_and_answered_with_its_own_status(old):
    assert sorted(old["operations"]["names"]) == ["activate", "rank", "reward"]
    assert {name: old[name]["status"] for name in old["operations"]["names"]} == {"rank": 201, "activate": 204, "reward": 204}


def test_what_the_older_sdk_sent_is_stored(old, place):
    answer = old["rank"]["body"]
    stored = place.decision(answer["eventId"])
    assert (stored["rewardActionId"], stored["deferActivation"]) == (answer["rewardActionId"], True)
    assert {each["id"] for each in answer["ranking"]} == {"news", "sport", "film"}
    assert "activatedAt" in stored
    assert [each["value"] for each in stored["rewards"]] == [0.75]


def test_the_older_sdk_reads_refusals_as_its_own_errors(old):
    assert refusals(old) == {
        "all excluded": (400, "InvalidRankRequest"),
        "too much": (400, "InvalidRewardRequest"),
        "another key": (401, "401"),
    }
    assert old["all excluded"]["error"]["target"] == "excludedActions"


# --- @azure-rest/ai-personalizer -------------------------------------------------------------------------------------------


def test_every_operation_of_the_newer_sdk_is_called_and_answered_with_its_own_status(new, packages):
    expected = documented(packages)
    assert len(expected) >= 24
    answered = {(reply["operation"], reply["status"]) for reply in new.values() if "operation" in reply}
    assert set(expected.items()) - answered == set()


def test_what_the_newer_sdk_sent_is_stored(new, place):
    answer = new["POST /rank"]["body"]
    stored = place.decision(answer["eventId"])
    assert (stored["rewardActionId"], stored["deferActivation"]) == (answer["rewardActionId"], True)
    assert "activatedAt" in stored
    assert [each["value"] for each in stored["rewards"]] == [0.75]
    several = new["POST /multislot/rank"]["body"]
    by_slot = place.slots(several["eventId"])
    assert {each["id"]: each["rewardActionId"] for each in several["slots"]} == {
        slot_id: each["rewardActionId"] for slot_id, each in by_slot.items()
    }
    assert [[reward["value"] for reward in by_slot[each]["rewards"]] for each in ("hero", "side")] == [[], [0.5]]


def test_lines_of_json_are_taken_for_a_batch_and_the_binary_ones_are_refused(new, place):
    event_id = f"decided elsewhere {new['POST /rank']['body']['eventId']}"
    stored = place.decision(event_id)
    assert (stored["rewardActionId"], stored["probability"]) == ("news", 1.0)
    assert [each["value"] for each in stored["rewards"]] == [0.25]
    assert {refusals(new)[each] for each in ("binary interactions", "binary observations")} == {(415, "InvalidRequest")}


def test_a_configuration_and_a_policy_come_back_as_they_were_put(new):
    at_first = new["GET /configurations/service"]["body"]
    assert new["PUT /configurations/service"]["body"]["explorationPercentage"] == 0.5
    assert new["changed"]["body"] == new["PUT /configurations/service"]["body"]
    edited = "lastConfigurationEditDate"
    assert {**new["put back"]["body"], edited: ""} == {**at_first, edited: ""}
    assert new["PUT /configurations/policy"]["body"] == {"name": "several slots", "arguments": "--ccb_explore_adf --epsilon 0.2"}
    assert new["DELETE /configurations/policy"]["body"]["arguments"] == new["GET /configurations/policy"]["body"]["arguments"]


def test_a_log_tells_its_range_and_is_empty_after_it_is_deleted(new):
    assert new["GET /logs/properties"]["body"]["dateRange"].keys() == {"from", "to"}
    assert new["properties after the deletion"]["body"] == {}


def test_an_evaluation_is_created_found_applied_and_deleted(new):
    created = new["POST /evaluations"]
    assert created["headers"]["location"].endswith(f"/personalizer/v1.1-preview.3/evaluations/{created['body']['id']}")
    assert new["GET /evaluations/{evaluationId}"]["body"] == created["body"]
    assert created["body"]["id"] in {each["id"] for each in new["GET /evaluations"]["body"]}
    assert new["applied"]["body"] == {"name": "mine", "arguments": "--cb_explore_adf --softmax"}


def test_a_model_goes_out_away_and_back(new):
    assert (new["models"]["cameBack"], new["models"]["wentAway"]) == (True, True)
    assert new["signed"]["headers"]["content-disposition"] == "attachment; filename=model.vw.zip"
    assert new["GET /model/properties"]["body"].keys() == {"creationTime", "lastModifiedTime"}


def test_the_newer_sdk_gets_every_refusal_with_its_code(new):
    assert refusals(new) == {
        "all excluded": (400, "InvalidRankRequest"),
        "too much": (400, "InvalidRewardRequest"),
        "another key": (401, "401"),
        "too long": (400, "InvalidRewardWaitTime"),
        "policy for one slot": (400, "InvalidMultiSlotApiAccess"),
        "deleted": (404, "EvaluationNotFound"),
        "not signed": (400, "InvalidModelImportFormat"),
        "binary interactions": (415, "InvalidRequest"),
        "binary observations": (415, "InvalidRequest"),
    }


# --- how they are installed ------------------------------------------------------------------------------------------------


def test_every_package_is_pinned_by_version_and_hash_and_says_no_address():
    lock = lock_of(npm.EXAMPLES)
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert len(packages) > 40
    assert not [name for name, each in packages.items() if not each["version"] or not each["integrity"].startswith("sha512-")]
    assert not re.search(r"https?://", json.dumps(lock))


@pytest.mark.slow
def test_a_script_that_fails_says_why(packages):
    with pytest.raises(AssertionError, match="Cannot find module"):
        npm.run("none.mjs")
