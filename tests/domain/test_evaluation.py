"""What an evaluation says of its policies."""

from dataclasses import replace

import pytest

from shared.domain.evaluation import Estimate, Evaluation, Job, JobStatus, Point, PolicyResult, PolicySource, Series, Window
from shared.domain.loop import LearningPolicy
from tests.builders import T0, after

SERVED = LearningPolicy("default", "--cb_explore_adf --epsilon 0.1")
MINE = LearningPolicy("mine", "--cb_explore_adf --softmax")
EVALUATION = Evaluation(Job("e1", "first", T0, after(60), after(120)), SERVED, policies=(MINE,))


def test_the_policies_that_can_be_served_are_those_asked_about_those_found_and_the_loops_own():
    found = [PolicyResult(source.lower(), f"--{source}", source) for source in PolicySource]
    evaluation = replace(EVALUATION, results=tuple(found))
    assert evaluation.policy("mine") == MINE
    assert evaluation.policy("online") == SERVED
    assert evaluation.policy("offlineexperimentation") == LearningPolicy("offlineexperimentation", "--OfflineExperimentation")
    assert [evaluation.policy(name) for name in ("baseline", "random", "custom", "default", "nobody", "")] == [None] * 6


def test_a_time_series_is_cut_at_its_start_and_before_its_end():
    points = tuple(Point(after(60 * n), Estimate(float(n), 0.0, 1.0)) for n in range(5))
    result = PolicyResult("mine", "", PolicySource.CUSTOM, series=(Series(Window.EXPANDING, 5, points),))
    assert result.points(Window.EXPANDING, 5, since=after(60), until=after(180)) == points[1:3]
    assert result.points(Window.ROLLING, 60, since=T0, until=after(600)) == ()


@pytest.mark.parametrize("status", JobStatus)
def test_only_what_waits_or_runs_is_not_over(status):
    assert status.is_over == (status not in (JobStatus.NOT_SUBMITTED, JobStatus.RUNNING))
