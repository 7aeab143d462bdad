import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.learning.exploration import at_most, draw, epsilon_greedy, squarecb, uniform, with_floor

percentages = st.floats(0, 1)
scores = st.floats(-1e30, 1e30)


@st.composite
def scored(draw_from):
    """Scores of up to 50 actions, some of them, not all, excluded."""
    size = draw_from(st.integers(1, 50))
    values = draw_from(st.lists(scores, min_size=size, max_size=size))
    allowed = draw_from(st.lists(st.booleans(), min_size=size, max_size=size))
    assume(any(allowed))
    return np.array(values), allowed


def explorers(epsilon, gamma):
    return [
        lambda scores, allowed: uniform(allowed),
        lambda scores, allowed: epsilon_greedy(scores, allowed, epsilon=epsilon),
        lambda scores, allowed: squarecb(scores, allowed, gamma=gamma),
        lambda scores, allowed: at_most(squarecb(scores, allowed, gamma=gamma), exploration=epsilon),
        lambda scores, allowed: with_floor(
            at_most(squarecb(scores, allowed, gamma=gamma), exploration=epsilon), allowed, floor=0.02, exploration=epsilon
        ),
    ]


@given(scored(), percentages, st.floats(0, 1e6))
def test_probabilities_are_probabilities_and_what_is_excluded_has_none(situation, epsilon, gamma):
    values, allowed = situation
    for explorer in explorers(epsilon, gamma):
        probabilities = explorer(values, allowed)
        assert probabilities.dtype == np.float64
        assert (probabilities >= 0).all()
        assert abs(probabilities.sum() - 1) <= 1e-9
        assert not probabilities[~np.array(allowed)].any()


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


@given(scored())
def test_no_exploration_is_greedy(situation):
    values, allowed = situation
    for probabilities in (
        epsilon_greedy(values, allowed, epsilon=0.0),
        with_floor(at_most(squarecb(values, allowed, gamma=1.0), exploration=0.0), allowed, floor=0.02, exploration=0.0),
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


def test_squarecb_gives_less_chance_to_a_wider_gap_and_to_more_certainty():
    values, allowed = np.array([1.0, 0.9, 0.2]), [True] * 3
    wary, sure = squarecb(values, allowed, gamma=10.0), squarecb(values, allowed, gamma=1000.0)
    assert wary[0] > wary[1] > wary[2]
    assert (sure[1:] < wary[1:]).all()
    assert squarecb(values, allowed, gamma=0.0).tolist() == pytest.approx([1 / 3] * 3)


# --- the draw ---


@pytest.mark.parametrize("name", ["event-{}", "{}", "{}-of-the-day", "Ünï-{}"])
def test_draws_of_similar_event_ids_follow_the_probabilities(name):
    probabilities = [0.5, 0.0, 0.3, 0.15, 0.05, 0.0]
    drawn = np.bincount([draw(probabilities, loop="default", event_id=name.format(i)) for i in range(100_000)], minlength=6)
    expected = 100_000 * np.array(probabilities)
    assert not drawn[expected == 0].any()
    chi_square = ((drawn - expected)[expected > 0] ** 2 / expected[expected > 0]).sum()
    assert chi_square < 16.27  # 3 degrees of freedom: a fair draw exceeds it once in a thousand


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
