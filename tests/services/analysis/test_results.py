"""What people read of what lanes found."""

from dataclasses import astuple

import pytest

from shared.domain.evaluation import INTERVALS, PolicySource, Window
from shared.evaluation.intervals import UNIT
from shared.services.analysis.lane import Contender, Lane
from shared.services.analysis.results import Found, optimal, parts, policy_results, report, warnings, with_series
from tests.services.analysis.logs import drawn
from tests.services.analysis.test_lane import GREEDY, lane, taken


@pytest.fixture(scope="module")
def valued() -> Lane:
    return taken(lane(GREEDY), [*drawn(1500, every=60.0), *drawn(300, seed=4, every=60.0, slot="top")])


@pytest.fixture(scope="module")
def found(valued):
    return parts([Found.of(valued)])


def test_each_policy_is_there_over_all_slots_and_slot_by_slot(found):
    results = policy_results(found)
    assert [(each.name, each.slot) for each in results] == [
        (name, slot) for name in ("online", "baseline1", "random", "greedy") for slot in ("", "top")
    ]
    assert [each.sums and each.sums.rounds for each in results[:2]] == [1800, 300]


def test_sums_are_those_that_the_older_versions_tell(valued, found):
    total = valued.sums[""].tally.series.total
    greedy = policy_results(found)[6].sums
    assert greedy
    assert (greedy.weighted_rewards, greedy.weights, greedy.weighted_squares) == (total.wr[3], total.w[3], total.wwrr[3])
    assert 0.3 < greedy.nonzero < 0.6


def test_every_window_and_interval_of_the_contract_has_its_time_series(found):
    result = with_series(policy_results(found)[6], found[6])
    assert result.estimate
    assert {(each.window, each.interval_minutes) for each in result.series} == {
        (window, minutes) for window, every in INTERVALS.items() for minutes in every
    }
    by_hour = next(each for each in result.series if each.interval_minutes == 60)
    assert (by_hour.window, len(by_hour.points)) == (Window.ROLLING, 25)
    expanding = next(each for each in result.series if each.window is Window.EXPANDING)
    assert len(expanding.points) == len(result.buckets)
    assert astuple(expanding.points[-1].estimate) == pytest.approx(astuple(result.estimate))
    assert sum(each.sums.rounds for each in result.buckets) == 1800
    assert {each.minutes for each in result.buckets} == {5}


def test_figures_never_leave_the_range_of_rewards_and_lie_in_their_interval(found):
    for result, part in zip(policy_results(found), found, strict=True):
        for each in with_series(result, part).buckets:
            assert 0.0 <= each.estimate.lower <= each.estimate.expected_reward <= each.estimate.upper <= 1.0


def test_a_few_rewards_alike_do_not_make_what_was_earned_certain(found):
    alike = [each for each in with_series(policy_results(found)[0], found[0]).buckets if each.estimate.expected_reward in (0.0, 1.0)]
    assert alike
    assert all(each.estimate.upper - each.estimate.lower > 0.3 for each in alike)


def test_the_optimal_policy_is_one_that_can_be_served(found):
    results = policy_results(found)
    assert optimal(results) == "greedy"
    assert optimal([each for each in results if each.source is not PolicySource.CUSTOM]) == "online"
    assert optimal(results[2:4]) == ""


def test_the_full_report_has_every_estimator_and_interval_and_says_how_far_to_trust_them(found):
    told = report(found[6])
    assert {*told.estimates} >= {"ips", "snips", "dm", "dr", "calibrated_dr", "sndr", "cressie_read", "mle", "switch_dr", "dr_os"}
    assert {*told.intervals} >= {"default", "cressie_read", "empirical_bernstein", "anytime"}
    assert all(lower < 0.75 for lower, _ in told.intervals.values())
    assert told.is_sound
    assert told.effective_rounds < told.rounds == 1800
    assert told.largest_weight <= told.largest_possible_weight


def test_sound_weights_are_not_warned_of_and_others_are():
    assert warnings(parts([Found.of(taken(lane(), drawn(2000)))])) == []
    wrong = taken(lane(), drawn(2000, probabilities=(0.4, 0.3, 0.3)))
    wrong.sums[""].tally.series.moments.w[1] *= 1.5
    (told,) = [each for each in warnings(parts([Found.of(wrong)])) if "of the baseline" in each]
    assert "may not be the true ones" in told


def test_a_policy_that_the_log_hardly_shows_is_warned_of():
    rare = taken(lane(), drawn(2000, probabilities=(0.4, 0.3, 0.3)))
    rare.sums[""].tally.series.moments.w[1] *= 0.2
    (told,) = [each for each in warnings(parts([Found.of(rare)])) if "of the baseline" in each]
    assert "shown too rarely" in told


def test_a_log_without_choices_is_warned_of():
    forced = parts([Found.of(taken(lane(), [*drawn(60, probabilities=(0.0, 1.0, 0.0)), *drawn(20)]))])
    assert any(each.startswith("In 75% of the rounds only one action") for each in warnings(forced))


def test_what_has_no_rounds_is_left_out():
    assert parts([Found((Contender("online", PolicySource.ONLINE),), {}, UNIT)]) == []
