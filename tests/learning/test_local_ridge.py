from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.learning.event_waves import EventWaves
from shared.learning.local_ridge import ARMS, ROWS, SIZE, LocalRidge, arms_of, prior_draws
from shared.learning.measures import Measures
from shared.learning.shared_ridge import DRAWS, FORGETTING, LATEST
from shared.learning.sums import PRECISION, Rows, Sums
from tests.learning.building import batch_of, encoded, many_crosses, random_batch

STALE = 4096


def waves_of(seed, events):
    return EventWaves.of(random_batch(seed, events), Measures.none()).own


def targets_of(seed, events):
    return np.random.default_rng(seed).normal(size=(events, 1 + DRAWS))


def actions(*names):
    return np.array(names, dtype=np.uint32)


def closed_form(contexts, targets, left=None):
    left = np.ones(len(contexts)) if left is None else left
    weighted = contexts.T * left
    return np.linalg.solve(weighted @ contexts + PRECISION * np.eye(SIZE), weighted @ targets)


def test_each_action_is_a_ridge_regression_on_its_own_events():
    contexts, targets = waves_of(1, 300), targets_of(2, 300)
    shown = np.random.default_rng(3).integers(3, size=300).astype(np.uint32) * np.uint32(2) + np.uint32(1)
    ridge = LocalRidge()
    for first in range(0, 300, 100):
        part = slice(first, first + 100)
        ridge.learn(contexts[part], shown[part], targets[part], last=first + 100)
    left = FORGETTING ** np.arange(299, -1, -1.0)
    for action, arm in ridge.arms.items():
        own = shown == action
        steady = closed_form(contexts[own], targets[own, 0])
        recent = closed_form(contexts[own], targets[own, 0], left[own])
        assert arm.steady.weights[:, 0] == pytest.approx(steady, abs=1e-3)
        assert arm.recent[:, 0] == pytest.approx(recent, abs=1e-3)  # solved when it was last shown
        assert arm.seen == 1 + np.flatnonzero(own)[-1]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
@settings(deadline=None, max_examples=20)
def test_how_events_are_put_together_hardly_matters(cuts):
    events = sum(cuts)
    contexts, targets = waves_of(4, 240)[:events], targets_of(5, 240)[:events]
    shown = np.full(events, 7, dtype=np.uint32)
    whole, cut, first = LocalRidge(), LocalRidge(), 0
    whole.learn(contexts, shown, targets, last=events)
    for count in cuts:
        part = slice(first, first := first + count)
        cut.learn(contexts[part], shown[part], targets[part], last=first)
    np.testing.assert_allclose(whole.arms[7].steady.weights, cut.arms[7].steady.weights, atol=1e-3)
    np.testing.assert_allclose(whole.arms[7].recent, cut.arms[7].recent, atol=1e-3)


@pytest.mark.parametrize("events", [1, 3, 40, 63, 64, 65, 300])
def test_few_events_give_the_weights_that_their_sums_would(events):
    contexts, targets = waves_of(15, events), targets_of(16, events)
    ridge, (steady, recent) = LocalRidge(), (Sums.none(SIZE), Sums.none(SIZE))
    ridge.learn(contexts, actions(*[7] * events), targets, last=events)
    roots = np.sqrt(FORGETTING ** np.arange(events - 1, -1, -1.0))
    steady.add(contexts, targets[:, 0], targets[:, 1:])
    recent.add(contexts * roots[:, None].astype(np.float32), targets[:, 0] * roots, targets[:, 1:])
    arm = ridge.arms[7]
    assert arm.is_summed == (events >= 64) == (not len(arm.rows))
    np.testing.assert_allclose(arm.steady.weights, steady.solved(prior_draws()), atol=1e-4)
    np.testing.assert_allclose(arm.recent, recent.solved(prior_draws()), atol=1e-4)


@pytest.mark.parametrize("before", [5, 100])
def test_an_action_that_begins_anew_knows_its_recent_events_as_far_as_they_have_faded(before):
    contexts, targets = waves_of(21, before + 10), targets_of(22, before + 10)
    ridge = LocalRidge()
    ridge.learn(contexts[:before], actions(*[7] * before), targets[:before], last=before)
    ridge.begin_anew(last=900)
    ridge.learn(contexts[before:], actions(*[7] * 10), targets[before:], last=910)
    numbers, arm = np.append(np.arange(1, before + 1), np.arange(901, 911)), ridge.arms[7]
    left = np.where(numbers > 900, 1.0, FORGETTING ** (900.0 - numbers))
    assert arm.steady.weights[:, 0] == pytest.approx(closed_form(contexts, targets[:, 0], left), abs=1e-3)
    assert arm.recent[:, 0] == pytest.approx(closed_form(contexts, targets[:, 0], FORGETTING ** (910.0 - numbers)), abs=1e-3)


def test_an_action_that_is_shown_again_after_long_has_faded_meanwhile():
    contexts, targets = waves_of(19, 101), targets_of(20, 101)
    ridge = LocalRidge()
    ridge.learn(contexts[:100], actions(*[7] * 100), targets[:100], last=100)
    ridge.learn(contexts[100:], actions(7), targets[100:], last=1500)
    left = FORGETTING ** (1500.0 - np.append(np.arange(1, 101), 1500))
    assert ridge.arms[7].recent[:, 0] == pytest.approx(closed_form(contexts, targets[:, 0], left), abs=1e-3)


@pytest.mark.parametrize("before", [5, 100])
def test_what_is_behind_the_latest_events_is_not_recent(before):
    contexts, targets = waves_of(19, before + 3), targets_of(20, before + 3)
    ridge = LocalRidge()
    ridge.learn(contexts[: before - 1], actions(*[7] * (before - 1)), targets[: before - 1], last=before - 1)
    ridge.learn(contexts[before - 1 : before], actions(7), targets[before - 1 : before], last=1000)
    if before < ROWS:
        ridge.begin_anew(last=1000)  # now its events are summed
    ridge.learn(contexts[before:], actions(7, 7, 7), targets[before:], last=1000 + LATEST - 1)
    left = np.where(np.arange(before + 3) < before - 1, 0.0, FORGETTING ** np.r_[np.full(before, LATEST - 1.0), 2.0, 1.0, 0.0])
    assert ridge.latest.numbers.tolist() == [1000, *range(997 + LATEST, 1000 + LATEST)]
    assert ridge.arms[7].recent[:, 0] == pytest.approx(closed_form(contexts, targets[:, 0], left), abs=1e-3)


@pytest.mark.parametrize("sizes", [(1, 3, 16, 17), (40, 128, 129), (200,)])
def test_groups_of_events_are_fitted_as_each_is_by_its_sums(sizes):
    events = sum(sizes)
    rows = Rows(waves_of(23, events), targets_of(24, events), np.arange(1, events + 1))
    groups = np.split(np.random.default_rng(25).permutation(events), np.cumsum(sizes)[:-1])
    roots = np.stack([np.ones(events), rows.roots_left(events)])
    fitted = rows.fitted(groups, roots, prior_draws())
    for time, number in product(range(2), range(len(sizes))):
        alone = rows.take(groups[number]).summed(roots[time, groups[number]]).solved(prior_draws())
        np.testing.assert_allclose(fitted[time, number], alone, atol=1e-4)


def test_the_latest_events_are_few_and_those_of_actions_with_sums():
    ridge, shown = LocalRidge(), np.random.default_rng(26).choice(np.array([1, 3, 5], dtype=np.uint32), 3000, p=[0.6, 0.39, 0.01])
    for first in range(0, 3000, 500):
        part = slice(first, first + 500)
        ridge.learn(waves_of(27, 500), shown[part], targets_of(28, 500), last=first + 500)
    own = np.flatnonzero(shown != 5)
    assert not ridge.arms[5].is_summed
    assert ridge.latest.numbers.tolist() == [number + 1 for number in own.tolist() if number >= 3000 - LATEST]
    assert ridge.latest_of.tolist() == shown[ridge.latest.numbers - 1].tolist()


def test_draws_of_an_action_have_the_posteriors_covariance_in_the_directions_that_count():
    """Of 128 actions, `DRAWS` each, all shown in the same contexts."""
    contexts, rng = waves_of(6, 20), np.random.default_rng(7)
    samples = []
    for _ in range(128):
        ridge = LocalRidge()
        noise = np.column_stack([np.zeros(20), rng.normal(size=(20, DRAWS))])
        ridge.learn(contexts, actions(*[9] * 20), noise, last=20)
        samples.append(contexts @ ridge.arms[9].steady.weights[:, 1:])
    deviations = np.concatenate(samples, axis=1).std(axis=1)
    covariance = np.linalg.inv(contexts.T @ contexts + PRECISION * np.eye(SIZE))
    expected = np.sqrt(np.einsum("nw,wv,nv->n", contexts, covariance, contexts))
    assert deviations == pytest.approx(expected, rel=0.25)
    assert (expected < 1.0).all()
    assert prior_draws().std() == pytest.approx(PRECISION**-0.5, rel=0.1)


def test_an_action_that_was_never_shown_is_left_to_somebody_else():
    ridge, contexts = LocalRidge(), waves_of(8, 4)
    ridge.learn(contexts, actions(1, 1, 3, 3), targets_of(9, 4), last=4)
    otherwise = np.arange(8.0).reshape(4, 2)
    predictions = ridge.predict(contexts, actions(1, 5, 5, 3), otherwise)
    assert predictions[1:3].tolist() == otherwise[1:3].tolist()
    for row, action in ((0, 1), (3, 3)):
        arm = ridge.arms[action]
        assert predictions[row] == pytest.approx([contexts[row] @ each[:, 0] for each in (arm.steady.weights, arm.recent)])


# --- places are few ---


def filled():
    """All places taken; the first of them at event 1, the next at event 2, and so on."""
    ridge = LocalRidge()
    ridge.learn(waves_of(10, ARMS), actions(*range(1, ARMS + 1)), targets_of(11, ARMS), last=ARMS)
    return ridge


def shown_once(ridge, action, *, at):
    ridge.learn(waves_of(12, 1), actions(action), targets_of(13, 1), last=at)


def test_no_more_actions_than_places_are_learned_while_all_are_shown():
    ridge = filled()
    shown_once(ridge, 1000, at=ARMS + 1)
    assert list(ridge.arms) == list(range(1, ARMS + 1))


def test_a_new_action_takes_the_place_of_the_one_that_was_not_shown_the_longest():
    ridge = filled()
    shown_once(ridge, 1, at=ARMS + 1)
    shown_once(ridge, 1000, at=2 + STALE)
    assert 1000 not in ridge.arms
    shown_once(ridge, 1000, at=3 + STALE)
    assert 2 not in ridge.arms
    assert {1, 3, 1000} < ridge.arms.keys()
    assert len(ridge.arms) == ARMS


# --- contexts ---


def test_a_context_has_its_waves_in_whatever_company():
    batch = many_crosses(14, 400)
    measures = Measures.none()
    together = EventWaves.of(batch, measures).own
    for at in (0, 1, 399):
        np.testing.assert_allclose(EventWaves.of(batch.cut(at, at + 1), measures).own[0], together[at], atol=1e-5)


def test_contexts_are_the_more_alike_the_more_they_share():
    def waves(**features):
        return EventWaves.of(batch_of([encoded({"u": features}).logged(0)], [0]), Measures.none()).own[0, 1:]

    base = waves(a="x", b="x", c="x", d="x")
    likeness = [
        base @ waves(a="x", b="x", c="x", d="x"),
        base @ waves(a="x", b="x", c="x", d="y"),
        base @ waves(a="y", b="z", c="y", d="z"),
    ]
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[2] < 0.4 * likeness[0]


def test_contexts_without_features_are_all_alike():
    batch = batch_of([encoded({}).logged(0)] * 2, [0, 0])
    alike = EventWaves.of(batch, Measures.none()).own
    assert np.isfinite(alike).all()
    assert alike[0].tolist() == alike[1].tolist()


def test_arms_are_told_apart_by_their_ids():
    asked = encoded({}, [{"same": 1}, {"same": 1}])
    one, other = arms_of(batch_of([asked.logged(0), asked.logged(1)], [0, 0])).tolist()
    assert (one, other) == (asked.actions[0].hashes[0], asked.actions[1].hashes[0])
    assert one != other
