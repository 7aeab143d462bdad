"""A confidence sequence may be looked at as often as one likes; the price is moderate."""

from importlib import import_module
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings

from shared.evaluation.intervals import Range, gaussian, gaussian_doubly_robust
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.sequences import (
    _SHARES_OF_STAKES,
    BLIND_SHARES,
    SHARES,
    confidence_sequence,
    confidence_sequence_by_constants,
    moved,
)
from shared.evaluation.special import normal_quantile
from tests.evaluation.building import at_looks, clear_world, logs, played, world

LOOKS = np.unique(np.geomspace(20, 3000, 40).astype(np.int64))
WORLDS = {
    "middling": world(),
    "clear": clear_world(pleased=4),
    "hardly any rewards": world(low=0.0, high=0.02),
    "rare large weights": world(actions=10, exploration=0.1),
}


def chance_of_at_least(count: int, runs: int, chance: float) -> float:
    """Give the binomial distribution's upper tail."""
    return sum(comb(runs, each) * chance**each * (1 - chance) ** (runs - each) for each in range(count, runs + 1))


def wrong_somewhere(interval, truth):
    return int((~interval.covers(truth)).any(axis=-1).sum())


@pytest.mark.parametrize("misled", [False, True], ids=["good predictions", "misleading predictions"])
@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.sweep(keep=3)
def test_it_is_wrong_at_any_of_40_looks_in_5_percent_of_logs_at_most(name, misled):
    assert len(LOOKS) == 40
    chosen, runs = WORLDS[name], 100
    moments = at_looks(played(chosen, logs=runs, rounds=int(LOOKS[-1]), seed=5, misled=misled), LOOKS)
    wrong = wrong_somewhere(confidence_sequence(moments, largest_weight=chosen.largest_weight), chosen.truth)
    assert wrong <= 0.05 * runs
    assert chance_of_at_least(wrong, runs, 0.05) > 0.5


@pytest.mark.parametrize("name", ["middling", "rare large weights"])
def test_without_predictions_and_with_half_the_stakes_on_the_bound_it_holds_as_well_for_losses_too(name):
    chosen, runs = WORLDS[name], 100
    many = played(chosen, logs=runs, rounds=int(LOOKS[-1]), seed=5)
    none = 0.0 * many.predicted
    moments = at_looks(Rounds(many.weights, 2.0 * many.rewards - 1.0, none, none, many.unsupported), LOOKS)
    half, bound = (np.full(moments.rounds.shape, each) for each in (0.5, chosen.largest_weight))
    found = confidence_sequence_by_constants(moments, largest_weight=bound, belief=half, rewards=Range(-1.0, 1.0))
    assert wrong_somewhere(found, 2.0 * chosen.truth - 1.0) <= 0.05 * runs
    assert found.width[..., -1].mean() < 1.8


def test_a_gaussian_band_is_wrong_at_some_of_the_same_looks_much_more_often():
    chosen, runs = WORLDS["middling"], 400
    moments = at_looks(played(chosen, logs=runs, rounds=int(LOOKS[-1]), seed=5), LOOKS)
    wrong = wrong_somewhere(gaussian(moments), chosen.truth)
    assert chance_of_at_least(wrong, runs, 0.05) < 1e-9


@pytest.mark.parametrize(("rounds", "pleased"), [(1000, 8), (4000, 8), (4000, 4)])
def test_it_is_half_as_wide_as_vws_at_most_where_rewards_can_be_predicted(rounds, pleased):
    ours, theirs = both_widths(clear_world(pleased=pleased), rounds)
    assert ours <= 0.5 * theirs


def test_it_is_narrower_than_vws_where_rewards_can_hardly_be_predicted():
    ours, theirs = both_widths(world(), 4000)
    assert ours < 0.85 * theirs


def both_widths(chosen, rounds, logs=3):
    """Give our mean width and that of VowpalWabbit/estimators on the same logs."""
    many = played(chosen, logs=logs, rounds=rounds, seed=8)
    ours = confidence_sequence(Moments.of(many), largest_weight=chosen.largest_weight).width.mean()
    theirs = []
    for w, r in zip(many.weights.tolist(), many.rewards.tolist(), strict=True):
        sequence = import_module("estimators.bandits.cs").Interval()
        for weight, reward in zip(w, r, strict=True):
            sequence.add_example(1.0, reward, weight)
        low, high = sequence.get(0.05)
        theirs.append(high - low)
    return ours, np.mean(theirs)


def test_predictions_narrow_it():
    chosen = clear_world(pleased=4)
    many = played(chosen, logs=20, rounds=2000, seed=8)
    without = Rounds(many.weights, many.rewards, 0.0 * many.predicted, 0.0 * many.expected, many.unsupported)
    with_, plain = (confidence_sequence(Moments.of(each), largest_weight=chosen.largest_weight).width.mean() for each in (many, without))
    assert with_ < 0.75 * plain


def test_its_price_against_a_single_look_is_less_than_twice_the_width():
    chosen = clear_world()
    moments = Moments.of(played(chosen, logs=20, rounds=4000, seed=8))
    sequence = confidence_sequence(moments, largest_weight=chosen.largest_weight).width.mean()
    assert 1.0 < sequence / gaussian_doubly_robust(moments).width.mean() < 2.1


@settings(max_examples=30, deadline=None)
@given(logs)
def test_a_mirrored_log_has_the_mirrored_interval(choices):
    mirrored = Rounds.of_choices(
        chosen=choices.chosen,
        logged=choices.logged,
        target=choices.target,
        rewards=1.0 - choices.rewards,
        predictions=1.0 - choices.predictions,
    )
    ours, theirs = (confidence_sequence(Moments.of(each), largest_weight=60.0) for each in (choices.rounds, mirrored))
    np.testing.assert_allclose([theirs.lower, theirs.upper], [1.0 - ours.upper, 1.0 - ours.lower], atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(logs)
def test_a_range_moves_it_as_a_whole(choices):
    shifted = Rounds.of_choices(
        chosen=choices.chosen,
        logged=choices.logged,
        target=choices.target,
        rewards=2.0 * choices.rewards - 1.0,
        predictions=2.0 * choices.predictions - 1.0,
    )
    plain = confidence_sequence(Moments.of(choices.rounds), largest_weight=60.0)
    ours = confidence_sequence(Moments.of(shifted), largest_weight=60.0, rewards=Range(-1.0, 1.0))
    np.testing.assert_allclose([ours.lower, ours.upper], [2.0 * plain.lower - 1.0, 2.0 * plain.upper - 1.0], atol=1e-6)


def test_the_bettors_share_one_stake():
    assert SHARES.sum() == pytest.approx(1.0)
    assert BLIND_SHARES.sum() == pytest.approx(1.0)
    assert _SHARES_OF_STAKES.sum() == pytest.approx(1.0)


def test_sums_of_moved_values_are_the_moved_values_sums():
    values = np.random.default_rng(0).normal(size=50)
    sums = [np.array((values**degree).sum()) for degree in range(5)]
    expected = [((values - 0.7) ** degree).sum() for degree in range(5)]
    np.testing.assert_allclose(moved(sums, np.array(0.7)), expected, rtol=1e-12, atol=1e-10)


def test_a_million_rounds_pin_the_mean_down():
    """The sums of fourth powers are still precise."""
    rng = np.random.default_rng(1)
    weights = np.where(rng.random(1_000_000) < 0.02, 50.0, 0.0)
    rounds = Rounds.of(logged=0.02, target=weights / 50.0, rewards=(rng.random(1_000_000) < 0.3) * 1.0, predicted=0.3, expected=0.3)
    interval = confidence_sequence(Moments.of(rounds), largest_weight=50.0)
    assert interval.covers(0.3)
    assert interval.width < 2.0 * 2.0 * normal_quantile(0.975) * np.sqrt(0.21 * 50.0 / 1_000_000)
