"""An event that stands for several counts as if it had come as often; what stands for itself is learned, and written, as before."""

from dataclasses import replace

import numpy as np
import pytest

from shared.domain.errors import UnreadableError
from shared.learning import artifact
from shared.learning.averaging import Losses
from shared.learning.encoding import Batch, Encoder, to_batch
from shared.learning.learner import WINDOW, Learner
from shared.learning.local_ridge import SIZE, LocalRidge
from shared.learning.model import MEMBERS
from shared.learning.shared_ridge import DRAWS, STEADY, SharedRidge
from tests.learning.building import situation
from tests.learning.test_crosses import dense
from tests.learning.test_shared_ridge import closed_form, random_crosses

COUNTS = np.array([1.0, 3.0, 1.0, 10.0, 2.0])


def batch(count: int, counts: list[float] | None = None) -> Batch:
    encoded = Encoder().encode(situation({"c": {"x": 1}}, [{"y": 1}])).logged(0)
    return to_batch([encoded] * count, rewards=[float(n % 2) for n in range(count)], probabilities=[0.5] * count, counts=counts)


def test_the_shared_part_is_the_ridge_regression_of_events_that_came_as_often():
    crosses, rewards = random_crosses(1, 5), np.array([1.0, 0.0, 0.5, -1.0, 0.25])
    ridge = SharedRidge()
    ridge.meet(crosses)
    for _ in range(30):
        ridge.solve(crosses, rewards, np.zeros((5, DRAWS)), COUNTS)
    present = np.unique(crosses.cells)
    matrix = np.repeat(dense(crosses, 30)[:, present], COUNTS.astype(int), axis=0)
    expected = closed_form(matrix, np.repeat(rewards, COUNTS.astype(int)), ridge.precision)
    assert ridge.weights[present, STEADY] == pytest.approx(expected, abs=1e-4)


def test_a_draw_is_as_narrow_as_after_so_many_events():
    """The noise of an event that counts four times is that of the mean of four."""
    crosses, noise = random_crosses(1, 5), np.random.default_rng(2).normal(size=(5, DRAWS))
    solved = []
    for counts, scaled in ((np.full(5, 4.0), noise), (np.full(5, 4.0), noise * 0.5)):
        ridge = SharedRidge()
        ridge.meet(crosses)
        ridge.solve(crosses, np.zeros(5), scaled, counts)
        solved.append(ridge.weights[np.unique(crosses.cells), 2:])
    assert not np.allclose(solved[0], solved[1])
    doubled = SharedRidge()
    twice = crosses.joined(crosses)
    doubled.meet(crosses)
    doubled.solve(twice.joined(twice), np.zeros(20), np.concatenate([noise * 0.5] * 4))
    assert doubled.weights[np.unique(crosses.cells), 2:] == pytest.approx(solved[0], abs=1e-5)


def test_what_leaves_the_window_is_known_as_surely_as_after_so_many_events():
    crosses = random_crosses(1, 2)
    once, often = SharedRidge(), SharedRidge()
    once.settle(crosses, np.array([1.0, 3.0]))
    for number in (0, 1, 1, 1):
        often.settle(crosses.cut(number, number + 1))
    present = np.unique(crosses.cells)
    assert once.settled[present] == pytest.approx(often.settled[present], rel=1e-5)


def test_an_actions_own_part_is_that_of_events_that_came_as_often():
    waves = np.random.default_rng(3).normal(size=(5, SIZE)).astype(np.float32)
    rewards, actions = np.array([1.0, 0.0, 0.5, -1.0, 0.25]), np.full(5, 7, dtype=np.uint32)
    roots = np.sqrt(COUNTS)
    weighted, repeated = LocalRidge(), LocalRidge()
    targets = np.column_stack([roots * rewards, np.zeros((5, DRAWS))])
    weighted.learn(waves * roots.astype(np.float32)[:, None], actions, targets, last=5)
    often = np.repeat(np.arange(5), COUNTS.astype(int))
    repeated.learn(waves[often], actions[[0] * len(often)], np.column_stack([rewards[often], np.zeros((len(often), DRAWS))]), last=17)
    assert weighted.arms[7].steady.gram == pytest.approx(repeated.arms[7].steady.gram, rel=1e-4, abs=1e-3)
    assert weighted.arms[7].steady.moments[:, 0] == pytest.approx(repeated.arms[7].steady.moments[:, 0], rel=1e-4, abs=1e-3)


def test_the_joint_part_is_that_of_events_that_came_as_often():
    once, often = Learner.cold(), Learner.cold()
    once.learn(batch(8, [3.0] * 8))
    often.learn(batch(8))
    assert once.joint.steady.gram == pytest.approx(3.0 * often.joint.steady.gram, rel=1e-5, abs=1e-6)
    assert once.joint.steady.moments[:, 0] == pytest.approx(3.0 * often.joint.steady.moments[:, 0], rel=1e-5, abs=1e-6)


def test_errors_of_an_event_that_counts_twice_count_twice():
    predictions, rewards = np.full((2, MEMBERS), 0.5), np.array([1.0, 0.0])
    twice, once = Losses(), Losses()
    twice.add(predictions, rewards, np.array([2.0, 2.0]))
    once.add(predictions, rewards)
    assert (twice.squared.tolist(), twice.events) == ((2 * once.squared).tolist(), 2 * once.events)


def test_a_learner_goes_by_how_much_events_stand_for():
    """Reward 1 stands for nine of ten events: it is expected to be .9, and not one half."""
    learner = Learner.cold()
    learner.learn(batch(200, [1.0, 9.0] * 100))
    asked = Encoder().encode(situation({"c": {"x": 1}}, [{"y": 1}]))
    assert learner.model().scores(asked).mean[0] == pytest.approx(0.9, abs=0.02)
    assert learner.learned == 200


def test_events_that_stand_for_themselves_are_learned_and_written_as_ever():
    told, untold = Learner.cold(), Learner.cold()
    told.learn(batch(100, [1.0] * 100))
    untold.learn(batch(100))
    assert artifact.dump_state(told) == artifact.dump_state(untold)
    assert artifact.dump_model(told) == artifact.dump_model(untold)


def test_a_state_with_events_that_stand_for_several_is_read_and_goes_on_to_the_same_bytes():
    learner = Learner.cold()
    learner.learn(batch(100, [1.0, 9.0] * 50))
    state = artifact.dump_state(learner)
    loaded = artifact.load_learner(state)
    for each in (learner, loaded):
        each.learn(batch(100))
    assert artifact.dump_state(loaded) == artifact.dump_state(learner)


def test_when_the_last_of_them_has_left_the_window_the_state_is_written_as_before():
    learner = Learner.cold()
    learner.learn(batch(10, [9.0] * 10))
    assert learner.window.counts is not None
    learner.learn(batch(WINDOW))
    assert learner.window.counts is None
    artifact.load_learner(artifact.dump_state(learner))


@pytest.mark.parametrize("bad", [0.0, 0.5, 2e6, np.nan])
def test_a_state_whose_events_stand_for_what_none_can_is_refused(bad):
    learner = Learner.cold()
    learner.learn(batch(10, [9.0] * 10))
    learner.window = replace(learner.window, counts=np.full(10, bad))
    with pytest.raises(UnreadableError):
        artifact.load_learner(artifact.dump_state(learner))


def test_numbers_are_as_many_as_events_and_finite():
    for counts in ([1.0], [1.0, np.inf]):
        with pytest.raises(UnreadableError):
            batch(2, counts)
