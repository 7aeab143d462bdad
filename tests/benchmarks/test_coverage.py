"""How often printed intervals are wrong is counted on logs whose truth is known: the logs and the counting are right themselves."""

import numpy as np
import pytest

from benchmarks.coverage import Count, Held, Outcome, main, outcome, show
from benchmarks.coverage_worlds import WORLDS, draw
from shared.evaluation.importance import Loss


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_the_mean_reward_of_many_events_is_the_truth(world):
    log = draw(world, events=200_000, seed=1)
    assert log.rewards.mean() == pytest.approx(log.truths["shown"], abs=4.0 * log.rewards.std() / np.sqrt(200_000))
    assert set(np.unique(log.rewards)) <= {world.shift + world.scale * grade / world.grades for grade in range(world.grades + 1)}
    for name, policy in log.policies.items():
        assert (policy / log.logged).max() <= log.largest[name] + 1e-9


def test_a_prediction_uses_no_reward_of_its_own_block_or_of_later_ones():
    first, longer = (draw(WORLDS[0], events=events, seed=3) for events in (500, 500))
    assert (first.predictions[:250] == first.predictions[0]).all()
    assert (first.predictions[250:] != first.predictions[0]).any()
    assert (first.predictions == longer.predictions).all()


@pytest.mark.exhaustive  # `tests.evaluation.test_intervals` has a smaller one
def test_what_is_meant_to_hold_at_95_percent_does():
    held = {
        "default": Count(),
        "anytime": Count(),
        "feature's importance": Count(),
        "lift": Count(),
        "lift, any time": Count(),
        "live, any time": Count(),
    }
    for seed in range(6):
        for world in WORLDS:
            found = outcome(world, 600, seed, compared=False).held
            for (_, kind), one in found.items():
                if kind in held:
                    held[kind].add(one)
    assert {kind: each.share > 0.9 for kind, each in held.items()} == dict.fromkeys(held, True)


def test_a_difference_that_a_few_rounds_make_is_not_told_for_certain():
    nothing = np.zeros(1_000)
    few, many = nothing.copy(), nothing.copy()
    few[:3] = 10.0
    many[:300] = 0.1
    told = Loss.of_values(nothing, np.stack([-few, -many])).difference()
    assert told.lower[0] < 0.0 < told.upper[0]
    assert told.lower[1] > 0.0


def test_a_share_is_surely_too_low_only_with_enough_logs():
    few, many = Count(), Count()
    for number in range(400):
        one = Held(holds=number % 10 != 0, above=False, width=1.0)
        many.add(one)
        if number < 20:
            few.add(one)
    assert few.most > 0.95 > many.most


def test_what_is_valued_elsewhere_is_compared_on_the_logs_that_were(capsys):
    """A part of the logs beside all of them would tell of those logs, and not of the estimator."""
    ours = [Outcome("shop", 300, compared, {("better", "snips"): error}, {}) for compared, error in ((True, 0.1), (False, 0.2))]
    show([*ours, Outcome("shop", 300, compared=True, errors={("better", "obp snipw"): 0.1}, held={})])
    _, compared, whole = capsys.readouterr().out.split("Root mean square error")
    assert "| obp snipw | 1.00 | 1.00 |" in compared
    assert "obp" not in whole


def test_the_tables_are_printed(capsys):
    main(["--logs", "16", "--sizes", "300,400", "--processes", "1"])
    printed = capsys.readouterr().out
    assert "| anytime |" in printed
    assert "| bootstrap of dr |" in printed
    assert "| calibrated_dr |" in printed
