from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.events import Features
from shared.learning.artifact import dump_model, dump_state, load_learner
from shared.learning.encoding import Batch, to_batch
from shared.learning.learner import WINDOW, Learner
from tests.learning.building import (
    batch_of,
    encoded,
    goes_on_in,
    last_third_of_a_life,
    learned_from,
    learned_in,
    many_crosses,
    random_batch,
    random_logs,
    random_outcomes,
)


def learned(*batches: Batch) -> Learner:
    learner = Learner.cold()
    for batch in batches:
        learner.learn(batch)
    return learner


def both(learner: Learner) -> tuple[bytes, bytes]:
    return dump_state(learner), dump_model(learner)


def means(learner: Learner, asked) -> list[float]:
    estimates: list[float] = learner.model().scores(asked).mean.tolist()
    return estimates


# --- the same events, the same bytes ---


def test_the_same_events_in_the_same_batches_give_the_same_bytes():
    batches = [many_crosses(1, 150), many_crosses(2, 1), many_crosses(3, 100)]
    assert both(learned(*batches)) == both(learned(*batches))


CLOSING = many_crosses(4, 200)
OPEN = random_batch(5, 200)


@pytest.mark.parametrize(("events", "stays_open"), [(OPEN, True), (CLOSING, False)], ids=["draws stay open", "draws close"])
@given(cuts=st.lists(st.integers(0, 200), max_size=6), kept=st.lists(st.booleans(), min_size=7, max_size=7))
@settings(deadline=None, max_examples=5)
def test_a_learner_out_of_its_state_goes_on_as_the_one_that_never_went(events, stays_open, cuts, kept):
    """Cut at random; behind some of the cuts the one is thrown away and read back."""
    warm, returning = Learner.cold(), Learner.cold()
    for (first, last), reads_back in zip(pairwise([0, *sorted(cuts), 200]), kept, strict=False):
        if reads_back:
            returning = load_learner(dump_state(returning))
        warm.learn(events.cut(first, last))
        returning.learn(events.cut(first, last))
    assert both(returning) == both(warm)
    assert both(load_learner(dump_state(warm))) == both(warm)
    assert warm.shared.is_open == stays_open


def test_a_learner_out_of_its_state_goes_on_where_the_window_slides():
    logged = random_logs(6, 1000) * 6  # small events: all WINDOW of them fit
    batch = batch_of(logged, np.random.default_rng(7).random(6000).tolist())
    warm = learned(batch.cut(0, WINDOW - 50))
    returning = load_learner(dump_state(warm))
    for first, last in pairwise([WINDOW - 50, WINDOW + 10, WINDOW + 500, 6000]):
        warm.learn(batch.cut(first, last))
        returning.learn(batch.cut(first, last))
        assert both(returning) == both(warm)
        returning = load_learner(dump_state(returning))
    assert len(warm.window) == WINDOW
    assert warm.shared.settled.any()


def test_cut_otherwise_nearly_the_same_is_learned():
    asked = encoded({"user": {"n0": 0.5, "n3": -1.0}}, [{}] * 3)
    whole, cut = learned(OPEN), learned(*(OPEN.cut(first, first + 25) for first in range(0, 200, 25)))
    assert means(whole, asked) == pytest.approx(means(cut, asked), abs=0.03)


def test_with_which_probability_an_action_was_shown_is_not_looked_at():
    logged, outcomes = random_logs(8, 100), random_outcomes(8, 100)
    rare = to_batch(logged, rewards=outcomes["rewards"], probabilities=[1e-9] * 100)
    assert both(learned(rare)) == both(learned(to_batch(logged, **outcomes)))


def test_an_empty_batch_teaches_nothing():
    learner = learned(to_batch([], rewards=[], probabilities=[]))
    assert learner.model().is_cold
    assert both(learner) == both(Learner.cold())


def test_a_published_model_does_not_change_when_the_learner_goes_on():
    learner, asked = learned(random_batch(3, 50)), encoded({"user": {"n0": 1.0}}, [{}] * 3)
    published = learner.model()
    before = published.weights.copy(), published.arm_weights.copy(), published.cells.copy()
    learner.learn(random_batch(4, 50))
    assert [array.tolist() for array in (published.weights, published.arm_weights, published.cells)] == [each.tolist() for each in before]
    assert (published.learned, learner.learned) == (50, 100)
    assert published.scores(asked).mean.tolist() != learner.model().scores(asked).mean.tolist()


# --- what is learned ---


def test_a_constant_reward_is_learned_exactly():
    asked = encoded({"u": {"a": "b"}})
    assert means(learned_from([asked.logged(0)] * 500, [0.7] * 500), asked) == pytest.approx([0.7], abs=0.01)


@pytest.mark.parametrize(
    ("noise", "seed"), [({}, 7), ({"price": 1e6, "debt": -1e6}, 7), ({"clock": 1.7e12}, 7)], ids=["none", "money", "time"]
)
def test_it_learns_who_likes_what_whatever_else_is_sent(noise, seed):
    assert last_third_of_a_life(noise=noise, seed=seed) >= 0.7  # chance earns .35, knowing everything .8


def test_a_life_is_nearly_the_same_with_numbers_a_thousand_times_as_large():
    lives = [last_third_of_a_life(noise={"price": size, "rank": 3.0 * size}, events=900) for size in (0.02, 20.0, 20_000.0)]
    assert max(lives) - min(lives) < 0.04


@pytest.mark.parametrize("size", [1e-6, 1.0, 2000.0, 1e6])
def test_a_slope_is_learned_whatever_its_unit(size):
    amounts = np.random.default_rng(5).uniform(-1, 1, 1000)
    logged = [encoded({"u": {"amount": size * amount}}).logged(0) for amount in amounts]
    learner = learned_from(logged, (0.5 + 0.3 * amounts).tolist())
    errors = [means(learner, encoded({"u": {"amount": size * a}}))[0] - (0.5 + 0.3 * a) for a in (-0.9, 0.0, 0.9)]
    assert np.abs(errors).max() < 0.05


CORNERS = [{"left": left, "right": right} for left in "xy" for right in "xy"]


def test_it_learns_what_two_features_only_say_together():
    """Alike or not: each feature alone says nothing, so no sum over single features is right in more than three of four."""
    learner = learned_in(
        lambda context, action: 0.9 if (context["left"] == context["right"]) == (action == 0) else 0.1,
        CORNERS,
        actions=2,
        events=600,
        seed=1,
    )
    for corner in CORNERS:
        alike, different = means(learner, encoded({"u": corner}, [{}] * 2))
        assert (alike - different if corner["left"] == corner["right"] else different - alike) > 0.4


def test_it_learns_that_a_number_is_best_in_the_middle():
    contexts = [{"warmth": float(warmth)} for warmth in range(41)]
    learner = learned_in(
        lambda context, action: 0.9 if (10 < context["warmth"] < 30) == (action == 0) else 0.1, contexts, actions=2, events=1500, seed=2
    )
    leads = {warmth: np.diff(means(learner, encoded({"u": {"warmth": float(warmth)}}, [{}] * 2)))[0] for warmth in (1, 20, 39)}
    assert leads[20] < -0.3
    assert min(leads[1], leads[39]) > 0.3


def test_it_follows_when_the_world_changes():
    """Two thousand events in which each palate likes its own dish, and then eight hundred in which it likes the next."""
    contexts = [{"palate": palate} for palate in "abc"]
    learner, rng = Learner.cold(), np.random.default_rng(3)
    for later, events in ((0, 2000), (1, 800)):

        def liked(context, action, later=later):
            return 0.9 if "abc".index(context["palate"]) == (action + later) % 3 else 0.1

        goes_on_in(learner, liked, contexts, actions=3, events=events, rng=rng)
        for number, context in enumerate(contexts):
            scores = means(learner, encoded({"u": context}, [{}] * 3))
            best = scores.pop((number - later) % 3)
            assert best - max(scores) > 0.3


# --- rewards of any size ---


@pytest.mark.parametrize("sizes", [(0.0, -5.0), (-3.0, 250.0), (1e6, -1e6), (1e300, -1e300), (1e-3, 0.0)])
def test_rewards_of_any_size_are_learned(sizes):
    """Two actions, one always paying this and the other that; ± a million is the most that counts."""
    asked = encoded({"u": {"a": "b"}}, [{}, {}])
    learner = learned_from([asked.logged(index % 2) for index in range(600)], list(sizes) * 300)
    expected = np.clip(sizes, -1e6, 1e6)
    assert means(learner, asked) == pytest.approx(expected, abs=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("reward", [0.0, 1.0, -2.0, 1e6])
def test_rewards_that_are_all_equal_are_learned(reward):
    logged = random_logs(9, 200)
    learner = learned_from(logged, [reward] * 200)
    assert means(learner, encoded({"user": {"n0": 0.1}}, [{}] * 3)) == pytest.approx([reward] * 3, abs=max(0.05 * abs(reward), 1e-6))


hostile_number = st.sampled_from([0.0, 1e-9, 1e-5, 1.0, -1.0, 3.7, 2000.0, -1e6, 1e9, -1e9, 1e308])
hostile_event = st.tuples(
    st.dictionaries(st.sampled_from("abc"), hostile_number | st.lists(hostile_number, max_size=4), max_size=3),
    st.dictionaries(st.sampled_from("xyz"), hostile_number, max_size=3),
    st.sampled_from([0.0, 1.0, -1.0, 1e3, -1e6, 1e300, -1e300, 1e-300]),
    st.sampled_from([1e-300, 0.0, 1e-9, 0.02, 1.0]),
)


@given(st.lists(hostile_event, min_size=1, max_size=12), st.integers(1, 8))
@settings(deadline=None, max_examples=25)
def test_nothing_that_is_learned_is_ever_infinite(events, repeats):
    asked = [encoded({"u": context}, [{"v": action}]) for context, action, _, _ in events]
    batch = to_batch(
        [one.logged(0) for one in asked] * repeats,
        rewards=[reward for _, _, reward, _ in events] * repeats,
        probabilities=[probability for _, _, _, probability in events] * repeats,
    )
    learner = learned(batch)
    model = learner.model()
    assert both(load_learner(dump_state(learner))) == both(learner)  # which is refused if any number is not finite
    for scores in map(model.scores, asked):
        assert np.isfinite(scores.mean).all()
        assert np.isfinite(scores.draws).all()


def test_events_of_the_largest_size_are_learned_and_their_window_is_bounded():
    """Folded on both sides to the most there can be: numbers at their bounds, and a string that is said often."""
    sides: list[Features] = [
        {"v": {f"n{i}": 1e9 for i in range(400)}},
        {"v": ["said"] * 100_000},
        {"v": {f"s{i}": "x" for i in range(400)}},
    ]
    logged = [encoded(side, [side]).logged(0) for side in sides]
    learner = learned_from(logged * 20, [0.5, 0.2, 0.1] * 20)
    assert both(load_learner(dump_state(learner))) == both(learner)
    assert len(learner.window) < 60


def test_one_event_out_of_all_proportion_does_not_keep_others_from_being_learned():
    said, asked = encoded({"u": {"words": ["x"] * 100_000}}, [{"words": ["x"] * 100_000}]), encoded({"u": {"a": "b"}}, [{}, {}])
    learner = learned_from([said.logged(0)], [0.0])
    learner.learn(batch_of([asked.logged(index % 2) for index in range(400)], [0.0, 1.0] * 200))
    assert learner.shared.precision < 100
    assert means(learner, asked) == pytest.approx([0.0, 1.0], abs=0.1)
