"""How much more one policy earns than another: told late enough to be true, with an interval, and with what is still needed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.services.figures.lifts import LEAST_EFFECTIVE, LEAST_REWARD, Estimated, lift_of

REWARDS = st.floats(-1.0, 1.0)
WIDTHS = st.floats(0.0, 1.0)


def estimated(reward: float | None, *, below: float = 0.05, above: float = 0.05, effective: float = 1000.0) -> Estimated:
    return Estimated(reward, None if reward is None else (reward - below, reward + above), effective)


@pytest.mark.parametrize("effective", [0.0, 4.0, LEAST_EFFECTIVE - 0.1])
def test_a_lift_is_not_told_by_a_few_effective_events_of_either_policy(effective):
    few, many = estimated(0.3, effective=effective), estimated(0.6)
    for own, other in ((many, few), (few, many)):
        found = lift_of(own, other, events=1500)
        assert not found.is_known
        assert (found.value, found.lower, found.upper, found.difference_interval) == (None,) * 4


@pytest.mark.parametrize(("effective", "more"), [(4.0, 18_000), (25.0, 1_500), (49.0, 31)])
def test_how_many_more_events_a_lift_takes_follows_the_effective_ones(effective, more):
    assert lift_of(estimated(0.6), estimated(0.3, effective=effective), events=1500).more_events == pytest.approx(more, rel=0.1)


@pytest.mark.parametrize(("effective", "events"), [(0.0, 1500), (0.0, 0), (1e-12, 1500)])
def test_what_cannot_be_foreseen_is_not_promised(effective, events):
    assert lift_of(estimated(0.6), estimated(0.3, effective=effective), events=events).more_events is None


def test_nothing_is_told_of_a_policy_that_no_event_tells_of():
    assert not lift_of(estimated(0.6), estimated(None), events=1500).is_known
    assert not lift_of(estimated(None), estimated(0.3), events=1500).is_known


def test_four_times_the_events_make_the_interval_half_as_wide():
    half = 0.2
    found = lift_of(estimated(1.0, below=half, above=half), estimated(1.0, below=0.0, above=0.0), events=1000)
    assert found.more_events == pytest.approx(3000, rel=0.01)
    assert lift_of(estimated(1.0, below=0.09, above=0.09), estimated(1.0, below=0.0, above=0.0), events=1000).more_events == 0


@given(own=REWARDS, other=REWARDS, widths=st.tuples(WIDTHS, WIDTHS, WIDTHS, WIDTHS))
def test_the_interval_holds_the_lift_and_all_that_both_intervals_allow(own, other, widths):
    mine, theirs = (estimated(own, below=widths[0], above=widths[1]), estimated(other, below=widths[2], above=widths[3]))
    found = lift_of(mine, theirs, events=1000)
    assert found.difference_interval is not None
    assert mine.interval is not None
    assert theirs.interval is not None
    assert found.difference_interval[0] - 1e-9 <= own - other <= found.difference_interval[1] + 1e-9
    if other < LEAST_REWARD:
        assert found.value is None
        return
    assert found.value is not None
    assert found.lower is None or found.lower <= found.value + 1e-9
    assert found.upper is None or found.value <= found.upper + 1e-9
    for least in (mine.interval[0], mine.interval[1]):
        for base in (theirs.interval[0], theirs.interval[1]):
            if theirs.interval[0] >= LEAST_REWARD:
                lift = (least - base) / base
                assert found.lower is not None
                assert found.upper is not None
                assert found.lower - 1e-6 * abs(lift) - 1e-6 <= lift <= found.upper + 1e-6 * abs(lift) + 1e-6


def test_without_a_positive_lower_end_of_the_other_policy_there_is_no_upper_end():
    found = lift_of(estimated(0.6), estimated(0.2, below=0.3), events=1000)
    assert found.upper is None
    assert found.lower == pytest.approx((0.55 - 0.25) / 0.25)
