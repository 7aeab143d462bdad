"""A feature is worth what is lost without it."""

import numpy as np
import pytest

from shared.evaluation.importance import Importance, Loss, groups, importances
from shared.evaluation.rounds import Rounds


def compared(features, *, rounds=4000, seed=0, value=0.6):
    """Give what is lost without each feature, by name, in the mean: rewards of value - loss, noisy."""
    rng = np.random.default_rng(seed)
    rewards = (rng.random(rounds) < value) * 1.0
    whole = Rounds.of(logged=0.5, target=0.5, rewards=rewards)
    lost = np.array(list(features.values()))[:, None] / value
    fails = rng.random((len(features), rounds)) < lost
    without = Rounds.of(logged=0.5, target=np.where(fails, 0.0, 0.5), rewards=rewards)
    return importances(list(features), Loss.of(whole, without))


def test_the_score_is_the_part_of_the_value_that_is_lost():
    ranked = compared({"idle": 0.0, "some": 0.06, "much": 0.3})
    assert [each.feature for each in ranked] == ["much", "some", "idle"]
    assert [each.score for each in ranked] == pytest.approx([0.5, 0.1, 0.0], abs=0.02)
    for each in ranked:
        assert 0.0 <= each.lower <= each.score <= each.upper <= 1.0


def test_the_interval_holds_the_truth():
    found = [compared({"some": 0.06}, rounds=1000, seed=seed)[0] for seed in range(300)]
    assert np.mean([each.lower <= 0.1 <= each.upper for each in found]) >= 0.93


def test_a_feature_that_only_harms_is_worth_nothing():
    whole = Rounds.of(logged=0.5, target=0.25, rewards=np.ones(50))
    better = Rounds.of(logged=0.5, target=[[0.5]], rewards=np.ones(50))
    assert importances(["harmful"], Loss.of(whole, better)) == [Importance("harmful", 0.0, 0.0, 0.0)]


def test_what_is_worth_nothing_cannot_lose_anything():
    nothing = Rounds.of(logged=0.5, target=0.5, rewards=np.zeros(50))
    assert importances(["any"], Loss.of(nothing, Rounds.of(logged=0.5, target=[[0.5]], rewards=np.zeros(50))))[0].score == 0.0


def test_features_that_cannot_be_told_apart_are_in_one_group():
    ranked = compared({"a": 0.3, "b": 0.3, "c": 0.1, "d": 0.0, "e": 0.0})
    assert [sorted(group) for group in groups(ranked)] == [["a", "b"], ["c"], ["d", "e"]]


def test_no_features_make_no_groups():
    assert groups([]) == []
