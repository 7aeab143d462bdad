"""Rounds that stand for others which chance left out of the log: as if those were there, with the noise that the leaving out adds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evaluation import intervals
from shared.evaluation.importance import Loss
from shared.evaluation.likelihood import WeightTable
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.sequences import confidence_sequence
from shared.evaluation.series import Series
from shared.evaluation.shrinking import FAMILIES, Candidates
from shared.evaluation.tally import Tally, closed_forms
from tests.evaluation.building import OBP_6

MEANS = ("ips", "snips", "dm", "dr", "sndr")
"""Estimators that are means, or quotients of some: repeated rounds change them as counted ones do."""


def counted(rounds: Rounds, counts: np.ndarray) -> Rounds:
    return replace(rounds, counts=counts.astype(float))


def simulated(seed: int, rounds: int = 2_000) -> tuple[Rounds, Rounds]:
    """Give a log and what is left of it when four of five rounds without a reward are left out by chance."""
    rng = np.random.default_rng(seed)
    logged = rng.choice([0.2, 0.5, 0.8], rounds)
    target = rng.choice([0.1, 0.9], rounds)
    is_chosen = rng.random(rounds) < logged
    logged, target = np.where(is_chosen, logged, 1 - logged), np.where(is_chosen, target, 1 - target)
    rewards = (rng.random(rounds) < np.where(is_chosen, 0.6, 0.2)).astype(float)
    whole = Rounds.of(logged=logged, target=target, rewards=rewards, predicted=0.4, expected=0.4)
    pdrop = np.where(rewards > 0.0, 0.0, 0.8)
    kept = rng.random(rounds) >= pdrop
    return whole, counted(whole.cut(kept), 1.0 / (1.0 - pdrop[kept]))


@given(st.lists(st.integers(1, 5), min_size=6, max_size=6))
def test_means_are_those_of_rounds_that_came_as_often(counts):
    repeated = OBP_6.cut(np.repeat(np.arange(6), counts))
    weighed = counted(OBP_6, np.array(counts))
    mine, theirs = closed_forms(Moments.of(weighed)), closed_forms(Moments.of(repeated))
    for name in MEANS:
        assert mine[name] == pytest.approx(theirs[name]), name
    assert WeightTable.of(weighed).value() == pytest.approx(WeightTable.of(repeated).value())
    for family in FAMILIES.values():
        assert Candidates.of(weighed, family).estimates == pytest.approx(Candidates.of(repeated, family).estimates)


def test_what_was_served_is_valued_at_the_mean_of_all_that_the_rounds_stand_for():
    """Reward 1 beside nine that were left out, and reward 0 beside none: 10 of 11."""
    served = counted(Rounds.of(logged=[0.5, 0.5], target=[0.5, 0.5], rewards=[1.0, 0.0]), np.array([10.0, 1.0]))
    estimates = Tally.of(served, np.zeros(2, dtype=np.int64)).estimates()
    for name in ("ips", "snips", "dr", "sndr", "calibrated_dr", "mle", "clipped_ips"):
        assert estimates[name] == pytest.approx(10 / 11), name
    moments = Moments.of(served)
    assert [float(moments.rounds), float(moments.largest_weight)] == [pytest.approx(11.0), 10.0]


def test_counts_of_1_change_nothing():
    ones = counted(OBP_6, np.ones(6))
    assert Moments.of(ones).plain() == Moments.of(OBP_6).plain()
    assert WeightTable.of(ones).plain() == WeightTable.of(OBP_6).plain()


def test_shards_and_buckets_merge_as_ever():
    _, thinned = simulated(1, 300)
    minutes = np.arange(len(thinned), dtype=np.int64)[::-1].copy()
    series = Series.of(thinned, minutes)
    whole = Moments.of(thinned)
    halves = Moments.of(thinned.cut(slice(0, 50))) + Moments.of(thinned.cut(slice(50, None)))
    for name in whole.plain():
        assert getattr(series.total, name) == pytest.approx(getattr(whole, name)), name
        assert getattr(halves, name) == pytest.approx(getattr(whole, name)), name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thinned_log_tells_what_the_whole_one_does_and_without_counts_it_would_not(seed):
    whole, thinned = simulated(seed, 20_000)
    expected = closed_forms(Moments.of(whole), largest_weight=9.0)
    told = closed_forms(Moments.of(thinned), largest_weight=45.0)
    untold = closed_forms(Moments.of(replace(thinned, counts=None)), largest_weight=9.0)
    for name in expected.keys() - {"dm"}:
        assert told[name] == pytest.approx(expected[name], abs=0.03), name
        assert untold[name] > expected[name] + 0.2, name


def test_intervals_hold_on_thinned_logs_and_are_wider():
    truth = float(closed_forms(Moments.of(simulated(20, 200_000)[0]))["ips"])
    held = {"cressie_read": 0, "empirical_bernstein": 0, "gaussian_dr": 0, "gaussian_snips": 0, "anytime": 0}
    for seed in range(100, 160):
        whole, thinned = (Moments.of(each) for each in simulated(seed, 1_000))
        found = {
            "cressie_read": intervals.cressie_read(thinned, largest_weight=45.0),
            "empirical_bernstein": intervals.empirical_bernstein(thinned, largest_weight=45.0),
            "gaussian_dr": intervals.gaussian_doubly_robust(thinned),
            "gaussian_snips": intervals.gaussian_snips(thinned),
            "anytime": confidence_sequence(thinned, largest_weight=45.0),
        }
        assert found["gaussian_dr"].width > intervals.gaussian_doubly_robust(whole).width
        for name, interval in found.items():
            held[name] += bool(interval.covers(truth))
    assert min(held.values()) >= 54, held


def test_the_importance_of_a_feature_is_that_of_rounds_that_came_as_often():
    whole, without, counts = np.array([1.0, 0.0, 0.5]), np.array([[0.5, 0.0, 0.5]]), np.array([4, 1, 2])
    often = np.repeat(np.arange(3), counts)
    weighed = Loss.of_values(whole * counts, without * counts)
    repeated = Loss.of_values(whole[often], without[:, often])
    assert weighed.lost / weighed.whole == pytest.approx(repeated.lost / repeated.whole)
