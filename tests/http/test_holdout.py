"""The standing holdout by HTTP: the setting, the answers of Rank, and the receipts."""

import re
from collections.abc import Iterator

import pytest

from tests.cli.running import run
from tests.http.building import counters, rank, refused, reward
from tests.http.own_loops import QUICK, OwnLoop, own_loop
from tests.http.test_breakdowns import FULL, PLACE, told
from tests.http.test_model import until
from tests.running import RunningApp

SHARE = 0.5


@pytest.fixture
def own(shared: RunningApp) -> Iterator[OwnLoop]:
    with own_loop(shared) as loop:
        yield loop


@pytest.fixture(scope="module")
def held(shared: RunningApp) -> Iterator[OwnLoop]:
    with own_loop(shared, **QUICK, holdoutPercentage=SHARE) as loop:
        yield loop


def test_the_share_is_kept_told_and_taken_back(own):
    assert "holdoutPercentage" not in told(own, PLACE)
    assert own.request("PUT", PLACE, {**FULL, "holdoutPercentage": 0.05}).json["holdoutPercentage"] == 0.05
    assert own.request("PUT", PLACE, FULL).json["holdoutPercentage"] == 0.05, "a client that does not know it leaves it as it is"
    assert "holdoutPercentage" not in told(own, "/personalizer/v1.1-preview.3/configurations/service")
    assert "holdoutPercentage" not in own.request("PUT", PLACE, {**FULL, "holdoutPercentage": 0}).json


@pytest.mark.parametrize("share", [-0.1, 0.0001, 0.91, 1, 1e308])
def test_a_share_that_cannot_be_is_refused_and_changes_nothing(own, share):
    answer = own.request("PUT", PLACE, {**FULL, "holdoutPercentage": share})
    refused(answer, 400, "InvalidServiceConfiguration", target="holdoutPercentage")
    assert "from 0.001 to 0.9" in answer.json["error"]["message"]
    assert "holdoutPercentage" not in told(own, PLACE)


def test_who_is_held_out_sees_the_first_action_with_its_true_probability_and_the_receipt_says_so(held):
    shown: dict[bool, set[str]] = {True: set(), False: set()}
    for number in range(40):
        answer = rank(held, eventId=f"e{number}").json
        receipt = told(held, f"/personalizer/events/e{number}?api-version=2022-09-01-preview")
        (decision,) = receipt["decisions"]
        first = decision["actions"][0]["id"]
        chances = {each["id"]: each["probability"] for each in answer["ranking"]}
        others = [chance for each, chance in chances.items() if each != first]
        assert (decision["rewardActionId"], decision["probability"]) == (answer["rewardActionId"], chances[answer["rewardActionId"]])
        assert others == pytest.approx([(1.0 - SHARE) / len(chances)] * len(others)), "nothing is learned yet"
        assert chances[first] == pytest.approx(SHARE + (1.0 - SHARE) / len(chances))
        shown[decision["isHeldOut"]].add(answer["rewardActionId"])
        assert rank(held, eventId=f"e{number}").json == answer
        assert not decision["isHeldOut"] or answer["rewardActionId"] == first
    assert len(shown[True]) == 1
    assert len(shown[False]) > 1


def test_a_loop_without_a_holdout_says_nothing_of_one(own):
    assert rank(own, eventId="e1").status == 201
    (decision,) = told(own, "/personalizer/events/e1?api-version=2022-09-01-preview")["decisions"]
    assert "isHeldOut" not in decision


def test_another_share_is_in_force_at_once_and_the_model_stays(held):
    asked = {"configuration": {"holdoutPercentage": 0.9}}
    version = "?api-version=2022-09-01-preview"
    beforehand = held.request("POST", f"/personalizer/configurations/preview{version}", asked).json
    assert beforehand["isLearnedAgain"] is False
    assert beforehand["changes"] == [{"member": "holdoutPercentage", "before": SHARE, "after": 0.9}]
    try:
        assert held.request("POST", f"/personalizer/configurations/set{version}", asked).json["holdoutPercentage"] == 0.9
        answer = rank(held, eventId="with-another-share").json
        assert max(each["probability"] for each in answer["ranking"]) > 0.9
    finally:
        held.request("POST", f"/personalizer/configurations/set{version}", {"configuration": {"holdoutPercentage": SHARE}})


def test_figures_tell_the_experiment_and_leave_it_out_without_one(own, held):
    assert "experiment" not in told(own, "/figures")
    for number in range(20):
        event = f"learned-{number}"
        assert rank(held, eventId=event).status == 201
        assert reward(held, event, 1.0).status == 204
    until(held, lambda _: _learned(held) >= 20)
    found = told(held, "/figures")["experiment"]
    assert found["events"] == found["baseline"]["events"] + found["learned"]["events"] >= 20
    assert found["split"]["isAsAsked"]
    assert (found["verdict"], found["provenSince"]) == ("notKnown", None)
    printed = run("figures", "experiment", "--endpoint", held.app.base_url, "--loop", held.name, "--key", held.key).text
    assert "your own choice, held out" in printed
    shown = run("events", "show", "learned-0", "--endpoint", held.app.base_url, "--loop", held.name, "--key", held.key).text
    assert re.search(r"held out +(yes: your own choice was shown|no)", shown), shown
    assert "It is not known yet which of the two earns more." in printed
    assert (
        "No event of a holdout" in run("figures", "experiment", "--endpoint", own.app.base_url, "--loop", own.name, "--key", own.key).text
    )


def _learned(app: OwnLoop) -> int:
    app.request("POST", "/admin/functions/train")
    learned: int = counters(app)["learned"]
    return learned
