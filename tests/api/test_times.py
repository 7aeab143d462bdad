"""Points in time on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api.times import read_time, written_time


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_back(at):
    assert read_time(written_time(at)) == at


@pytest.mark.parametrize(
    "text", ["2019-01-12T02:00:00+02:00", "2019-01-12T00:00:00 00:00", "2019-01-12", "2019-01-12 00:00", "2019-01-12T00:00:00.0000000Z"]
)
def test_all_ways_to_write_one_moment_are_read_as_that_moment(text):
    assert read_time(text) == datetime(2019, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1547251200",
        "20190112",
        "2019-W02-6",
        "2019-13-01",
        "2019-02-30",
        "2019-01-12T25:00:00Z",
        "0001-01-01T00:00:00+05:00",
    ],
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        read_time(text)


def test_other_zones_are_written_in_utc():
    assert written_time(datetime(2019, 1, 12, 2, tzinfo=timezone(timedelta(hours=2)))) == "2019-01-12T00:00:00Z"
