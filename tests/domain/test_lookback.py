"""What was seen behind the watermark is told from what was not, in little room."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.clock import EPOCH, from_micros, to_micros
from shared.domain.lookback import Seen
from shared.storage.names import RowName
from tests.builders import T0, after

SECOND = timedelta(seconds=1)


def row(writer: str, number: int, second: float) -> str:
    return str(RowName(after(second), writer, number, count=3, rewards=1, size=900))


def time_of(name: str):
    return from_micros(int(name[:16]))


ROWS = st.lists(
    st.builds(row, st.sampled_from(["a1b2c3d4", "a1", "ff"]), st.integers(1, 12), st.integers(0, 8)),
    unique_by=lambda name: tuple(name.split("-")[1:3]),  # a writer numbers each of its rows anew
)
ODD = st.sampled_from(["odd", "1778976000000000", f"{to_micros(T0):016d}-a1-000003", row("a1", 3, 0) + "-x", "9" * 40])


@given(ROWS, ROWS, st.sets(ODD), st.randoms(use_true_random=False), st.integers(1, 3))
def test_exactly_what_was_seen_is_known_in_whatever_order_and_steps_it_came(seen, others, odd, chance, steps):
    names = [*seen, *odd]
    chance.shuffle(names)
    found = Seen()
    for step in range(steps):
        found = found.plus(names[step::steps], first=EPOCH)
    assert all(found.has(name, T0) for name in names)
    numbers = {tuple(name.split("-")[1:3]) for name in seen}
    unseen = [name for name in others if tuple(name.split("-")[1:3]) not in numbers]
    assert not [name for name in unseen if found.has(name, time_of(name))]
    assert found == Seen().plus(names, first=EPOCH)


def test_rows_that_follow_each_other_take_one_run_for_each_writer_however_many_they_are():
    names = [row(f"{writer:08x}", number, number) for writer in range(40) for number in range(1, 50)]
    assert len(Seen().plus(names, first=EPOCH)) == 40
    assert len(Seen().plus(names[::2], first=EPOCH)) == 40 * 49 // 2, "what was left out may still turn up"


def test_a_name_of_the_same_number_that_another_writer_sealed_long_after_or_before_is_not_taken_for_it():
    seen = Seen().plus([row("a1", number, number) for number in range(1, 9)], first=T0)
    late, early = (row("a1", 5, second) for second in (3600, -3600))
    assert not seen.has(late, after(3600))
    assert not seen.has(early, after(-3600))


def test_what_was_sealed_before_the_lookback_is_forgotten_and_what_goes_on_is_not():
    seen = Seen().plus([row("a1", number, number) for number in range(1, 9)], first=T0).plus(["odd"], first=T0)
    later = seen.plus([row("a1", 9, 9)], first=after(5))
    assert len(later) == 2
    assert [number for number in range(1, 10) if later.has(row("a1", number, number), after(number))] == [5, 6, 7, 8, 9]
    assert len(later.plus([], first=after(10))) == 1, "a name that tells no time sorts behind all that do"


@given(ROWS, st.integers(0, 12))
def test_where_too_much_was_seen_the_oldest_counts_as_seen_and_so_does_all_that_was_sealed_before_it(names, most):
    found = Seen().plus(names, first=EPOCH).at_most(most)
    assert len(found) <= most
    assert all(found.has(name, time_of(name)) for name in names)
    if len(found) < len(Seen().plus(names, first=EPOCH)):
        oldest = min(map(time_of, names))
        assert found.has(row("other", 1, -1), oldest - SECOND)
    newest = max(map(time_of, names), default=T0)
    assert not found.has(row("other", 1, 99), newest + SECOND)
