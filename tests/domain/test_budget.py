"""What is kept at hand by all loops together takes no more than its budget, and what is in use stays as long as it can."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.budget import Budget
from tests.clocks import Ticks


class Thing:
    """Holds parts of so many bytes, the last of which goes first."""

    def __init__(self, now: float, *parts: int) -> None:
        self.used_at = now
        self.parts = list(parts)

    @property
    def size(self) -> int:
        return sum(self.parts)

    def let_go(self) -> int:
        self.parts.pop()
        return self.size


class Place:
    """A budget, and the clock that it goes by."""

    def __init__(self, most: int) -> None:
        self.ticks = Ticks(0.0)
        self.budget = Budget(most, in_use=timedelta(seconds=60), monotonic=self.ticks)

    def thing(self, *parts: int) -> Thing:
        thing = Thing(self.ticks(), *parts)
        self.budget.hold(thing, thing.size)
        return thing


@given(st.integers(1, 1_000), st.lists(st.tuples(st.integers(0, 100), st.lists(st.integers(1, 400), max_size=4)), max_size=60))
def test_no_more_is_held_than_the_budget_beside_what_came_last_and_what_is_told_is_so(most, coming):
    place, things = Place(most), []
    for seconds, parts in coming:
        place.ticks.now += seconds
        things.append(place.thing(*parts))
        assert sum(each.size for each in things) == place.budget.held <= most + things[-1].size
        assert things[-1].parts == parts


def test_what_nobody_uses_goes_first_the_longest_unused_before_the_others():
    place = Place(30)
    old, older, used = (place.thing(10) for _ in range(3))
    place.ticks.now += 100
    older.used_at, old.used_at, used.used_at = 0.0, 1.0, place.ticks()
    place.thing(1)
    assert (older.size, old.size, used.size) == (0, 10, 10)
    place.thing(10)
    assert (old.size, used.size) == (0, 10)


def test_a_thing_gives_up_one_part_before_another_gives_up_two():
    place = Place(40)
    things = [place.thing(5, 5) for _ in range(4)]
    place.ticks.now += 100
    place.thing(10)
    assert sorted(each.size for each in things) == [5, 5, 5, 10]


def test_where_things_are_used_in_turn_and_nearly_all_fit_most_are_there_when_their_turn_comes():
    place = Place(90)
    things = [place.thing(1) for _ in range(100)]
    missed = 0
    for number in range(2_000):
        place.ticks.now += 0.1
        thing = things[number % 100]
        thing.used_at = place.ticks()
        if not thing.parts:
            missed += 1
            thing.parts = [1]
            place.budget.hold(thing, 1)
    assert missed < 1_000
    assert place.budget.held <= 91


def test_what_only_fits_if_something_in_use_goes_does_not_fit_and_changes_nothing():
    place = Place(20)
    used, unused = place.thing(10), place.thing(5)
    place.ticks.now += 100
    used.used_at = place.ticks()
    new = Thing(place.ticks(), 15)
    assert not place.budget.fits(new, 15)
    assert used.size == 10
    assert place.budget.fits(new, 8)
    assert (used.size, unused.size, place.budget.held) == (10, 0, 18)


def test_what_is_dropped_counts_no_more():
    place = Place(20)
    thing = place.thing(10)
    place.budget.drop(thing)
    place.budget.drop(Thing(0.0))
    assert place.budget.held == 0
    place.budget.hold(thing, 0)
    assert place.budget.held == 0
