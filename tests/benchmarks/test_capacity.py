"""The plan on paper: it adds up, and the page shows what it computes."""

import pytest

from benchmarks.capacity import CASES, Capacity, table
from tests.running import REPOSITORY

PAGE = REPOSITORY / "docs" / "concepts" / "scalability.md"


def test_the_page_shows_the_table_that_is_computed():
    assert table() in PAGE.read_text("utf-8")


def test_the_table_reaches_from_one_to_ten_thousand_calls_and_from_one_to_a_thousand_loops():
    assert {ranks for ranks, _ in CASES} >= {1, 10_000}
    assert {loops for _, loops in CASES} >= {1, 1_000}


@pytest.mark.parametrize(("ranks", "loops"), CASES)
def test_more_calls_or_more_loops_never_take_less(ranks, loops):
    for less, more in ((Capacity(ranks, loops), Capacity(2 * ranks, loops)), (Capacity(ranks, loops), Capacity(ranks, 2 * loops))):
        assert less.instances <= more.instances
        assert less.deployments <= more.deployments
        assert less.operations <= 1.001 * more.operations
        assert less.dollars <= 1.001 * more.dollars


def test_a_loop_beyond_what_one_trainer_learns_and_an_account_beyond_its_calls_are_named():
    assert Capacity(10_000, 1).breaks_first == "the trainer of a loop"
    assert Capacity(10_000, 1_000).breaks_first == "operations of the account"
    assert Capacity(10_000, 1_000).deployments == 2


def test_rows_follow_the_instances_once_calls_come_faster_than_a_row_is_written():
    one = Capacity(200, 1)
    assert one.rows < 2 * one.ranks + 1
    busy = Capacity(10_000, 1)
    assert busy.rows == 2 * busy.instances / 0.01
