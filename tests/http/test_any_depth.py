"""Nesting of any depth, anywhere in a body: taken or refused in the contract's shape, and alike wherever the same thing may stand."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.building import QUERY_VERSION, actions, code_of
from tests.http.described import DescribedApp, Said, described_app, said
from tests.http.test_any_json import changed, places

MOST = 1_024
"""Levels of a whole body that are read as JSON."""
DEPTHS = [32, 33, 254, 255, 256, 1_020, 1_023, 1_026]
FEW = [1, 33, 255, 256, 1_000, 1_018, 1_023, 1_024]
ALIKE = [1, 2, 16, *range(29, 38), *range(250, 259), 512, *range(994, 1_004), *range(1_014, 1_030), 1_100]
"""Around each bound there is: of a feature, of what arrays of features are read with, of the standard library, of a body."""
MARK = "the place"


def nested(depth: int, *, of: str = "arrays") -> str:
    return "[" * depth + "]" * depth if of == "arrays" else '{"x":' * depth + "1" + "}" * depth


def with_nested(body: Any, text: str) -> str:
    """Write a document with this text where it holds the mark; the encoder of the standard library goes no deeper than 1,000 levels."""
    return json.dumps(body).replace(json.dumps(MARK), text)


def marked(body: Any) -> Iterator[Any]:
    """Put the mark into each place of a document, and beside the members of each of its objects."""
    for place in places(body):
        yield changed(body, place, MARK)
        if isinstance(inner := _at(body, place), dict):
            yield changed(body, place, {**inner, "other": MARK})


def _at(document: Any, place: tuple) -> Any:
    for key in place:
        document = document[key]
    return document


def bodies(asked: Said) -> list[Any]:
    if not isinstance(asked.example, str):
        return [] if asked.example is None else [asked.example]
    return [json.loads(line) for line in asked.example.splitlines()]


WITH_BODIES = [each for each in said() if bodies(each)]


@pytest.fixture(scope="module")
def described(new_store) -> Iterator[DescribedApp]:
    with described_app(new_store()) as running:
        yield running


def taken_or_refused(described: DescribedApp, asked: Said, text: str) -> None:
    answer = described.ask(asked, text)
    assert answer.status < 500, (text[:200], answer.body)
    if answer.status >= 400:
        assert code_of(answer)


def test_every_operation_that_takes_a_body_is_tried():
    assert len({each.operation["operationId"].removesuffix("_2022") for each in WITH_BODIES}) >= 12


@pytest.mark.parametrize("asked", WITH_BODIES, ids=lambda each: each.operation["operationId"])
def test_no_nesting_anywhere_in_a_body_fails(asked, described):
    for depth in FEW:
        for body in bodies(asked):
            for with_mark in marked(body):
                taken_or_refused(described, asked, with_nested(with_mark, nested(depth)))


@pytest.mark.slow
@pytest.mark.parametrize("asked", WITH_BODIES, ids=lambda each: each.operation["operationId"])
def test_no_nesting_of_objects_anywhere_in_a_body_fails(asked, described):
    for depth in DEPTHS:
        for body in bodies(asked):
            for with_mark in marked(body):
                taken_or_refused(described, asked, with_nested(with_mark, nested(depth, of="objects")))


# --- the same thing in the same place --------------------------------------------------------------------------------------

ASKED = {"contextFeatures": [{"hour": 9}], "actions": actions("a", "b")}
ALSO_RANKED = {"ranking": [{"id": "a", "probability": 1.0}, {"id": "b", "probability": 0.0}], "rewardActionId": "a"}
SLOTS = {"slots": [{"id": "s1", "baselineAction": "a"}]}
SHARED = {
    "the context": {**ASKED, "contextFeatures": [{"hour": MARK}]},
    "a namespace of the context": {**ASKED, "contextFeatures": [{"at": {"hour": MARK}}]},
    "an action": {**ASKED, "actions": [{"id": "a", "features": [{"x": 1, "deep": MARK}]}, *actions("b")]},
    "beside an action's members": {**ASKED, "actions": [{"id": "a", "features": [{"x": 1}], "other": MARK}, *actions("b")]},
    "beside all members": {**ASKED, "other": MARK},
}


@pytest.mark.parametrize("of", ["arrays", "objects"])
@pytest.mark.parametrize("shared", SHARED.values(), ids=SHARED)
def test_rank_several_slots_and_uploads_agree_on_what_is_too_deep(shared, of, described):
    for depth in ALIKE:
        text = nested(depth, of=of)
        verdicts = {
            name: described.app.request("POST", place, with_nested({**shared, **also}, text).encode(), headers=headers)
            for name, (place, also, headers) in same_asked(described).items()
        }
        statuses = {name: answer.status < 300 for name, answer in verdicts.items()}
        assert len({*statuses.values()}) == 1, (depth, {name: (each.status, each.body) for name, each in verdicts.items()})


def same_asked(described: DescribedApp) -> dict[str, tuple[str, dict[str, Any], dict[str, str]]]:
    query = f"?api-version={QUERY_VERSION}"
    lines = {"Content-Type": "application/x-ndjson"}
    return {
        "rank": ("/personalizer/v1.0/rank", {}, {}),
        "rank that is read as a whole": ("/personalizer/v1.0/rank", {"another": 1}, {}),
        "several slots": (f"/loops/slots/personalizer/multislot/rank{query}", SLOTS, {"Ocp-Apim-Subscription-Key": described.slots_key}),
        "an upload": (f"/personalizer/logs/interactions{query}", {"eventId": "e1", **ALSO_RANKED}, lines),
    }


def test_what_is_refused_for_its_depth_says_so(described):
    for depth in (33, 255, 600, 1_000):
        deep = {**ASKED, **SLOTS, "actions": [{"id": "a", "features": [{"deep": MARK}]}, *actions("b")]}
        place, _, headers = same_asked(described)["several slots"]
        answer = described.app.request("POST", place, with_nested(deep, nested(depth, of="objects")).encode(), headers=headers)
        assert (answer.status, code_of(answer)) == (400, "InvalidRankRequest")
        assert "nested at most 32 levels" in answer.json["error"]["message"]
