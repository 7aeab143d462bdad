"""Sums by key: they add up whatever is kept, the most frequent keys are kept, and what is told of a key is never too much."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.clock import EPOCH
from shared.services.breakdowns.table import DAY, DAYS_KEPT, OTHER, Earned, Table, nothing

windows = st.lists(st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.integers(-1, 2)), min_size=1, max_size=30), max_size=12)
NOON = 20_000 * DAY + DAY // 2
UNTIL = EPOCH + timedelta(minutes=NOON)


def table(events: list[tuple[str, int]], *, at: int = NOON) -> Table[Earned]:
    rewards = np.array([reward for _, reward in events], dtype=np.float64)
    minutes = np.full(len(events), at, dtype=np.int64)
    return Table.of([key for key, _ in events], minutes, rewards, Earned(np.ones(len(events)), rewards, rewards**2))


def after(log: list[list[tuple[str, int]]], *, most: int) -> Table[Earned]:
    found = nothing(Earned)
    for number, window in enumerate(log):
        found = found.plus(table(window, at=NOON + number), most=most).folded(UNTIL)
    return found


def counts(found: Table[Earned]) -> dict[str, float]:
    return dict(zip(found.keys.texts, found.events.tolist(), strict=True))


@given(windows, st.integers(1, 12))
def test_all_sums_add_up_to_those_of_all_events(log, most):
    found, events = after(log, most=most), [event for window in log for event in window]
    assert len(found.keys) <= most
    assert found.sums.events.sum() == len(events)
    assert found.sums.rewards.sum() == sum(reward for _, reward in events)
    assert found.sums.squares.sum() == sum(reward**2 for _, reward in events)


@given(windows, st.integers(1, 12))
def test_a_key_is_told_of_no_more_events_than_it_had_and_what_is_missed_covers_the_rest(log, most):
    found, true = after(log, most=most), Counter(key for window in log for key, _ in window)
    missed = dict(zip(found.keys.texts, found.keys.missed.tolist(), strict=True))
    for key, count in counts(found).items():
        assert count <= true[key] <= count + missed[key]


@given(windows, st.integers(1, 12))
def test_whatever_is_not_kept_had_at_most_the_floor_and_that_is_at_most_an_even_share(log, most):
    found, true = after(log, most=most), Counter(key for window in log for key, _ in window)
    assert all(count <= found.floor for key, count in true.items() if key not in found.keys.texts)
    assert found.floor <= sum(true.values()) / most


@given(windows)
def test_with_room_for_all_it_does_not_matter_how_the_log_was_cut(log):
    cut, whole = after(log, most=12), nothing(Earned)
    if log:
        whole = whole.plus(table([event for window in log for event in window]), most=12)
    assert (counts(cut), cut.floor, cut.keys.missed.tolist()) == (counts(whole), 0.0, whole.keys.missed.tolist())
    assert not (cut.places == OTHER).any()


def test_of_equally_frequent_keys_those_that_are_kept_stay():
    found = nothing(Earned).plus(table([("b", 0), ("c", 0)]), most=2)
    found = found.plus(table([("a", 0)]), most=2)
    assert (found.keys.texts, found.floor) == (("b", "c"), 1.0)
    found = found.plus(table([("a", 0)]), most=2)
    assert found.keys.texts == ("a", "b"), "it may have had one event before, and had one now"
    assert (found.keys.missed.tolist(), found.floor) == ([1.0, 0.0], 1.0)


def test_hours_of_earlier_days_are_put_together_and_old_days_go():
    found = nothing(Earned)
    for minutes in (NOON - 100 * DAY, NOON - 3 * DAY, NOON - 3 * DAY + 60, NOON - DAY, NOON - DAY + 60, NOON):
        found = found.plus(table([("a", 1)], at=minutes), most=2)
    folded = found.folded(UNTIL)
    assert [(begin - NOON) / DAY for begin in folded.begins.tolist()] == pytest.approx([-3.5, -1.0, -1.0 + 60 / DAY, 0.0])
    assert folded.sums.events.tolist() == [2, 1, 1, 1]
    again = folded.folded(UNTIL).folded(UNTIL - timedelta(days=1))
    assert (again.begins.tolist(), again.sums.events.tolist()) == (folded.begins.tolist(), folded.sums.events.tolist())
    assert not len(found.folded(UNTIL + timedelta(days=DAYS_KEPT + 1)).keys), "a key without events is none"


def test_events_that_cannot_be_told_apart_are_among_the_others():
    ones = np.ones(3)
    found = Table.of([None, "a", None], np.full(3, NOON), ones, Earned(ones, ones, ones))
    assert (found.places.tolist(), found.sums.events.tolist()) == ([OTHER, 0], [2, 1])
