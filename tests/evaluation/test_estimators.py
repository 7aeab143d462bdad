"""What must be true of estimates whatever the log."""

import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.coverage_worlds import WORLDS, draw
from shared.domain.errors import UnreadableError
from shared.evaluation.estimators import fitted_doubly_robust
from shared.evaluation.health import WeightHealth
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.tally import Tally, closed_forms
from tests.evaluation.building import clear_world, logs, played, random_choices, seeds, world


def estimates(rounds: Rounds, **named) -> dict[str, float]:
    tally = Tally.of(rounds, np.zeros(len(rounds), dtype=np.int64))
    return {name: float(value) for name, value in tally.estimates(**named).items()}


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_the_value_of_the_logging_policy_is_the_mean_reward(seed):
    choices = random_choices(seed, n=50)
    rounds = Rounds.of(logged=choices.mu, target=choices.mu, rewards=choices.rewards)
    for name, value in estimates(rounds).items():
        if name not in ("dm", "dr_os"):  # one trusts predictions, the other shrinks weights of 1 as well
            assert value == pytest.approx(choices.rewards.mean(), abs=1e-9), name


@settings(max_examples=60, deadline=None)
@given(logs)
def test_with_perfect_predictions_all_that_use_them_agree(choices):
    n = len(choices.chosen)
    rounds = Rounds.of_choices(
        chosen=choices.chosen,
        logged=choices.logged,
        target=choices.target,
        rewards=choices.predictions[np.arange(n), choices.chosen],
        predictions=choices.predictions,
    )
    found = estimates(rounds)
    for name in ("dr", "sndr", "clipped_dr", "switch_dr", "dr_os"):
        assert found[name] == pytest.approx(found["dm"], abs=1e-9), name


@settings(max_examples=60, deadline=None)
@given(logs)
def test_adding_to_all_rewards_adds_to_what_is_normalised(choices):
    columns = {"logged": choices.mu, "target": choices.pi}
    before = estimates(Rounds.of(rewards=choices.rewards, **columns))
    after = estimates(Rounds.of(rewards=choices.rewards + 1.0, **columns))
    tolerances = {"snips": 1e-9, "cressie_read": 1e-9, "mle": 2e-3, "calibrated_dr": 1e-4}
    for name, tolerance in tolerances.items():
        if name != "calibrated_dr" or len(choices.chosen) > 2:
            assert after[name] == pytest.approx(before[name] + 1.0, abs=tolerance), name


def test_doubly_robust_is_unbiased_whatever_is_predicted():
    chosen = world()
    for misled in (False, True):
        moments = Moments.of(played(chosen, logs=400, rounds=500, seed=2, misled=misled))
        errors = moments.d / moments.rounds - chosen.truth
        assert abs(errors.mean()) < 4.0 * errors.std() / np.sqrt(len(errors))


def test_calibration_is_no_noisier_than_snips_or_doubly_robust():
    for misled in (False, True):
        for chosen in (world(), clear_world(pleased=4)):
            found = closed_forms(Moments.of(played(chosen, logs=400, rounds=2000, seed=2, misled=misled)))
            errors = {name: float(np.sqrt(np.mean((found[name] - chosen.truth) ** 2))) for name in ("calibrated_dr", "snips", "dr")}
            assert errors["calibrated_dr"] < 1.02 * min(errors["snips"], errors["dr"])


def test_calibration_is_the_regression_on_what_is_known_to_be_0():
    rounds = random_choices(5, n=400).rounds
    known = np.stack([rounds.weights - 1.0, rounds.weights * rounds.predicted - rounds.expected, np.ones(400)], axis=-1)
    coefficients = np.linalg.lstsq(known, rounds.weights * rounds.rewards, rcond=None)[0]
    assert float(fitted_doubly_robust(Moments.of(rounds))) == pytest.approx(coefficients[2], abs=1e-5)


@pytest.mark.parametrize("predicted", [0.0, 0.3], ids=["no predictions", "the same for all"])
def test_calibration_does_without_useful_predictions(predicted):
    choices = random_choices(6, n=400)
    rounds = Rounds.of(logged=choices.mu, target=choices.pi, rewards=choices.rewards, predicted=predicted, expected=predicted)
    found = closed_forms(Moments.of(rounds))
    assert float(found["calibrated_dr"]) == pytest.approx(float(found["snips"]), abs=0.02)


@pytest.mark.parametrize("events", [300, 1_000])
def test_calibration_follows_no_chance_where_few_rounds_tell_of_the_policy(events):
    rare = next(each for each in WORLDS if each.name == "rare")
    squares: dict[str, list[float]] = {"calibrated_dr": [], "cressie_read": [], "fitted": []}
    for seed in range(60):
        log = draw(rare, events=events, seed=seed)
        moments = Moments.of(log.rounds("baseline"))
        found = {**closed_forms(moments, largest_weight=log.largest["baseline"]), "fitted": fitted_doubly_robust(moments)}
        for name, of_logs in squares.items():
            of_logs.append((float(found[name]) - log.truths["baseline"]) ** 2)
    error = {name: float(np.sqrt(np.mean(of_logs))) for name, of_logs in squares.items()}
    assert error["calibrated_dr"] < 1.2 * error["cressie_read"]
    assert error["calibrated_dr"] < 0.9 * error["fitted"]


def test_nothing_is_known_of_no_rounds():
    for name, value in estimates(Rounds.of(logged=[], target=[], rewards=[])).items():
        assert np.isnan(value), name


def test_a_policy_that_could_have_done_none_of_it_has_no_self_normalised_value():
    found = estimates(Rounds.of(logged=0.5, target=0.0, rewards=[1.0, 0.0]))
    assert (found["ips"], np.isnan(found["snips"])) == (0.0, True)


@pytest.mark.parametrize(
    "columns",
    [
        {"logged": [0.5, 0.0]},
        {"logged": [0.5, 1.5]},
        {"logged": [0.5, np.nan]},
        {"target": [0.5, -0.1]},
        {"target": [0.5, np.inf]},
        {"rewards": [0.5, np.nan]},
        {"predicted": [0.5, np.inf]},
        {"rewards": [0.5, 0.5, 0.5]},
    ],
    ids=str,
)
def test_what_is_no_log_is_refused(columns):
    with pytest.raises(UnreadableError):
        Rounds.of(**{"logged": [0.5, 0.5], "target": [0.5, 0.5], "rewards": [0.0, 1.0], **columns})


def test_an_action_that_was_not_there_cannot_have_been_chosen():
    with pytest.raises(UnreadableError):
        Rounds.of_choices(chosen=[2], logged=[[0.5, 0.5]], target=[[0.5, 0.5]], rewards=[1.0])


def test_weights_tell_how_far_the_log_can_be_trusted():
    rounds = Rounds.of_choices(
        chosen=[0, 0, 1, 0],
        logged=[[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.8, 0.2, 0.0]],
        target=[[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.8, 0.2, 0.0]],
        rewards=[1.0, 1.0, 0.0, 0.0],
    )
    health = WeightHealth.of(Moments.of(rounds))
    assert [float(each) for each in (health.mean, health.largest, health.possible)] == pytest.approx([3.5 / 4, 2.0, 3.0])
    assert float(health.effective_rounds) == pytest.approx(3.5**2 / 5.25)
    assert (float(health.uncovered), float(health.unsupported)) == pytest.approx((1.0, 0.5 / 4))
    assert bool(health.is_sound)


def test_false_probabilities_show_in_the_mean_weight():
    rng = np.random.default_rng(0)
    agrees = rng.random(2000) < 0.5
    health = WeightHealth.of(Moments.of(Rounds.of(logged=0.25, target=agrees * 1.0, rewards=1.0)))
    assert not health.is_sound
