from math import comb, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.learning.exploration import draw
from shared.learning.holdout import is_held_out, later_chance, mixed

EVENTS = [f"event-{number}" for number in range(20_000)]


def held(share: float, *, loop: str = "default") -> list[bool]:
    return [is_held_out(share, loop=loop, event_id=each) for each in EVENTS]


def is_likely(count: int, of: int, chance: float) -> bool:
    """Whether a count is within five standard deviations."""
    return bool(abs(count - of * chance) <= 5.0 * (of * chance * (1.0 - chance)) ** 0.5)


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.9])
def test_the_share_that_was_asked_for_is_held_out(share):
    assert is_likely(sum(held(share)), len(EVENTS), share)


def test_none_is_held_out_of_a_share_of_0():
    assert not any(held(0.0))


def test_a_larger_share_holds_out_all_that_a_smaller_one_does():
    for smaller, larger in zip(held(0.1), held(0.3), strict=True):
        assert larger or not smaller


def test_loops_hold_out_other_events():
    both = [one and other for one, other in zip(held(0.2), held(0.2, loop="news"), strict=True)]
    assert is_likely(sum(both), len(EVENTS), 0.04)


def test_the_draw_of_an_action_tells_nothing_of_who_is_held_out():
    first = [draw([0.5, 0.5], loop="default", event_id=each) == 0 for each in EVENTS]
    both = [one and other for one, other in zip(held(0.2), first, strict=True)]
    assert is_likely(sum(both), len(EVENTS), 0.1)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=50).filter(lambda each: sum(each) > 0.01), st.floats(0.0, 1.0), st.data())
def test_mixed_probabilities_sum_to_1_and_what_cannot_be_drawn_stays_at_0(weights, chance, data):
    probabilities = [each / sum(weights) for each in weights]
    baseline = data.draw(st.integers(0, len(weights) - 1))
    found = mixed(probabilities, baseline=baseline, chance=chance)
    assert isclose(sum(found), 1.0, rel_tol=1e-9)
    assert found[baseline] >= chance
    assert all(new == 0.0 for index, new in enumerate(found) if probabilities[index] == 0.0 and index != baseline)


@given(st.floats(0.001, 0.9), st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6))
def test_the_probabilities_of_slots_multiply_to_that_of_all_they_show(share, chances):
    """Slots with two actions each, where the first is the baseline, and all show it, or the last one does not."""
    for last in (0, 1):
        chance, product, alone = share, 1.0, 1.0
        for number, first in enumerate(chances):
            chosen = last if number == len(chances) - 1 else 0
            probabilities = mixed([first, 1.0 - first], baseline=0, chance=chance)
            product *= probabilities[chosen]
            alone *= (first, 1.0 - first)[chosen]
            chance = later_chance(chance, probabilities, baseline=0, chosen=chosen)
        assert isclose(product, share * (last == 0) + (1.0 - share) * alone, rel_tol=1e-6)


def test_the_share_of_a_small_number_of_events_is_drawn_independently():
    """Of groups of ten events, as many hold out none, one or two as the binomial distribution says."""
    all_held = held(0.1)
    groups = [sum(all_held[start : start + 10]) for start in range(0, 2_000, 10)]
    for count in (0, 1, 2):
        assert is_likely(groups.count(count), len(groups), comb(10, count) * 0.1**count * 0.9 ** (10 - count))
