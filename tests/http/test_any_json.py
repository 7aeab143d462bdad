"""Properties: valid requests obey the contract's laws, and there is no JSON that the service fails on."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.building import code_of, event_path, path
from tests.running import RunningApp

at_length = settings(max_examples=100, deadline=None, derandomize=True)

names = st.text(min_size=1, max_size=8)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=20)
values = st.recursive(scalars | st.lists(numbers, max_size=4), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=8)
features = st.dictionaries(names, values, max_size=4)

oddities = st.sampled_from([float("nan"), float("inf"), 10**400, "", "x" * 257, "\ud800", [[]], [{}], {"": 1}, [None]])
anything = oddities | st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=16
)

rewards = st.fixed_dictionaries({"value": st.floats(-1, 1) | st.sampled_from([-1, 0, 1])})


@st.composite
def ranks(draw: st.DrawFn) -> dict[str, Any]:
    ids = draw(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5, unique=True))
    return {
        "contextFeatures": draw(st.none() | st.lists(features, max_size=3)),
        "actions": [{"id": each, "features": [{"is": each}, draw(features)]} for each in ids],
        "excludedActions": draw(st.lists(st.sampled_from(ids), max_size=len(ids) - 1, unique=True)),
        "eventId": draw(st.none() | st.text(min_size=1, max_size=30)),
        "deferActivation": draw(st.none() | st.booleans()),
    }


@st.composite
def changed_somewhere(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> Any:
    document = draw(documents)
    return changed(document, draw(st.sampled_from(list(places(document)))), draw(anything))


def places(document: Any, at: tuple = ()) -> Iterator[tuple]:
    yield at
    for key, child in document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ():
        yield from places(child, (*at, key))


def changed(document: Any, place: tuple, new: Any) -> Any:
    if not place:
        return new
    first, *rest = place
    copy = document.copy()
    copy[first] = changed(document[first], tuple(rest), new)
    return copy


def answered_or_refused(app: RunningApp, place: str, body: Any, *, success: int) -> None:
    answer = app.request("POST", place, json.dumps(body).encode())
    if answer.status != success:
        assert answer.status == 400
        assert code_of(answer) in {"InvalidRequest", "InvalidRankRequest", "InvalidRewardRequest"}


@at_length
@given(body=ranks())
def test_every_valid_rank_obeys_the_laws_of_the_answer(app, body):
    answer = app.request("POST", path("rank"), json.dumps(body).encode())
    assert answer.status == 201, answer.body
    chances = {action["id"]: action["probability"] for action in answer.json["ranking"]}
    assert sorted(chances) == sorted(action["id"] for action in body["actions"])
    assert abs(sum(chances.values()) - 1.0) <= 1e-9
    assert all((chance == 0.0) == (each in body["excludedActions"]) for each, chance in chances.items())
    assert answer.json["rewardActionId"] == next(each for each in chances if each not in body["excludedActions"])
    assert answer.json["eventId"] == (body["eventId"] or answer.json["eventId"])


@at_length
@given(body=changed_somewhere(ranks()))
def test_any_json_is_ranked_or_refused_in_the_contracts_shape(app, body):
    answered_or_refused(app, path("rank"), body, success=201)


@at_length
@given(body=changed_somewhere(rewards))
def test_any_json_is_a_reward_or_refused_in_the_contracts_shape(app, body):
    answered_or_refused(app, event_path("any", "reward"), body, success=204)
