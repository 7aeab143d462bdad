"""What an evaluation comes to, in one sentence: sure only where intervals part, and the present policy apart from what was shown."""

import re
from datetime import timedelta
from functools import cache

import pytest

from shared.domain.evaluation import PRESENT, PolicySource
from shared.domain.loop import LearningPolicy
from shared.services.analysis.judging import judged
from shared.services.analysis.lane import Contender, Lane, contenders, lineups, take_together
from shared.services.analysis.lifting import reports
from shared.services.analysis.results import Found, Part, optimal, parts, policy_results
from shared.services.analysis.titles import title_of
from tests.builders import T0
from tests.services.analysis.logs import drawn

LEARNS = LearningPolicy("learns", "--cb_explore_adf --first 1")
BLIND = LearningPolicy("blind", "--cb_explore_adf --first 1 --ignore u")
TWIN = LearningPolicy("twin", "--cb_explore_adf --first 1 --ignore n")


def gone_over(own: LearningPolicy, *others: LearningPolicy, events: int, has_present: bool = True) -> list[Lane]:
    lanes = [Lane(each) for each in lineups(contenders(own, others, has_present=has_present), exploration_percentage=0.2)]
    made = drawn(events)
    at_once = max(100, events // 10)
    for first in range(0, events, at_once):
        take_together(lanes, made[first : first + at_once])
    return lanes


@cache
def compared(own: LearningPolicy, *others: LearningPolicy, events: int = 1_500, has_present: bool = True) -> list[Part]:
    return parts([Found.of(lane) for lane in gone_over(own, *others, events=events, has_present=has_present)])


def test_another_that_surely_earns_more_is_named_with_how_much():
    verdict = judged(compared(BLIND, LEARNS))
    assert re.fullmatch(r"“learns” earns more than the present policy by 0\.[23]\d\d an event, sure at 95 %\.", verdict.sentence)
    assert (verdict.policy, verdict.more_events) == ("learns", 0)


def test_the_present_policy_is_kept_where_it_surely_earns_most():
    verdict = judged(compared(LEARNS, BLIND))
    assert verdict.sentence == "Keep the present policy: it earns more than all others, sure at 95 %."
    assert verdict.policy == ""


def test_what_is_not_known_yet_is_said_with_how_many_more_events_it_takes():
    verdict = judged(compared(BLIND, LEARNS, events=120))
    assert verdict.sentence.startswith("Not known yet whether “learns” earns more than the present policy (0.")
    assert verdict.sentence.endswith(f"it takes about {verdict.more_events:,} more events.")
    assert 10 <= verdict.more_events <= 12_000
    assert judged(compared(BLIND, LEARNS, events=120 + verdict.more_events)).policy == "learns"


def test_a_difference_that_is_hardly_there_is_nothing_to_wait_for():
    verdict = judged(compared(LEARNS, TWIN))
    assert verdict.sentence.startswith("Keep the present policy: ")
    assert (verdict.policy, verdict.more_events) == ("", 0)


def test_what_was_shown_is_not_the_present_policy():
    """As in a log that others have shown well, and that this loop's policy would have shown badly."""
    found = compared(BLIND, LEARNS)
    values = {each.contender.name: each.estimate().expected_reward for each in found}
    assert values[PRESENT] != pytest.approx(values["online"], abs=0.005)
    assert optimal(policy_results(found)) == "learns"
    assert optimal(policy_results([each for each in found if each.contender.name != "learns"])) == PRESENT
    lifts = {each.name: each.lift for each in reports(found)}
    assert lifts[PRESENT] is None
    assert lifts["learns"] == pytest.approx(values["learns"] - values[PRESENT], abs=0.001)


def test_without_any_other_policy_the_present_one_is_compared_with_the_baseline():
    assert re.fullmatch(
        r"The present policy earns more than the baseline by 0\.\d{3} an event, sure at 95 %\.", judged(compared(LEARNS)).sentence
    )
    assert judged(compared(LEARNS, LearningPolicy("same", LEARNS.arguments))).sentence == judged(compared(LEARNS)).sentence


def test_of_files_without_a_loop_others_are_compared_with_what_was_shown():
    sentence = judged(compared(LearningPolicy(), LEARNS, has_present=False)).sentence
    assert sentence.startswith("“learns” earns more than what was shown by 0.")


def test_where_nothing_was_left_to_chance_that_is_said():
    assert "left to chance" in judged([]).sentence


@pytest.mark.parametrize(
    ("free", "said"), [(0, "no decision of this range was left to chance"), (4, "fewer than 1 % of the decisions"), (200, "")]
)
@pytest.mark.parametrize("has_present", [True, False])
def test_a_log_that_always_showed_the_same_action_tells_no_policies_apart(free, said, has_present):
    """As that of Apprentice mode, or without any exploration: each policy has the figure of what was shown."""
    events = [*drawn(600 - free, probabilities=(1.0, 0.0, 0.0)), *drawn(free, seed=2, first=T0 + timedelta(days=1))]
    lanes = [Lane(each) for each in lineups(contenders(BLIND, [LEARNS], has_present=has_present), exploration_percentage=0.2)]
    for first in range(0, len(events), 100):
        take_together(lanes, events[first : first + 100])
    verdict = judged(parts([Found.of(lane) for lane in lanes]))
    assert said in verdict.sentence
    assert bool(said) == verdict.sentence.startswith("Keep the present policy: ")


def test_probabilities_that_may_not_be_true_make_nothing_sure():
    lanes = gone_over(BLIND, LEARNS, events=3_000)
    (lane,) = [each for each in lanes if each.lineup.contenders[-1].name == "learns"]
    lane.sums[""].tally.series.moments.w[-1] *= 1.15
    verdict = judged(parts([Found.of(each) for each in lanes]))
    assert (verdict.policy, "Not known whether “learns”" in verdict.sentence) == ("", True)


@pytest.mark.parametrize(
    ("name", "arguments", "title"),
    [
        ("Hyper1", "--cb_explore_adf", "found: explores as this service does by itself"),
        ("Hyper2", "--cb_explore_adf --epsilon 0.1 --ignore u", "found: explores by epsilon-greedy (epsilon 0.1)"),
        ("Hyper1", "--cb_explore_adf --squarecb --gamma_scale 10 --epsilon 0.02", "found: explores by SquareCB (gamma scale 10)"),
        ("Hyper1", "--ccb_explore_adf --cover 5 --psi 0.1 --epsilon 0.02", "found: explores by cover (5 models)"),
        ("Hyper1", "--cb_explore_adf --regcb --epsilon 0.02", "found: explores by RegCB"),
        ("Inter-len1", "--cb_explore_adf --ignore u", "found: learns without namespaces that begin with 'u'"),
        ("Inter-len2", "--cb_explore_adf", "found: learns from all features and crosses"),
        (
            "Inter-len2",
            "--cb_explore_adf --interactions ui",
            "found: learns with no cross but that of namespaces that begin with 'u' and action ids",
        ),
    ],
)
def test_what_a_search_has_found_is_called_by_what_it_does(name, arguments, title):
    assert title_of(Contender(name, PolicySource.OFFLINE_EXPERIMENTATION, arguments)) == title
