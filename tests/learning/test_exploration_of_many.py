"""Many situations are explored as each of them is, by every algorithm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.learning.arguments import parse_arguments
from shared.learning.policy import Policy
from shared.learning.scorer import Scores
from tests.learning.building import random_model
from tests.learning.test_policy_algorithms import ALGORITHMS

MODEL = random_model(1)
WAYS = (*ALGORITHMS, "--first 10", "--bag 2", "--cover 5 --psi 0.1 --epsilon 0.02", "--squarecb --epsilon 0.3", "--regcbopt --epsilon 0.1")
EXPLORATION = st.sampled_from([0.0, 0.005, 0.2, 1.0])


def scores(rng: np.random.Generator, rows: int, width: int, draws: int, *, ties: bool) -> Scores:
    mean, drawn = rng.normal(size=(rows, width)), rng.normal(size=(rows, width, draws)) / 4.0
    return Scores((mean.round(0) if ties else mean).astype(np.float32), drawn.astype(np.float32))


@pytest.mark.parametrize("arguments", WAYS)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 50), st.sampled_from([0, 4]), EXPLORATION, st.booleans())
@settings(deadline=None, max_examples=25)
def test_each_row_is_what_its_situation_gets_alone(arguments, seed, rows, width, draws, exploration, ties):
    rng = np.random.default_rng(seed)
    given_, allowed = scores(rng, rows, width, draws, ties=ties), rng.random((rows, width)) < 0.7
    allowed[np.arange(rows), rng.integers(width, size=rows)] = True
    policy = Policy(MODEL, exploration, parse_arguments(f"--cb_explore_adf {arguments}"))
    together = policy.chances_of_many(given_, allowed)
    assert together.shape == (rows, width)
    for row, chances in enumerate(together):
        alone = policy.chances(Scores(given_.mean[row], given_.draws[row]), allowed[row].tolist())
        assert chances == pytest.approx(alone, abs=1e-12)
        assert chances.argmax() == np.argmax(alone)
