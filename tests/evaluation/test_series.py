"""Buckets of 5 minutes: merged, made longer, added up and rolled over."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import UnreadableError
from shared.evaluation.moments import Moments
from shared.evaluation.series import MINUTES, Series
from tests.evaluation.building import random_choices, seeds


@st.composite
def timed(draw):
    """Rounds and the minutes that they were decided in, in any order."""
    n = draw(st.integers(1, 60))
    minutes = np.random.default_rng(draw(seeds)).integers(29_000_000, 29_000_000 + draw(st.integers(1, 4000)), size=n)
    return random_choices(draw(seeds), n=n).rounds, minutes


def assert_same(one, other):
    np.testing.assert_array_equal(one.buckets, other.buckets)
    for name, values in one.moments.plain().items():
        np.testing.assert_allclose(values, other.moments.plain()[name], rtol=1e-12, atol=1e-12, err_msg=name)


def sums_within(rounds, minutes, first, last):
    """Sum up, the plain way, what was decided from one minute up to another one."""
    return Moments.of(rounds.cut((minutes >= first) & (minutes < last))).plain()


def assert_sums(series, number, wanted):
    for name, value in series.moments.taken((..., number)).plain().items():
        assert value == pytest.approx(wanted[name], rel=1e-9, abs=1e-9), name


@settings(max_examples=60, deadline=None)
@given(timed(), st.integers(0, 60))
def test_shards_merge_to_the_series_of_the_whole_log(log, cut):
    rounds, minutes = log
    one, other = (Series.of(rounds.cut(part), minutes[part]) for part in (slice(cut), slice(cut, None)))
    assert_same(one + other, Series.of(rounds, minutes))
    assert_same(other + one, Series.of(rounds, minutes))


@settings(max_examples=60, deadline=None)
@given(timed())
def test_each_bucket_holds_its_five_minutes_and_only_such_with_rounds_are_there(log):
    rounds, minutes = log
    series = Series.of(rounds, minutes)
    assert series.buckets.tolist() == sorted(set((minutes // MINUTES).tolist()))
    for number, bucket in enumerate(series.buckets.tolist()):
        assert_sums(series, number, sums_within(rounds, minutes, bucket * MINUTES, (bucket + 1) * MINUTES))


@settings(max_examples=30, deadline=None)
@given(timed())
def test_the_total_is_that_of_all_rounds(log):
    rounds, minutes = log
    total = Series.of(rounds, minutes).total.plain()
    for name, value in Moments.of(rounds).plain().items():
        assert total[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name


@settings(max_examples=30, deadline=None)
@given(timed())
def test_a_series_is_plain_numbers_and_back(log):
    series = Series.of(*log)
    text = json.dumps(series.plain(), allow_nan=False)
    assert Series.of_plain(json.loads(text)).plain() == series.plain()


def test_buckets_begin_at_whole_multiples_after_1970():
    minute = int(datetime(2026, 5, 17, 13, 7, tzinfo=UTC).timestamp()) // 60
    series = Series.of(random_choices(1, n=1).rounds, np.array([minute]))
    assert series.begins == [datetime(2026, 5, 17, 13, 5, tzinfo=UTC)]
    assert series.coarser(60).begins == [datetime(2026, 5, 17, 13, 0, tzinfo=UTC)]
    assert series.coarser(1440).begins == [datetime(2026, 5, 17, tzinfo=UTC)]


def test_a_series_of_nothing_merges_and_adds_up():
    empty = Series.of(random_choices(1, n=3).rounds.cut(slice(0)), np.zeros(0, dtype=np.int64))
    full = Series.of(random_choices(1, n=3).rounds, np.array([5, 7, 12]))
    assert_same(empty + full, full)
    assert float(empty.total.rounds) == 0.0
    assert len(empty.expanding().coarser(60).buckets) == 0
    assert_same(Series.of_plain(empty.plain()), empty)


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.pop("minutes"),
        lambda plain: plain.update(minutes=7),
        lambda plain: plain.update(buckets=[2, 1]),
        lambda plain: plain.update(buckets=[1, 1]),
        lambda plain: plain.update(buckets=[1, 2.5]),
        lambda plain: plain.update(buckets=[1]),
        lambda plain: plain.update(buckets=[1, 10**400]),
        lambda plain: plain.update(buckets=list(range(200_000))),
        lambda plain: plain["moments"].pop("d"),
    ],
)
def test_a_damaged_series_is_refused(change):
    plain = Series.of(random_choices(1, n=2).rounds, np.array([1, 9])).plain()
    change(plain)
    with pytest.raises(UnreadableError):
        Series.of_plain(plain)


def test_series_of_different_buckets_do_not_merge():
    series = Series.of(random_choices(1, n=2).rounds, np.array([1, 9]))
    with pytest.raises(UnreadableError):
        _ = series + series.coarser(60)
