import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.learning.exploration import (
    adaptive,
    at_most,
    bag,
    cover,
    draw,
    epsilon_greedy,
    first,
    regcb,
    softmax,
    squarecb,
    uniform,
    with_floor,
)

percentages = st.floats(0, 1)
scores = st.floats(-1e30, 1e30)
HOSTILE = np.array([-1e308, -1e300, -1.0, 0.0, 5e-324, 1.0, 1e30, 1e308])
EXACT = np.arange(-256, 257) / 64
"""Sums and differences of these are not rounded."""


@st.composite
def scored(draw_from):
    """Scores of up to 50 actions, some of them, not all, excluded."""
    size = draw_from(st.integers(1, 50))
    values = draw_from(st.lists(scores, min_size=size, max_size=size))
    allowed = draw_from(st.lists(st.booleans(), min_size=size, max_size=size))
    assume(any(allowed))
    return np.array(values), allowed


@st.composite
def unsure(draw_from, values, largest=4.0):
    """Scores out of these values, one to eight draws around them, and flags."""
    size, rng = draw_from(st.integers(1, 50)), np.random.default_rng(draw_from(st.integers(0, 2**32)))
    allowed = rng.random(size) < rng.random()
    allowed[rng.integers(size)] = True
    draws = rng.integers(-256, 257, size=(size, rng.integers(1, 9))) * (largest / 256)
    return rng.choice(values, size), draws, allowed.tolist()


def explorers(share, gamma):
    """Every algorithm, from scores, draws and flags, with the parameters that it needs."""

    def capped(scores, _, allowed):
        return at_most(squarecb(scores, allowed, gamma=gamma), exploration=share)

    return {
        "uniform": lambda scores, draws, allowed: uniform(allowed),
        "epsilon_greedy": lambda scores, draws, allowed: epsilon_greedy(scores, allowed, epsilon=share),
        "squarecb": lambda scores, draws, allowed: squarecb(scores, allowed, gamma=gamma),
        "at_most": capped,
        "with_floor": lambda *asked: with_floor(capped(*asked), asked[2], floor=0.02, exploration=share),
        "softmax": lambda scores, draws, allowed: softmax(scores, allowed, scale=gamma),
        "first, exploring": lambda scores, draws, allowed: first(scores, allowed, learned=9, events=10),
        "first, committed": lambda scores, draws, allowed: first(scores, allowed, learned=10, events=10),
        "bag": lambda scores, draws, allowed: bag(scores, draws, allowed),
        "cover": lambda scores, draws, allowed: cover(scores, draws, allowed, psi=share),
        "regcb": lambda scores, draws, allowed: regcb(scores, np.abs(draws[:, 0]), allowed, optimistic=False),
        "regcbopt": lambda scores, draws, allowed: regcb(scores, np.abs(draws[:, 0]), allowed, optimistic=True),
    }


ALGORITHMS = list(explorers(0.0, 0.0))


@pytest.mark.parametrize("name", ALGORITHMS)
@given(st.one_of(unsure(EXACT), unsure(HOSTILE), unsure(HOSTILE, 1e306)), percentages, st.floats(0, 1e6))
def test_probabilities_are_probabilities_and_what_is_excluded_has_none(name, situation, share, gamma):
    values, draws, allowed = situation
    probabilities = explorers(share, gamma)[name](values, draws, allowed)
    assert probabilities.dtype == np.float64
    assert (probabilities >= 0).all()
    assert abs(probabilities.sum() - 1) <= 1e-9
    assert not probabilities[~np.array(allowed)].any()


@pytest.mark.parametrize("name", ALGORITHMS)
@given(unsure(EXACT), percentages, st.floats(0, 1e3), st.integers(-(2**20), 2**20))
def test_only_the_differences_between_scores_count(name, situation, share, gamma, shift):
    values, draws, allowed = situation
    explorer = explorers(share, gamma)[name]
    assert explorer(values + shift, draws, allowed).tolist() == explorer(values, draws, allowed).tolist()


@pytest.mark.parametrize("name", ALGORITHMS)
@given(unsure(EXACT), percentages, st.floats(1, 1e3))
def test_what_is_excluded_has_no_influence_on_the_others(name, situation, share, gamma):
    values, draws, allowed = situation
    explorer, kept = explorers(share, gamma)[name], np.array(allowed)
    alone = explorer(values[kept], draws[kept], [True] * sum(allowed))
    assert explorer(values, draws, allowed)[kept] == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_far_apart_is_not_equal(name):
    probabilities = explorers(0.2, 100.0)[name](np.array([-1e308, 1e308, -1e308]), np.full((3, 8), 0.1), [True] * 3)
    assert probabilities.argmax() == 1 or name in ("uniform", "first, exploring")


@given(scored(), percentages, st.floats(1, 1e6))
def test_no_more_is_explored_than_allowed_and_the_floor_holds_within_it(situation, exploration, gamma):
    values, allowed = situation
    capped = at_most(squarecb(values, allowed, gamma=gamma), exploration=exploration)
    lifted = with_floor(capped, allowed, floor=0.02, exploration=exploration)
    best = values[allowed].max()
    for probabilities in (capped, lifted):
        assert np.delete(probabilities, probabilities.argmax()).sum() <= exploration + 1e-9
        assert values[probabilities.argmax()] == pytest.approx(best, abs=1e-6)
    assert lifted[allowed].min() >= min(0.02, exploration) / sum(allowed) - 1e-12


@given(
    st.one_of(unsure(EXACT), unsure(HOSTILE), unsure(np.array([0.0, 1.0, 1.0 + 2**-52, 0.3]))),
    percentages | st.sampled_from([0.0, 0.2, 1.0, 1e-9]),
    st.floats(1e-3, 1e9),
    st.sampled_from([0.0, 0.01, 0.02, 1.0]),
)
def test_adaptive_does_at_once_what_three_steps_do(situation, exploration, gamma, floor):
    values, _, allowed = situation
    capped = at_most(squarecb(values, allowed, gamma=gamma), exploration=exploration)
    expected = with_floor(capped, allowed, floor=floor, exploration=exploration)
    given_ = adaptive(values.tolist(), allowed, gamma=gamma, exploration=exploration, floor=floor)
    assert sorted(given_) == pytest.approx(sorted(expected.tolist()), abs=1e-12)  # of scores that only rounding tells apart, either
    best = max(score for score, may in zip(values.tolist(), allowed, strict=True) if may)
    assert given_[next(i for i, may in enumerate(allowed) if may and values[i] == best)] == max(given_)
    assert min(given_) >= 0.0
    assert abs(sum(given_) - 1.0) <= 1e-9
    assert not any(chance for chance, may in zip(given_, allowed, strict=True) if not may)


@given(scored())
def test_no_exploration_is_greedy(situation):
    values, allowed = situation
    for probabilities in (
        epsilon_greedy(values, allowed, epsilon=0.0),
        first(values, allowed, learned=0, events=0),
        with_floor(at_most(squarecb(values, allowed, gamma=1.0), exploration=0.0), allowed, floor=0.02, exploration=0.0),
        np.array(adaptive(values.tolist(), allowed, gamma=1.0, exploration=0.0, floor=0.02)),
    ):
        assert sorted(probabilities)[:-1] == [0.0] * (len(allowed) - 1)
        assert probabilities.max() == 1.0


def test_epsilon_greedy_is_what_the_documentation_says():
    probabilities = epsilon_greedy(np.array([0.1, 0.9, 0.5, 2.0]), [True, True, True, False], epsilon=0.3)
    assert probabilities.tolist() == pytest.approx([0.1, 0.8, 0.1, 0.0])


def test_the_first_of_equals_is_the_best():
    tied = np.array([0.5, 0.7, 0.7])
    assert epsilon_greedy(tied, [True] * 3, epsilon=0.0).argmax() == 1
    assert squarecb(tied, [True] * 3, gamma=10.0).argmax() == 1
    certain = np.zeros((3, 8))
    assert bag(tied, certain, [True] * 3).argmax() == 1
    assert cover(tied, certain, [True] * 3, psi=1.0).argmax() == 1
    assert regcb(tied, certain[:, 0], [True] * 3, optimistic=True).argmax() == 1


@pytest.mark.parametrize("size", range(1, 51))
def test_the_first_of_equals_keeps_what_is_not_explored(size):
    even = squarecb(np.zeros(size), [True] * size, gamma=100.0)
    assert at_most(even, exploration=0.2).argmax() == 0
    for exploration in (0.2, 1.0):
        chances = adaptive([0.0] * size, [True] * size, gamma=100.0, exploration=exploration, floor=0.01)
        assert chances.index(max(chances)) == 0


def test_squarecb_gives_less_chance_to_a_wider_gap_and_to_more_certainty():
    values, allowed = np.array([1.0, 0.9, 0.2]), [True] * 3
    wary, sure = squarecb(values, allowed, gamma=10.0), squarecb(values, allowed, gamma=1000.0)
    assert wary[0] > wary[1] > wary[2]
    assert (sure[1:] < wary[1:]).all()
    assert squarecb(values, allowed, gamma=0.0).tolist() == pytest.approx([1 / 3] * 3)


def test_softmax_weighs_by_the_exponential():
    assert softmax(np.log([1.0, 2.0, 4.0, 8.0]), [True, True, True, False], scale=1.0).tolist() == pytest.approx([1 / 7, 2 / 7, 4 / 7, 0])
    assert softmax(np.array([0.0, 1.0, 5.0]), [True] * 3, scale=0.0).tolist() == pytest.approx([1 / 3] * 3)


def test_first_explores_until_it_has_learned_enough():
    values = np.array([0.1, 0.9, 0.5])
    assert first(values, [True, False, True], learned=999, events=1000).tolist() == [0.5, 0.0, 0.5]
    assert first(values, [True, False, True], learned=1000, events=1000).tolist() == [0.0, 0.0, 1.0]


def test_bag_gives_the_share_of_the_draws_that_an_action_wins():
    draws = np.array([[0.0, 0.0, 0.3, 0.0], [0.1, 0.0, 0.0, 0.0], [0.0, 9.0, 9.0, 9.0]])
    assert bag(np.array([0.50, 0.55, 0.0]), draws, [True, True, False]).tolist() == [0.25, 0.75, 0.0]
    assert bag(np.array([0.5, 0.5]), np.zeros((2, 8)), [True, True]).tolist() == [1.0, 0.0]


def test_bag_comes_near_the_chance_of_being_the_best():
    draws = np.random.default_rng(1).normal(size=(2, 100_000))
    assert bag(np.array([0.0, 1.0]), draws, [True, True]).tolist() == pytest.approx([0.23975, 0.76025], abs=0.005)  # Φ(±1/√2)


@given(unsure(EXACT))
def test_cover_without_a_bonus_is_the_vote_of_the_scores_and_the_draws(situation):
    values, draws, allowed = situation
    with_scores = np.column_stack([np.zeros(len(values)), draws])
    assert cover(values, draws, allowed, psi=0.0).tolist() == pytest.approx(bag(values, with_scores, allowed).tolist())


@given(unsure(EXACT), st.floats(0, 100))
def test_cover_is_greedy_where_the_model_is_certain(situation, psi):
    values, draws, allowed = situation
    assert cover(values, 0.0 * draws, allowed, psi=psi).tolist() == epsilon_greedy(values, allowed, epsilon=0.0).tolist()


def test_cover_spreads_wider_with_a_larger_bonus():
    rng = np.random.default_rng(2)
    values, draws = rng.normal(size=20), rng.normal(size=(20, 15))
    chosen = [np.count_nonzero(cover(values, draws, [True] * 20, psi=psi)) for psi in (0.0, 1.0, 10.0)]
    assert chosen == sorted(set(chosen))


def test_regcb_drops_what_cannot_be_the_best():
    values, flags = np.array([0.875, 0.625, 0.25, 9.0]), [True, True, True, False]
    assert regcb(values, np.full(4, 0.125), flags, optimistic=False).tolist() == [0.5, 0.5, 0.0, 0.0]
    assert regcb(values, np.full(4, 0.375), flags, optimistic=False).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0])


def test_optimistic_regcb_tries_what_is_least_known():
    assert regcb(np.array([0.9, 0.7, 0.5]), np.array([0.1, 0.1, 0.6]), [True] * 3, optimistic=True).tolist() == [0.0, 0.0, 1.0]


# --- the draw ---


@pytest.mark.parametrize("name", ["event-{}", "{}", "{}-of-the-day", "Ünï-{}"])
def test_draws_of_similar_event_ids_follow_the_probabilities(name):
    probabilities = [0.5, 0.0, 0.3, 0.15, 0.05, 0.0]
    drawn = np.bincount([draw(probabilities, loop="default", event_id=name.format(i)) for i in range(100_000)], minlength=6)
    expected = 100_000 * np.array(probabilities)
    assert not drawn[expected == 0].any()
    chi_square = ((drawn - expected)[expected > 0] ** 2 / expected[expected > 0]).sum()
    assert chi_square < 16.27  # 3 degrees of freedom: a fair draw exceeds it once in a thousand


NAMES = {"in a row": lambda i: f"event-{i}", "one character apart": lambda i: f"order-{chr(0x10000 + i)}-7"}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.sweep(keep=8)
def test_what_is_drawn_follows_the_probabilities_of_every_algorithm(name, names):
    rng = np.random.default_rng(3)
    asked = rng.normal(size=6), rng.normal(size=(6, 8)), [True, True, False, True, True, True]
    probabilities = explorers(0.3, 2.0)[name](*asked)
    chances = probabilities.tolist()
    drawn = np.bincount([draw(chances, loop=name, event_id=names(i)) for i in range(100_000)], minlength=6)
    expected = 100_000 * probabilities
    assert not drawn[expected == 0].any()
    possible = expected > 0
    assert ((drawn - expected)[possible] ** 2 / expected[possible]).sum() < 20.52  # χ² of 4 degrees: once in 2,500 fair draws


def test_draws_of_neighbouring_event_ids_and_of_two_loops_are_independent():
    halves = [0.5, 0.5]
    pairs = [(draw(halves, loop="a", event_id=f"e{i}"), draw(halves, loop="a", event_id=f"e{i + 1}")) for i in range(20_000)]
    loops = [(draw(halves, loop="a", event_id=f"e{i}"), draw(halves, loop="b", event_id=f"e{i}")) for i in range(20_000)]
    for both in (pairs, loops):
        assert abs(np.corrcoef(np.array(both).T)[0, 1]) < 0.023  # 3.3 standard errors


@given(st.text(max_size=20), st.text(max_size=20))
def test_the_same_event_of_the_same_loop_is_drawn_alike(loop, event_id):
    fine = uniform([True] * 1000).tolist()
    assert draw(fine, loop=loop, event_id=event_id) == draw(fine, loop=loop, event_id=event_id)


def test_loop_and_event_id_are_told_apart():
    fine = uniform([True] * 1000).tolist()
    assert len({draw(fine, loop=loop, event_id=event_id) for loop, event_id in [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc")]}) == 4


@given(scored(), st.text(max_size=10))
def test_what_has_no_chance_is_never_drawn(situation, event_id):
    values, allowed = situation
    assert allowed[draw(squarecb(values, allowed, gamma=1e5).tolist(), loop="default", event_id=event_id)]


def test_a_sum_just_below_one_still_draws_a_possible_action():
    assert {draw([0.0, 1e-300, 0.0], loop="default", event_id=str(i)) for i in range(100)} == {1}
