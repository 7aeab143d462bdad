"""How long calls took lately: quantiles out of counts, forgotten after ten minutes."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.latency import _BINS, MINUTES, RANK, Latencies, Latency, bin_of, middle_of
from tests.builders import T0, after


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 600_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def latency(hand) -> Latency:
    return Latency(now=hand)


def test_without_calls_there_are_no_quantiles(latency):
    spread = latency.spread()
    assert (spread.count, spread.p50, spread.p95, spread.p99) == (0, None, None, None)


@given(st.integers(16, 1 << 40))
def test_a_time_is_told_within_a_32nd(micros):
    assert middle_of(bin_of(micros)) * 1e6 == pytest.approx(micros, rel=1 / 32, abs=0.5)


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_longer_times_are_in_no_earlier_bins(one, other):
    assert (bin_of(one) <= bin_of(other)) == (one <= other) or bin_of(one) == bin_of(other)
    assert 0 <= bin_of(one) < _BINS


def test_quantiles_are_those_of_the_times(latency):
    times = np.random.default_rng(0).lognormal(8.5, 0.7, 20_000)
    for each in times:
        latency.add(int(1000 * each))
    spread = latency.spread()
    assert spread.count == len(times)
    assert [spread.p50, spread.p95, spread.p99] == pytest.approx((np.quantile(times, [0.5, 0.95, 0.99]) / 1e6).tolist(), rel=0.04)


def test_what_is_older_than_ten_minutes_is_forgotten(latency, hand):
    latency.add(5_000_000)
    for minute in range(1, MINUTES):
        hand.at = 600_000.0 + 60 * minute
        assert latency.spread().count == 1
    hand.at += 60
    assert latency.spread().count == 0
    latency.add(7_000_000)
    assert latency.spread().p50 == pytest.approx(0.007, rel=1 / 32)


def test_calls_are_told_of_since_the_process_started_or_for_ten_minutes():
    latencies = Latencies(T0)
    assert latencies.since(after(60)) == T0
    assert latencies.since(after(3600)) == after(3600) - timedelta(minutes=MINUTES)
    latencies.of[RANK].add(1000)
    assert {kind: each.spread().count for kind, each in latencies.of.items()} == {"rank": 1, "reward": 0}
