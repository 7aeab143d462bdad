"""The vectors of the documentation: the service comes to them, and so does a port in plain Python that was written by the page."""

from base64 import b64decode
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api.serving import ALGORITHM
from shared.domain.events import Action, Situation
from shared.learning import artifact
from shared.learning.choosing import ROUNDING
from shared.learning.encoding import Encoder
from shared.services.serving.verifying import TOLERANCE
from tests.learning import port, vectors

SCORES_DIFFER = 1e-5
"""Of numbers of 32 bits, of which some hundred are added up."""

VALUES = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6)
NAMES = st.text(min_size=1, max_size=6)
FEATURES = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12)
OBJECTS = st.lists(st.dictionaries(NAMES, FEATURES, max_size=5), max_size=3)


@cache
def document() -> dict[str, Any]:
    return vectors.written()


@cache
def models() -> dict[str, bytes]:
    return {name: b64decode(each) for name, each in document()["models"].items()}


@cache
def port_models() -> dict[str, port.Model | None]:
    return {"": None, **{name: port.Model(each) for name, each in models().items()}}


def near(found: Any, expected: list[float], *, tolerance: float) -> None:
    assert list(found) == pytest.approx(expected, rel=tolerance, abs=ROUNDING / 100)


def test_the_vectors_are_of_this_algorithm():
    assert document()["algorithm"] == ALGORITHM


def test_each_model_explores_by_the_draws_of_another_part():
    loaded = {name: artifact.load_model(each) for name, each in models().items()}
    draws = {
        name: [part.shape[-1 if part is model.weights else -2] > 1 for part in (model.weights, model.arm_weights, model.joint_weights)]
        for name, model in loaded.items()
    }
    assert draws == {"shared": [True, False, False], "own": [False, True, False], "joint": [False, False, True]}
    assert 0.0 < loaded["own"].joint_share < loaded["own"].share


def test_the_service_encodes_as_the_vectors_say():
    for each in document()["encodings"]:
        asked = Situation(tuple(each["features"]), (Action(each["actionId"], tuple(each["features"])),))
        encoded = Encoder().encode(asked)
        for row, expected in ((encoded.context, each["context"]), (encoded.actions[0], each["action"])):
            assert [[*entry] for entry in zip(row.hashes, row.values, strict=True)] == expected


def test_the_service_decides_as_the_vectors_say():
    for each in document()["decisions"]:
        made = vectors.decided(each["served"], each["request"], models())
        near(made.probabilities, each["probabilities"], tolerance=TOLERANCE)
        assert each["request"]["actions"][made.chosen]["id"] == each["rewardActionId"]
    for each in document()["slots"]:
        for slot, expected in zip(vectors.decided_slots(each["served"], each["request"], models()), each["filled"], strict=True):
            near(slot.probabilities, expected["probabilities"], tolerance=TOLERANCE)
            assert (slot.slot, each["request"]["actions"][slot.chosen]["id"]) == (expected["id"], expected["rewardActionId"])


def test_the_port_encodes_as_the_vectors_say():
    for each in document()["encodings"]:
        assert [[*entry] for entry in port.of_context(each["features"])] == each["context"]
        assert [[*entry] for entry in port.of_action({"id": each["actionId"], "features": each["features"]})] == each["action"]


def test_the_port_decides_as_the_vectors_say():
    for each in document()["decisions"]:
        served, request = each["served"], each["request"]
        choice = port.decide(port_models()[served["model"]], served, request)
        if choice.scores:
            assert choice.scores == pytest.approx(each["scores"], abs=SCORES_DIFFER)
        near(choice.probabilities, each["probabilities"], tolerance=TOLERANCE)
        assert request["actions"][choice.action]["id"] == each["rewardActionId"]
    for each in document()["slots"]:
        filled = list(port.decide_slots(port_models()[each["served"]["model"]], each["served"], each["request"]))
        for choice, expected in zip(filled, each["filled"], strict=True):
            near(choice.probabilities, expected["probabilities"], tolerance=TOLERANCE)
            assert each["request"]["actions"][choice.action]["id"] == expected["rewardActionId"]


@given(OBJECTS, st.text(min_size=1, max_size=8))
def test_the_port_encodes_whatever_the_service_encodes(objects, action_id):
    encoded = Encoder().encode(Situation(tuple(objects), (Action(action_id, tuple(objects)),)))
    assert port.of_context(objects) == list(zip(encoded.context.hashes, encoded.context.values, strict=True))
    action = encoded.actions[0]
    assert port.of_action({"id": action_id, "features": objects}) == list(zip(action.hashes, action.values, strict=True))
