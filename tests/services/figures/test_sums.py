"""Sums over learned events: what was earned, and what other policies would have."""

from dataclasses import astuple, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.events import JoinedEvent, SkipReason
from shared.services.figures.logged import logged
from shared.services.figures.sums import Figures
from shared.services.figures.sums import figures as summed
from tests.builders import apprentice, decision


def joined(reward: float, *, chosen: int = 0, probabilities=(0.75, 0.25), slot: str = "", skip=None) -> JoinedEvent:
    return JoinedEvent(decision(chosen=chosen, probabilities=probabilities, slot=slot), reward, skip=skip)


def figures(events) -> Figures:
    return summed(logged(events))


def test_of_nothing_they_are_nothing():
    assert figures([]) == Figures()


def test_an_event_of_the_likeliest_action_stands_for_all_that_would_have_met_it():
    assert astuple(figures([joined(0.5)])) == pytest.approx((1, 0, 0.5, 4 / 3, 2 / 3, 4 / 3, 2 / 3))


def test_an_event_of_another_action_is_exploration_and_says_nothing_of_the_best():
    assert figures([joined(1.0, chosen=1)]) == Figures(learned=1, explored=1, reward_sum=1.0)


def test_the_baseline_is_the_first_action_that_was_not_excluded():
    found = figures([joined(1.0, chosen=1, probabilities=(0.0, 0.25, 0.75))])
    assert (found.baseline_weight, found.baseline_reward_sum, found.explored) == (4.0, 4.0, 1)


def test_a_slot_has_a_baseline_of_its_own_and_is_left_out_of_that_one():
    found = figures([joined(1.0, slot="top")])
    assert (found.learned, found.baseline_weight) == (1, 0.0)


@pytest.mark.parametrize("reason", SkipReason)
def test_what_is_not_learned_does_not_count(reason):
    assert figures([joined(1.0, skip=reason)]) == Figures()


def test_in_apprentice_mode_all_three_are_the_baseline():
    found = figures([JoinedEvent(apprentice(), 0.5)])
    assert astuple(found) == (1, 0, 0.5, 1.0, 0.5, 1.0, 0.5)


@pytest.mark.parametrize(
    ("probabilities", "chosen", "is_explored"),
    [
        ((0.5, 0.5), 1, True),
        ((0.3333333, 0.3333333, 0.3333334), 2, True),
        ((0.4, 0.4, 0.2), 0, True),
        ((0.5, 0.5, 0.0), 0, True),
        ((0.6, 0.2, 0.2), 0, False),
        ((0.6, 0.2, 0.2), 1, True),
        ((1.0, 0.0), 0, False),
        ((1.0,), 0, False),
    ],
)
def test_chance_chose_where_another_was_drawn_than_the_likeliest_or_several_were(probabilities, chosen, is_explored):
    event = joined(1.0, chosen=chosen, probabilities=probabilities)
    assert (figures([event]).explored, event.decision.is_explored) == (int(is_explored), is_explored)


events = st.lists(st.builds(joined, st.floats(-1, 1), chosen=st.integers(0, 1)), max_size=20)


@given(events, events)
def test_windows_add_up(first, second):
    whole, parts = figures([*first, *second]), (figures(first), figures(second))
    for each in fields(Figures):
        assert getattr(whole, each.name) == pytest.approx(sum(getattr(part, each.name) for part in parts))


@given(st.floats(0.05, 0.95))
def test_the_estimates_are_right_on_average(probability):
    """Weighed by how often each outcome happens, the weights come to 1 and the rewards to what the policy would have earned."""
    chance = (probability, 1 - probability)
    rewards = (0.25, 0.75)
    found = [figures([joined(rewards[chosen], chosen=chosen, probabilities=chance)]) for chosen in (0, 1)]
    assert sum(p * each.baseline_weight for p, each in zip(chance, found, strict=True)) == pytest.approx(1.0)
    assert sum(p * each.baseline_reward_sum for p, each in zip(chance, found, strict=True)) == pytest.approx(rewards[0])
