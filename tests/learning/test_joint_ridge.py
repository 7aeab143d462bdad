"""The joint part: what it computes, what it sees that the others do not, and how seldom it is solved."""

from typing import Any

import numpy as np
import pytest

from shared.learning.encoding import Batch
from shared.learning.event_waves import EventWaves
from shared.learning.fourier import WAVES
from shared.learning.joint_ridge import (
    AMPLITUDE,
    SIZE,
    JointRidge,
    action_angles,
    as_partners,
    as_turns,
    prior_draws,
    turned,
)
from shared.learning.learner import Learner
from shared.learning.measures import Measures
from shared.learning.shared_ridge import DRAWS, FORGETTING
from shared.learning.sums import PRECISION
from tests.learning.building import batch_of, encoded, random_batch

RNG = np.random.default_rng(3)


def waves_of(batch: Batch) -> Any:
    return EventWaves.of(batch, Measures.none()).joint


def targets_of(count: int) -> Any:
    return RNG.normal(size=(count, 1 + DRAWS))


def one(context: Any, action: Any) -> Batch:
    """One event, by what was known of it."""
    return batch_of([encoded({"u": context}, [action]).logged(0)], [0.0])


def alike(first: Batch, second: Batch) -> float:
    """The kernel of two events: 1 for equal ones, near 0 for strangers."""
    return float((waves_of(first)[0, 1:] @ waves_of(second)[0, 1:]) / (AMPLITUDE**2 * WAVES))


def test_both_members_fit_ridge_regression_the_recent_one_with_what_is_left_of_each_event():
    waves, targets = waves_of(random_batch(1, 300)).astype(np.float64), targets_of(300)
    ridge = JointRidge()
    for first in range(0, 300, 100):
        part = slice(first, first + 100)
        ridge.learn(waves[part].astype(np.float32), targets[part], learned=first + 100)
    left = FORGETTING ** np.arange(299, -1, -1.0)
    for sums, kept in ((ridge.steady, np.ones(300)), (ridge.recent, left)):
        weighted = waves.T * kept
        expected = np.linalg.solve(weighted @ waves + PRECISION * np.eye(SIZE), weighted @ targets[:, 0])
        assert sums.weights[:, 0] == pytest.approx(expected, abs=1e-3)


def test_draws_spread_as_the_posterior_does():
    """Its deviation, in units of the noise: root of ψᵀ(Σψψᵀ + 1)⁻¹ψ; of 4 draws, over 60 noises, within a sixth."""
    waves = waves_of(random_batch(2, 80)).astype(np.float64)
    drawn = []
    for _ in range(60):
        ridge = JointRidge()
        ridge.learn(waves.astype(np.float32), np.column_stack([np.zeros(80), RNG.normal(size=(80, DRAWS))]), learned=80)
        prior = RNG.normal(size=(SIZE, DRAWS)) / PRECISION**0.5
        drawn.append(waves @ ridge.steady.solved(prior)[:, 1:])
    expected = np.sqrt(np.einsum("nw,wv,nv->n", waves, np.linalg.inv(waves.T @ waves + PRECISION * np.eye(SIZE)), waves))
    assert np.concatenate(drawn, axis=1).std(axis=1).mean() == pytest.approx(expected.mean(), rel=1 / 6)
    assert prior_draws().std() == pytest.approx(PRECISION**-0.5, rel=0.1)


def test_weights_turned_by_a_context_give_its_waves_scores_with_each_action():
    context, actions = RNG.normal(size=WAVES), RNG.normal(size=(7, WAVES))
    weights = RNG.normal(size=(1 + DRAWS, SIZE)).astype(np.float32)
    angles = context + actions
    expected = AMPLITUDE * np.hstack([np.cos(angles), np.sin(angles)]) @ weights[:, 1:].T
    partners = as_partners(actions.astype(np.float32))
    assert partners @ turned(as_turns(weights), context.astype(np.float32)[None])[0].T == pytest.approx(expected, abs=1e-4)


def test_events_are_alike_as_their_contexts_and_their_actions_are():
    same = one({"x": "a"}, {"v": {"kind": "k", "brand": "b", "size": "s"}})
    one_other = one({"x": "a"}, {"v": {"kind": "k", "brand": "b", "size": "t"}})
    all_other = one({"x": "a"}, {"v": {"kind": "l", "brand": "c", "size": "t"}})
    stranger = one({"x": "z"}, {"v": {"kind": "l", "brand": "c", "size": "t"}})
    found = [alike(same, each) for each in (same, one_other, all_other, stranger)]
    assert found[0] == pytest.approx(1.0, abs=1e-5)
    assert found == sorted(found, reverse=True)
    assert found[1] > 0.3
    assert found[3] < 0.3


def angles_of(*actions: Any) -> Any:
    rows = [encoded({"u": {}}, [{}] * number + [action]).logged(number) for number, action in enumerate(actions)]  # each with its own id
    batch = batch_of(rows, [0.0] * len(rows))
    return action_angles(batch.action_hashes, batch.action_values, batch.action_starts, Measures.none())


def test_an_id_keeps_items_apart_only_where_there_is_nothing_else():
    described, likewise, bare, other = angles_of({"v": {"kind": "k"}}, {"v": {"kind": "k"}}, {}, {})
    assert described == pytest.approx(likewise)
    assert np.abs(bare - other).mean() > 0.1


def test_what_is_learned_of_items_tells_of_one_that_was_never_shown():
    """An item is worth the more, the nearer its place is to the visitor's: no sum over single features says so."""
    world = np.random.default_rng(4)
    learner = Learner.cold()
    for _ in range(30):
        events = [(world.uniform(), world.uniform()) for _ in range(100)]
        rows = [encoded({"u": {"at": at}}, [{"v": {"at": place}}]).logged(0) for at, place in events]
        learner.learn(batch_of(rows, [1.0 - min(2 * abs(at - place), 1.0) for at, place in events]))
    asked = encoded({"u": {"at": 0.3}}, [{"v": {"at": place}} for place in (0.31, 0.6, 0.9)])
    model = learner.model()
    scores = model.scores(asked).mean
    assert model.joint_share > 0.5
    assert scores == pytest.approx([0.98, 0.4, 0.0], abs=0.15)


def test_few_events_at_a_time_are_added_up_and_solved_together_and_a_model_knows_them_all():
    ridge, waves, targets = JointRidge(), waves_of(random_batch(5, 300)), targets_of(300)
    solved = 0
    for number in range(299):
        before = ridge.steady.weights
        ridge.learn(waves[number : number + 1], targets[number : number + 1], learned=3_000 + number)
        solved += ridge.steady.weights is not before
    assert solved == 2
    assert ridge.waiting == 99
    at_once = JointRidge()
    at_once.learn(waves[:299], targets[:299], learned=299)
    for weights, expected in zip(ridge.solved(), at_once.solved(), strict=True):
        assert weights[:, 0] == pytest.approx(expected[:, 0], abs=1e-2)
    assert ridge.waiting == 99  # asking changes nothing


def test_giving_a_model_changes_nothing_of_what_is_learned_next():
    with_models, without = Learner.cold(), Learner.cold()
    for number in range(40):
        part = random_batch(number, 7)
        for learner in (with_models, without):
            learner.learn(part)
        with_models.model()
    assert with_models.joint.waiting == without.joint.waiting
    assert with_models.joint.steady.weights.tolist() == without.joint.steady.weights.tolist()
    assert with_models.losses.squared.tolist() == without.losses.squared.tolist()
