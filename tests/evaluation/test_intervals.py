"""Intervals hold what they say they hold, and behave as intervals do."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.evaluation import estimators, intervals
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.sequences import confidence_sequence
from tests.evaluation.building import at_looks, logs, played, random_choices, world

WORLD = world()
LARGEST = WORLD.largest_weight
LARGEST_OF_RANDOM = 60.0

INTERVALS: dict[str, Callable[..., intervals.Interval]] = {
    "gaussian": intervals.gaussian,
    "gaussian_snips": intervals.gaussian_snips,
    "gaussian_doubly_robust": intervals.gaussian_doubly_robust,
    "clopper_pearson": intervals.clopper_pearson,
    "cressie_read": intervals.cressie_read,
    "cressie_read, bounded": lambda moments, **named: intervals.cressie_read(moments, largest_weight=LARGEST_OF_RANDOM, **named),
    "empirical_bernstein": lambda moments, **named: intervals.empirical_bernstein(moments, largest_weight=LARGEST_OF_RANDOM, **named),
    "empirical_bernstein_doubly_robust": lambda moments, **named: intervals.empirical_bernstein_doubly_robust(
        moments, largest_weight=LARGEST_OF_RANDOM, **named
    ),
    "sequence": lambda moments, **named: confidence_sequence(moments, largest_weight=LARGEST_OF_RANDOM, **named),
}
POINTS = {
    "gaussian": estimators.ips,
    "gaussian_snips": estimators.snips,
    "gaussian_doubly_robust": estimators.doubly_robust,
    "clopper_pearson": lambda moments: np.clip(estimators.ips(moments), 0.0, 1.0),
    "cressie_read": lambda moments: np.clip(estimators.cressie_read(moments), 0.0, 1.0),
    "cressie_read, bounded": lambda moments: np.clip(estimators.cressie_read(moments, largest_weight=LARGEST_OF_RANDOM), 0.0, 1.0),
    "empirical_bernstein": estimators.ips,
    "empirical_bernstein_doubly_robust": estimators.doubly_robust,
    "sequence": lambda moments: np.clip(estimators.doubly_robust(moments), 0.0, 1.0),
}


@pytest.fixture(scope="module")
def simulated():
    return Moments.of(played(WORLD, logs=1000, rounds=2000, seed=11))


@pytest.mark.parametrize("name", INTERVALS)
def test_a_95_percent_interval_holds_the_truth_in_93_percent_of_logs_at_least(simulated, name):
    assert INTERVALS[name](simulated).covers(WORLD.truth).mean() >= 0.93


def test_the_interval_of_the_mean_weight_holds_1(simulated):
    assert intervals.mean_weight(simulated).covers(1.0).mean() >= 0.93


def test_most_intervals_are_not_much_too_wide(simulated):
    """They would hold the truth for nothing, otherwise."""
    narrowest = intervals.gaussian_doubly_robust(simulated).width.mean()
    assert intervals.gaussian_snips(simulated).width.mean() < 1.5 * narrowest
    assert intervals.cressie_read(simulated, largest_weight=LARGEST).width.mean() < 1.5 * narrowest
    assert confidence_sequence(simulated, largest_weight=LARGEST).width.mean() < 2.2 * narrowest


@pytest.mark.parametrize("name", INTERVALS)
@settings(max_examples=20, deadline=None)
@given(logs.filter(lambda log: len(log.chosen) > 2))
def test_the_estimate_lies_within(name, choices):
    moments, slack = Moments.of(choices.rounds), 1e-6
    interval, point = INTERVALS[name](moments), float(POINTS[name](moments))
    assert interval.lower - slack <= point <= interval.upper + slack


@pytest.mark.parametrize("name", INTERVALS)
@settings(max_examples=20, deadline=None)
@given(logs.filter(lambda log: len(log.chosen) > 2), st.floats(0.01, 0.3), st.floats(0.01, 0.3))
def test_a_smaller_alpha_gives_no_narrower_an_interval(name, choices, one, other):
    moments = Moments.of(choices.rounds)
    surer, bolder = INTERVALS[name](moments, alpha=min(one, other)), INTERVALS[name](moments, alpha=max(one, other))
    assert surer.lower <= bolder.lower + 1e-8
    assert bolder.upper <= surer.upper + 1e-8


@pytest.mark.parametrize("name", INTERVALS)
def test_more_rounds_narrow_the_interval(name):
    moments = at_looks(played(WORLD, logs=40, rounds=4000, seed=6), np.array([250, 1000, 4000]))
    widths = INTERVALS[name](moments).width.mean(axis=0)
    assert widths[2] < widths[1] < widths[0]
    assert widths[2] < 0.5 * widths[0]


@pytest.mark.parametrize("name", [name for name in INTERVALS if name not in ("gaussian_snips", "gaussian", "gaussian_doubly_robust")])
def test_rewards_of_another_range_move_the_interval_with_them(name):
    choices = random_choices(4, n=300)
    plain = INTERVALS[name](Moments.of(choices.rounds))
    bounds = intervals.Range(0.0, 3.0)
    scaled = Rounds.of_choices(
        chosen=choices.chosen,
        logged=choices.logged,
        target=choices.target,
        rewards=3.0 * choices.rewards,
        predictions=3.0 * choices.predictions,
    )
    moved = INTERVALS[name](Moments.of(scaled), rewards=bounds)
    np.testing.assert_allclose([moved.lower, moved.upper], [3.0 * plain.lower, 3.0 * plain.upper], atol=1e-6)


def test_rewards_beyond_the_range_widen_it():
    rounds = Rounds.of(logged=0.5, target=0.5, rewards=[-2.0, 4.0, 1.0, 1.0])
    assert [each.tolist() for each in intervals.UNIT.around(Moments.of(rounds))] == [-2.0, 4.0]
    assert intervals.cressie_read(Moments.of(rounds)).lower >= -2.0


@pytest.mark.parametrize("name", INTERVALS)
def test_no_rounds_tell_nothing(name):
    interval = INTERVALS[name](Moments.of(Rounds.of(logged=[], target=[], rewards=[])))
    assert np.isnan(interval.width) or interval.width == 1.0


@pytest.mark.parametrize("name", INTERVALS)
def test_one_round_tells_next_to_nothing(name):
    interval = INTERVALS[name](Moments.of(Rounds.of(logged=0.5, target=0.5, rewards=[1.0])))
    assert name == "gaussian_snips" or np.isnan(interval.width) or interval.width > 0.9
