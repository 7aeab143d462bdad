"""A gate passes only a policy that keeps all of its rules, and says in words of each what was asked and found."""

from dataclasses import replace
from functools import cache
from math import nan

import pytest

from shared.domain.evaluation import PRESENT, Job, JobStatus, Lift, Report
from shared.domain.gates import Gate, Looks
from shared.domain.loop import LearningPolicy
from shared.services.analysis.gates import not_told, ruling
from shared.services.analysis.lane import Lane, contenders, lineups, take_together
from shared.services.analysis.lifting import reports
from shared.services.analysis.results import Found, parts
from tests.builders import T0, after
from tests.services.analysis.logs import drawn
from tests.services.analysis.test_judging import BLIND, LEARNS, compared

WEIGHTS = {"mean_weight": 1.0, "mean_weight_interval": (0.95, 1.05)}


@cache
def told() -> tuple[Report, ...]:
    return tuple(reports(compared(BLIND, LEARNS)))


def changed(**members) -> tuple[Report, ...]:
    return tuple([replace(each, **members) if each.name == "learns" else each for each in told()])


def lifted(value: float, anytime: tuple[float, float], one: tuple[float, float]) -> tuple[Report, ...]:
    return changed(lifts={PRESENT: Lift(value, one, anytime)})


def is_passed(gate: Gate, given=None) -> bool:
    return ruling(gate, told() if given is None else given, "learns").is_passed


def test_a_policy_that_surely_earns_more_passes_and_the_present_one_does_not():
    assert is_passed(Gate())
    assert not ruling(Gate(), told(), PRESENT).is_passed
    assert ruling(Gate(), told(), "learns").sentence == "The policy learns passes the gate."


def test_a_candidate_is_valued_as_it_would_serve_with_its_exploration():
    """The same policy that explores nine times out of ten earns less, and is not passed for what it would earn without."""
    greedy = LearningPolicy("greedy", "--cb_explore_adf --epsilon 0.2")
    made = drawn(1_000)
    passed = {}
    for exploration in (0.05, 0.9):
        lanes = [Lane(each) for each in lineups(contenders(BLIND, [greedy]), exploration_percentage=exploration)]
        for first in range(0, len(made), 250):
            take_together(lanes, made[first : first + 250])
        passed[exploration] = ruling(Gate(least_lift=0.1), reports(parts([Found.of(lane) for lane in lanes])), "greedy").is_passed
    assert passed == {0.05: True, 0.9: False}


@pytest.mark.parametrize(
    ("gate", "rule"),
    [
        (Gate(least_lift=0.5), "lift"),
        (Gate(least_events=1_501), "events"),
        (Gate(most_weight=1.5), "weight"),
        (Gate(least_lift=0.1, estimators=("dr_os",)), "dr_os"),
        (Gate(estimators=("unheard of",)), "unheard of"),
        (Gate(compared_with="nobody"), "lift"),
    ],
)
def test_a_single_rule_that_is_not_kept_is_named_with_what_was_found(gate, rule):
    given = told() if rule != "dr_os" else changed(estimates={**_own().estimates, "dr_os": 0.0})
    ruled = ruling(gate, given, "learns")
    assert [each.rule for each in ruled.checks if not each.is_kept] == [rule]
    assert ruled.sentence.startswith(f"The policy learns does not pass the gate. {rule}: ")


def _own() -> Report:
    return next(each for each in told() if each.name == "learns")


def test_whoever_looks_again_and_again_needs_the_interval_that_holds_at_any_time():
    given = lifted(0.1, (-0.01, 0.2), (0.05, 0.15))
    assert (is_passed(Gate(looks=Looks.ONE), given), is_passed(Gate(looks=Looks.MANY), given)) == (True, False)


def test_what_is_not_known_passes_no_gate():
    assert not is_passed(Gate(), lifted(nan, (nan, nan), (nan, nan)))
    assert not is_passed(Gate(), changed(lifts={}))
    assert not is_passed(Gate(), changed(mean_weight=nan))
    assert not is_passed(Gate(estimators=("dr",)), changed(estimates={"dr": nan}))
    assert not is_passed(Gate(), ())
    assert "no figures" in ruling(Gate(), (), "learns").sentence


@pytest.mark.parametrize(
    ("status", "description", "words"),
    [
        (JobStatus.NOT_SUBMITTED, "", "it is still waiting to begin"),
        (JobStatus.RUNNING, "", "it is still running"),
        (JobStatus.FAILED, "The log cannot be read.", "its status is Failed (The log cannot be read)"),
        (JobStatus.CANCELED, "", "its status is Canceled"),
        (JobStatus.TIMEOUT, "", "its status is Timeout"),
        (JobStatus.SUCCEEDED, "No event was logged in this range.", "it has no figures (No event was logged in this range)"),
        (JobStatus.ONLINE_POLICY_RETAINED, "", "it has no figures"),
    ],
)
def test_an_evaluation_without_figures_says_how_it_stands(status, description, words):
    job = Job("e1", "e1", T0, after(60), T0, status, description)
    reason = not_told(job, ())
    assert reason is not None
    assert reason.found == words
    assert not_told(job, told()) is None


def test_probabilities_that_may_not_be_true_pass_no_gate():
    assert is_passed(Gate(), changed(**WEIGHTS))
    assert not is_passed(Gate(), changed(**WEIGHTS | {"mean_weight": 1.3, "mean_weight_interval": (1.25, 1.35)}))


@pytest.mark.parametrize(
    ("least", "asked"),
    [
        (0.0, "it has to earn more than the present policy, for sure"),
        (0.01, "it has to earn over 0.01 more than the present policy, for sure"),
        (-0.01, "it must not earn 0.01 less than the present policy, for sure"),
    ],
)
def test_a_gate_says_in_words_by_how_much_a_policy_has_to_be_better_or_may_be_worse(least, asked):
    assert next(each.asked for each in ruling(Gate(least_lift=least), told(), "learns").checks if each.rule == "lift") == asked
