"""Rank explains itself where the configuration says so."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.building import ON_ONE_HOST, VERSIONS, path, rank, rank_body
from tests.http.own_loops import QUICK, OwnLoop, own_loop
from tests.patience import PATIENCE
from tests.running import Asked

LATEST = VERSIONS[-1]
EVENTS = 20


@pytest.fixture(scope="module")
def explaining(shared) -> Iterator[OwnLoop]:
    """A loop that has learned a little, and explains its answers."""
    with own_loop(shared, **QUICK) as app:
        explain(app, wanted=True)
        for number in range(EVENTS):
            shown = rank(app, *"abc", eventId=f"e{number}").json["rewardActionId"]
            app.request("POST", path(f"events/e{number}/reward"), {"value": 1.0 if shown == "b" else 0.0})
        learned(app)
        yield app


def explain(app: Asked, *, wanted: bool, **members: Any) -> None:
    place = path("configurations/service", version=LATEST)
    found = app.request("GET", place).json
    assert app.request("PUT", place, {**found, **members, "isInferenceExplainabilityEnabled": wanted}).status == 200


def learned(app: Asked) -> None:
    """Wait until all events are learned, and the model that knows them is served."""
    until = time.monotonic() + PATIENCE
    while (loop := app.request("GET", "/status").json["loop"])["counters"]["learned"] < EVENTS or (
        loop["modelVersion"] != loop["publishedModelVersion"]
    ):
        assert time.monotonic() < until, app.logs
        app.request("POST", "/admin/functions/train")
        time.sleep(0.3)


def test_without_the_flag_there_is_no_explanation(app):
    assert rank(app).json.keys() == {"ranking", "eventId", "rewardActionId"}


@ON_ONE_HOST
@pytest.mark.parametrize("version", VERSIONS)
def test_every_action_is_explained_in_the_order_of_the_ranking(explaining, version):
    answer = explaining.request("POST", path("rank", version=version), rank_body("a", "b", "c", excludedActions=["a"])).json
    assert [each["id"] for each in answer["inferenceExplanation"]] == [each["id"] for each in answer["ranking"]]
    assert all(each.keys() == {"id", "features"} for each in answer["inferenceExplanation"])


@ON_ONE_HOST
def test_features_have_the_names_that_the_request_gave_them(explaining):
    explained = rank(explaining, *"abc").json["inferenceExplanation"]
    names = {feature["name"] for action in explained for feature in action["features"]}
    alone, own = {"user.segment", "user.age"}, {"id", "topic"}
    assert names & own
    assert names <= alone | own | {f"{of}^{with_}" for of in alone for with_ in own}


@ON_ONE_HOST
def test_what_was_rewarded_has_the_higher_sum(explaining):
    explained = rank(explaining, *"abc").json["inferenceExplanation"]
    sums = {action["id"]: sum(feature["score"] for feature in action["features"]) for action in explained}
    assert max(sums, key=sums.__getitem__) == "b"


@ON_ONE_HOST
def test_the_same_call_is_explained_the_same_way(explaining):
    assert len({rank(explaining, *"abc", eventId="again").body for _ in range(5)}) == 1


@ON_ONE_HOST
def test_without_a_model_there_are_no_reasons_and_in_logging_only_mode_no_explanation(shared):
    with own_loop(shared) as app:
        explain(app, wanted=True)
        assert {each["id"]: each["features"] for each in rank(app).json["inferenceExplanation"]} == {"a": [], "b": [], "c": []}
        explain(app, wanted=True, learningMode="Apprentice")
        assert len(rank(app).json["inferenceExplanation"]) == 3
        explain(app, wanted=True, learningMode="LoggingOnly")
        assert "inferenceExplanation" not in rank(app).json
