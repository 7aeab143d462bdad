import numpy as np
import pytest

from shared.learning.encoding import Encoder
from shared.learning.model import CELLS, Model, cells
from tests.learning.building import encoded, learned_from, random_model, situation


def test_a_cold_model_scores_everything_alike():
    cold = Model.cold()
    assert cold.is_cold
    assert cold.scores(encoded({"u": {"a": 1}}, [{}, {"b": 2}])).tolist() == [0.0, 0.0]


def test_the_weights_cannot_be_written_to():
    for model in (Model.cold(), learned_from([encoded({}).logged(0)], [1.0]).model()):
        with pytest.raises(ValueError, match="read-only"):
            model.weights[0] = 1.0


def test_a_score_is_the_sum_over_all_crosses():
    model, asked = random_model(3), encoded({"u": {"a": 0.5, "b": "x"}}, [{"c": 2}, {"d": "y", "e": -1}])
    for row, score in enumerate(model.scores(asked)):
        crosses = [
            float(model.weights[cells(asked.context_hashes[i : i + 1], asked.action_hashes[row, j : j + 1])[0]]) * float(c) * float(a)
            for i, c in enumerate(asked.context_values)
            for j, a in enumerate(asked.action_values[row])
        ]
        assert score == pytest.approx(sum(crosses), rel=1e-9)


def test_an_actions_score_does_not_depend_on_the_company():
    model, encoder = random_model(4), Encoder()
    actions = [{"v": {f"n{i}": 1.5 for i in range(size)}} for size in (0, 1, 9, 30)]
    together = model.scores(encoder.encode(situation({"u": {"a": 1}}, actions)))
    without_wide = model.scores(encoder.encode(situation({"u": {"a": 1}}, actions[:2])))
    np.testing.assert_allclose(together[:2], without_wide, rtol=1e-12)


def test_crosses_are_spread_over_all_cells():
    rng = np.random.default_rng(5)
    hashes = rng.integers(0, 1 << 32, size=(2, 2000), dtype=np.uint32) | np.uint32(1)
    met = np.bincount(cells(hashes[0][:, None], hashes[1]).ravel(), minlength=CELLS)
    assert met.mean() == pytest.approx(15.26, abs=0.01)
    assert met.std() == pytest.approx(15.26**0.5, rel=0.1)  # as if thrown at random
