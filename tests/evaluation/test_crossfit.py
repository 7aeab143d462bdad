"""No round is predicted by a model that knows its reward."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.evaluation.crossfit import cross_fitted


class Watched:
    """Predicts how many rounds it had learned, and remembers which."""

    def __init__(self, seen):
        self.known: set[int] = set()
        self.seen = seen

    def learn(self, places):
        self.known.update(places.tolist())

    def predict(self, places):
        self.seen.append((set(self.known), places.tolist()))
        return np.full((len(places), 2), float(len(self.known)))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_every_round_is_predicted_once_by_a_model_that_learned_all_other_folds(drawn):
    folds = np.array(drawn)
    seen: list = []
    predictions = cross_fitted(lambda: Watched(seen), folds, highest=1e9)
    assert sorted(place for _, places in seen for place in places) == list(range(len(folds)))
    for known, places in seen:
        assert known == set(np.flatnonzero(folds != folds[places[0]]).tolist())
    assert predictions[:, 0].tolist() == [float((folds != fold).sum()) for fold in drawn]


def test_predictions_are_held_within_the_range_of_rewards():
    folds = np.arange(100) % 2
    assert cross_fitted(lambda: Watched([]), folds).max() == 1.0
    assert cross_fitted(lambda: Watched([]), folds, lowest=-1.0, highest=0.0).max() == 0.0
