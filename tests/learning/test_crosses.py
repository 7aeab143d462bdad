import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.learning.crosses import CELLS, Crosses, cells, counted, crossed
from shared.learning.measures import Measures
from tests.learning.building import batch_of, encoded, random_batch


@st.composite
def sparse(draw):
    """Crosses of one to ten events, in places of a table of so many."""
    rng, size = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.integers(1, 20))
    starts = np.concatenate([[0], np.cumsum(rng.integers(1, 9, draw(st.integers(1, 10))))])
    return Crosses(rng.integers(0, size, starts[-1]), rng.normal(size=starts[-1]), starts), size


def dense(crosses, size):
    table = np.zeros((len(crosses), size))
    for event in range(len(crosses)):
        own = slice(crosses.starts[event], crosses.starts[event + 1])
        np.add.at(table[event], crosses.cells[own], crosses.values[own])
    return table


@given(sparse(), st.integers(1, 3))
@settings(deadline=None)
def test_sums_and_spread_are_products_with_a_matrix_and_its_transpose(made, columns):
    crosses, size = made
    rng = np.random.default_rng(1)
    of_cells, of_events = rng.normal(size=(columns, size)), rng.normal(size=(columns, len(crosses)))
    matrix = dense(crosses, size)
    np.testing.assert_allclose(crosses.sums(of_cells), of_cells @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(crosses.spread(of_events, size), of_events @ matrix, atol=1e-12)


@given(sparse(), st.data())
@settings(deadline=None)
def test_cut_apart_and_joined_they_are_the_same_again(made, data):
    crosses, size = made
    at = data.draw(st.integers(0, len(crosses)))
    again = crosses.cut(0, at).joined(crosses.cut(at, len(crosses)))
    assert dense(again, size).tolist() == dense(crosses, size).tolist()


def test_each_feature_of_the_context_meets_each_of_the_action():
    asked = encoded({"u": {"a": 0.5, "b": "x"}}, [{}, {"d": "y", "e": -1}])
    batch = batch_of([asked.logged(0), asked.logged(1)], [0, 0])
    crosses = crossed(batch, Measures.none())
    assert counted(batch).tolist() == np.diff(crosses.starts).tolist() == [3, 9]
    for event in range(2):
        own, action = slice(crosses.starts[event], crosses.starts[event + 1]), asked.actions[event]
        expected = [
            (int(cells(np.array([name], np.uint32), np.array([partner], np.uint32))[0]), value * partners)
            for name, value in zip(asked.context.hashes, asked.context.values, strict=True)
            for partner, partners in zip(action.hashes, action.values, strict=True)
        ]
        assert list(zip(crosses.cells[own].tolist(), crosses.values[own].tolist(), strict=True)) == expected


def test_crosses_do_not_depend_on_the_company():
    batch = random_batch(5, 30)
    together = crossed(batch, Measures.none())
    for at in range(30):
        own, alone = slice(together.starts[at], together.starts[at + 1]), crossed(batch.cut(at, at + 1), Measures.none())
        assert together.cells[own].tolist() == alone.cells.tolist()
        assert together.values[own].tolist() == alone.values.tolist()


def test_crosses_are_spread_over_all_cells():
    rng = np.random.default_rng(5)
    hashes = rng.integers(0, 1 << 32, size=(2, 2000), dtype=np.uint32) | np.uint32(1)
    met = np.bincount(cells(hashes[0][:, None], hashes[1]).ravel(), minlength=CELLS)
    assert met.mean() == pytest.approx(15.26, abs=0.01)
    assert met.std() == pytest.approx(15.26**0.5, rel=0.1)  # as if thrown at random
