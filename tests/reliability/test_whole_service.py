"""The whole service of a machine, killed, asked to end and copied at work: every acknowledged event is in the books, once."""

import pytest

from benchmarks.books import Books
from benchmarks.drills import Acknowledged, Plan, drill, wrong
from shared.domain.ledger import Counters

pytestmark = pytest.mark.slow

AT_LEAST = 20
"""Events; far more are made where the machine has nothing else to do."""


async def test_all_that_was_acknowledged_outlives_every_kill_and_is_in_each_copy_of_the_folder(tmp_path):
    found = await drill(tmp_path, Plan(kills=3, images=2), seconds=0.5)
    assert (found.kills, found.images) == (3, 2)
    assert found.lost == []
    assert found.ranked > AT_LEAST
    assert found.rewarded > 0


async def test_all_that_was_acknowledged_outlives_an_end_under_traffic_and_no_call_is_refused(tmp_path):
    found = await drill(tmp_path, Plan(ends=1), seconds=0.5)
    assert (found.ends, found.lost, found.refused) == (1, [], [])
    assert found.ranked > AT_LEAST


async def test_all_that_was_acknowledged_outlives_the_kill_of_any_one_of_several_processes(tmp_path):
    found = await drill(tmp_path, Plan(ones=4), seconds=1.0, processes=2)
    assert (found.ones, found.lost) == (4, [])
    assert found.ranked > 0


BOOKS = Books({"a": 1, "b": 1}, {"a": 1.0, "b": None}, Counters(learned=2), learned_before=0)


@pytest.mark.parametrize(
    ("books", "acknowledged"),
    [
        (BOOKS, Acknowledged(frozenset({"a", "lost"}), {})),
        (BOOKS, Acknowledged(frozenset({"a"}), {"a": 0.5})),
        (BOOKS, Acknowledged(frozenset({"a", "b"}), {"b": 1.0})),
        (Books({"a": 2}, {"a": None}, Counters(learned=1), 0), Acknowledged(frozenset(), {})),
        (Books({"a": 1}, {"a": None}, Counters(learned=2), 0), Acknowledged(frozenset({"a"}), {})),
    ],
    ids=["an event is lost", "a reward is another", "a reward is lost", "an event is there twice", "an event is counted twice"],
)
def test_books_that_are_wrong_are_told_of(books, acknowledged):
    assert len(wrong(books, acknowledged)) == 1


def test_books_that_hold_more_than_was_acknowledged_are_right():
    assert wrong(BOOKS, Acknowledged(frozenset({"a"}), {"a": 1.0})) == []
