import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.apprentice import LATEST, ApprenticeMetrics
from shared.domain.events import JoinedEvent, LearningMode, SkipReason
from tests.builders import apprentice, decision

DECISIONS = [apprentice(proposed=0), apprentice(proposed=1), apprentice(proposed=0, is_lesson=False), decision(), decision(chosen=1)]
events = st.lists(
    st.builds(
        JoinedEvent, decision=st.sampled_from(DECISIONS), reward=st.floats(-1, 1), skip=st.none() | st.just(SkipReason.NOT_ACTIVATED)
    ),
    max_size=30,
)


def figures(metrics: ApprenticeMetrics) -> tuple[int, int, float, float]:
    return len(metrics.rewards), sum(metrics.imitated), metrics.sum_of_rewards, metrics.sum_of_imitated_rewards


@given(events)
def test_the_figures_are_of_what_was_learned_in_apprentice_mode(joined):
    mine = [each for each in joined if each.skip is None and each.decision.mode is LearningMode.APPRENTICE]
    imitated = [each for each in mine if each.decision.proposal.action == each.decision.chosen]
    sums = [math.fsum(each.reward for each in some) for some in (mine, imitated)]
    assert figures(ApprenticeMetrics().after(joined)) == (len(mine), len(imitated), *sums)


@given(events, events)
def test_they_do_not_depend_on_how_the_log_is_cut_into_windows(earlier, later):
    assert ApprenticeMetrics().after(earlier).after(later) == ApprenticeMetrics().after([*earlier, *later])


@pytest.mark.parametrize("size", [1, 7, LATEST, 3 * LATEST])
def test_the_oldest_leave_when_there_are_more_than_a_thousand(size):
    joined = [JoinedEvent(apprentice(proposed=n % 2), n / LATEST) for n in range(2 * LATEST + 500)]
    metrics = ApprenticeMetrics()
    for first in range(0, len(joined), size):
        metrics = metrics.after(joined[first : first + size])
    assert metrics.rewards == tuple([each.reward for each in joined[-LATEST:]])
    assert metrics.imitated == (True, False) * (LATEST // 2)


def test_what_else_the_policy_proposed_counts_nothing_as_it_is_not_known():
    rewards = [(1.0, 0), (0.5, 1), (-0.5, 0), (1.0, 1)]
    metrics = ApprenticeMetrics().after([JoinedEvent(apprentice(proposed=proposed), reward) for reward, proposed in rewards])
    assert (metrics.baseline_average_reward, metrics.personalizer_average_reward) == (0.5, 0.125)
    assert metrics.achievement_ratio == 0.25


@pytest.mark.parametrize("reward", [0.0, -1.0])
def test_nothing_can_be_achieved_of_a_baseline_that_earns_nothing(reward):
    assert ApprenticeMetrics().after([JoinedEvent(apprentice(), reward)]).achievement_ratio is None


def test_without_events_the_figures_are_zero():
    none = ApprenticeMetrics()
    assert (none.baseline_average_reward, none.personalizer_average_reward, none.achievement_ratio) == (0.0, 0.0, None)
