"""Predictions of rewards that no estimator can be fooled by: each is made by a model that has not seen the round.

The model comes from outside, as a `RewardModel`. Cross-fitted predictions (Chernozhukov et al. 2018, arXiv 1608.00060) serve a log that is
complete; confidence sequences need progressive ones, made without what comes later, as `shared.services.analysis.lane` makes them.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np

from shared.evaluation.rounds import Integers
from shared.evaluation.sums import Floats

FOLDS: Final = 5


class RewardModel(Protocol):
    """Learns from logged rounds, named by their places in the log, and predicts the reward of every action in others."""

    def learn(self, places: Integers) -> None:
        """Learn from the chosen actions' rewards, in this order."""
        ...

    def predict(self, places: Integers) -> Floats:
        """Give the predictions, [len(places), K], anything where a round has fewer actions."""
        ...


def cross_fitted(fresh: Callable[[], RewardModel], folds: Integers, *, lowest: float = 0.0, highest: float = 1.0) -> Floats:
    """Predict each fold by a fresh model that learned all others; the predictions are held within the range of rewards."""
    parts = []
    for fold in np.unique(folds):
        model, places = fresh(), np.flatnonzero(folds == fold)
        model.learn(np.flatnonzero(folds != fold))
        parts.append((places, model.predict(places)))
    return _assembled(parts, len(folds), lowest, highest)


def _assembled(parts: Sequence[tuple[Integers, Floats]], rounds: int, lowest: float, highest: float) -> Floats:
    width = max((predictions.shape[1] for _, predictions in parts), default=0)
    whole = np.zeros((rounds, width))
    for places, predictions in parts:
        whole[places, : predictions.shape[1]] = np.clip(predictions, lowest, highest)
    return whole
