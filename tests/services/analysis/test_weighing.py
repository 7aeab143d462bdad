"""Feature importance: what is lost without a feature, by learning anew without it."""

from dataclasses import replace

import pytest

from shared.domain.evaluation import FeatureImportance, Job, JobKind, JobStatus
from shared.domain.events import Action, Features, SkipReason
from shared.services.analysis import running, weighing
from shared.services.analysis.board import Board
from shared.services.analysis.features import Feature, features_of
from tests.builders import T0, after
from tests.services.analysis.desk import Desk
from tests.services.analysis.logs import drawn

EVENTS = drawn(900, every=60.0)


@pytest.fixture(autouse=True)
def short_steps(monkeypatch):
    monkeypatch.setattr(running, "STEP_EVENTS", 400)


async def weighed(events=EVENTS, *, dies_at: int = 0) -> FeatureImportance:
    desk = Desk([events[first : first + 100] for first in range(0, len(events), 100)])
    job = Job("i1", "mine", T0, after(86_400), desk.clock.now())
    await desk.records.create(FeatureImportance(job))
    await desk.runner.start(JobKind.IMPORTANCE, job)
    desk.fate.calls, desk.fate.number = 0, dies_at
    await desk.run()
    found: FeatureImportance = desk.records.values["i1"][0]
    return found


async def test_what_matters_comes_first_and_what_does_not_is_worth_next_to_nothing():
    found = await weighed()
    assert found.job.status is JobStatus.SUCCEEDED
    best, *others = found.scores
    assert (best.namespace, best.feature) == ("user", "kind")
    assert 0.2 < best.score < 0.6, "of .75, .3 is lost without it"
    assert {(each.namespace, each.feature) for each in others} == {("noise", "day"), ("item", "topic")}
    assert all(each.score < 0.08 for each in others)
    assert found.job.description.startswith("Over 900 rounds")


async def test_a_worker_that_dies_changes_nothing():
    assert await weighed(EVENTS[:300], dies_at=25) == await weighed(EVENTS[:300])


async def test_no_more_rounds_are_learned_than_may_be(monkeypatch):
    monkeypatch.setattr(weighing, "MOST_ROUNDS", 250)
    assert (await weighed(EVENTS[:500])).job.description.startswith("Over 250 rounds")


async def test_without_a_choice_in_the_log_there_is_nothing_to_weigh_by():
    found = await weighed([replace(each, skip=SkipReason.LOGGING_ONLY) for each in EVENTS[:50]])
    assert (found.job.status, found.scores) == (JobStatus.SUCCEEDED, ())
    assert "features cannot be compared" in found.job.description


@pytest.mark.parametrize("seeks_better", [False, True])
@pytest.mark.sweep(keep=1)
async def test_an_evaluation_that_is_asked_to_groups_the_features_that_matter_alike(seeks_better):
    desk = Desk([EVENTS[first : first + 100] for first in range(0, 900, 100)])
    await desk.asked(weighs=True, seeks_better=seeks_better)
    record = await desk.run()
    assert record.important[0] == ("user.kind",)
    assert {name for group in record.important for name in group} == {"user.kind", "noise.day", "item.topic"}
    assert {each.name for each in record.results} >= {"online", "baseline1", "random"}
    assert not {each.name for each in record.results} & {"all features", "user.kind"}
    plans = {name: Board.read(data).stage.lanes for name, (data, _) in desk.files.values.items() if name.endswith("/board")}
    [lanes] = plans.values()
    assert sum("lane-" in name for name in desk.files.values) == sum(not lane.values_kept for lane in lanes), "what can be put online"


def test_features_are_found_on_both_sides_the_most_frequent_first():
    assert features_of(EVENTS[:3], most=2) == [Feature("item", "topic"), Feature("noise", "day")]


def test_a_feature_is_left_out_and_nothing_else_is():
    context: tuple[Features, ...] = ({"user": {"age": 3, "name": "x"}, "age": 1},)
    assert Feature("user", "age").left_out_of(context) == ({"user": {"name": "x"}, "age": 1},)
    assert Feature("", "age").left_out_of(context) == ({"user": {"age": 3, "name": "x"}},)
    action = Action("a", ({"user": {"age": 2}, "word": "w"},), text=b"as it was")
    assert Feature("user", "age").left_out_of_action(action) == Action("a", ({"user": {}, "word": "w"},))
    assert not Feature("user", "age").left_out_of_action(action).text
