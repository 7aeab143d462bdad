"""Names that carry something."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.clock import from_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.loop import LOOP_NAME, MOST_LIVES, LoopRecord, is_loop_name
from shared.storage.names import FORMAT, DayTable, Kind, RowName, row_time
from shared.storage.segments import MAX_BYTES, MAX_EVENTS
from tests.builders import T0

segment_names = st.integers(0, MAX_EVENTS).flatmap(
    lambda count: st.builds(
        RowName,
        sealed_at=st.integers(0, 4_000_000_000_000_000).map(from_micros),
        writer=st.text("0123456789abcdef", min_size=8, max_size=8),
        number=st.integers(0, 10**9),
        count=st.just(count),
        rewards=st.integers(0, count),
        size=st.integers(0, 10**9),
    )
)


@given(segment_names)
def test_a_segments_name_is_read_as_it_was_written(name):
    assert RowName.parse(str(name)) == name


@given(segment_names, segment_names)
def test_names_sort_by_the_time_of_sealing(one, other):
    assert (str(one) >= row_time(other.sealed_at)) == (one.sealed_at >= other.sealed_at)
    assert str(one) < row_time(one.sealed_at + timedelta(microseconds=1))


places = st.from_regex(r"\A[a-z][a-z0-9]{0,30}(x[0-9]{4})?\Z")
tables = st.builds(DayTable, places, st.integers(1, 10**9 - 1), st.sampled_from(Kind), st.dates(date(2000, 1, 1), date(9999, 12, 31)))


@given(tables)
def test_a_tables_name_is_read_as_it_was_written_however_often_its_log_was_deleted(table):
    assert DayTable.parse(table.name) == table
    assert len(table.name) <= 63
    assert table.name.isalnum()


@given(tables, tables)
def test_no_two_tables_share_a_name(one, other):
    assert (one.name == other.name) == (one == other)


@pytest.mark.parametrize(
    "name", ["ax001d20260517", "ax00001d20260517", "ax0001d20260532", "ax0001e20260517", "x0001d20260517", "ax٠٠٠١d20260517"]
)
def test_what_is_no_tables_name_is_none_of_ours(name):
    assert DayTable.parse(name) is None


@given(
    st.from_regex(LOOP_NAME, fullmatch=True),
    st.integers(1, MOST_LIVES),
    st.from_regex(LOOP_NAME, fullmatch=True),
    st.integers(1, MOST_LIVES),
)
def test_no_two_lives_of_loops_share_a_place(one, life, other, other_life):
    for name, another in ((one, other), (one, f"{one}x{other_life:04d}"), (one, f"{one}x{life:04d}x0001")):
        lives = [LoopRecord(each, life=number) for each, number in ((name, life), (another, other_life)) if is_loop_name(each)]
        assert len({each.place for each in lives}) == len({(each.name, each.life) for each in lives if each.name != "default"} or {()})


def test_a_name_of_a_later_release_is_refused_by_name_whatever_else_it_says():
    with pytest.raises(NewerFormatError, match=f"version {FORMAT + 1}.*upgrade"):
        RowName.parse(f"{row_time(T0)}-a1b2-000001-{FORMAT + 1}-who-knows-what")


@pytest.mark.parametrize(("count", "size"), [(1, 16 * 1024), (10, 160 * 1024), (4_000, MAX_BYTES), (0, 16 * 1024)])
def test_a_name_that_does_not_tell_the_size_is_taken_for_a_large_one(count, size):
    name = RowName.parse(f"{row_time(T0)}-a1b2c3d4-000007-1-{count}-0")
    assert (name.count, name.rewards, name.size) == (count, 0, size)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "row",
        "1-a-1-1-1",
        "x-a-000001-1-1-0",
        f"{10**30}-a-000001-1-1-0",
        f"{row_time(T0)}-a-000001-1-1",
        f"{row_time(T0)}-a-000001-1-1-0-0",
        f"{row_time(T0)}-a-000001-2-1-0",
        f"{row_time(T0)}-a-000001-0-1-0",
        f"{row_time(T0)}-a-000001-2-1-2-0",
        f"{row_time(T0)}-a-000001-2-{MAX_EVENTS + 1}-0-9",
    ],
)
def test_what_is_no_segments_name_is_unreadable(name):
    with pytest.raises(UnreadableError):
        RowName.parse(name)


@pytest.mark.parametrize("odd", ["+1", " 1", "1 ", "1_0", "-1", "01", "١", "1\n", "", "9" * 5_000])
@pytest.mark.parametrize("place", range(3, 6))
def test_numbers_in_names_are_read_strictly(odd, place):
    parts = [row_time(T0), "a1b2", "000001-2", "1", "1", "1"]
    assert RowName.parse("-".join(parts))
    parts[place] = odd
    with pytest.raises(UnreadableError):
        RowName.parse("-".join(parts))
