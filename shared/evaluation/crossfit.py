"""Predictions of rewards that no estimator can be fooled by: each is made by a model that has not seen the round.

The model comes from outside, as a `RewardModel`. Cross-fitted predictions (Chernozhukov et al. 2018, arXiv 1608.00060) serve a finished
evaluation; confidence sequences need progressive ones, made without what comes later.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Final, Protocol

import numpy as np

from shared.evaluation.rounds import Integers
from shared.evaluation.sums import Floats

FOLDS: Final = 5
FIRST_BLOCK: Final = 50
GROWTH: Final = 0.1
"""A block of progressive predictions is this part of all before it: later ones gain less from one more round."""


class RewardModel(Protocol):
    """Learns from logged rounds, named by their places in the log, and predicts the reward of every action in others."""

    def learn(self, places: Integers) -> None:
        """Learn from the chosen actions' rewards, in this order."""
        ...

    def predict(self, places: Integers) -> Floats:
        """Give the predictions, [len(places), K], anything where a round has fewer actions."""
        ...


def folds_of(event_ids: Sequence[str], *, folds: int = FOLDS) -> Integers:
    """Put each event into a fold by its id: the same one in every shard and every run.

    >>> folds_of(["a", "b", "c", "a"]).tolist()
    [3, 3, 0, 3]
    """
    return np.array([_fold(each, folds) for each in event_ids], dtype=np.int64)


def _fold(event_id: str, folds: int) -> int:
    return int.from_bytes(blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") % folds


def cross_fitted(fresh: Callable[[], RewardModel], folds: Integers, *, lowest: float = 0.0, highest: float = 1.0) -> Floats:
    """Predict each fold by a fresh model that learned all others; the predictions are held within the range of rewards."""
    parts = []
    for fold in np.unique(folds):
        model, places = fresh(), np.flatnonzero(folds == fold)
        model.learn(np.flatnonzero(folds != fold))
        parts.append((places, model.predict(places)))
    return _assembled(parts, len(folds), lowest, highest)


def progressive(model: RewardModel, rounds: int, *, lowest: float = 0.0, highest: float = 1.0) -> Floats:
    """Predict block by block, in time order, each before it is learned; the predictions are held within the range of rewards."""
    parts = []
    for places in blocks(rounds):
        parts.append((places, model.predict(places)))
        model.learn(places)
    return _assembled(parts, rounds, lowest, highest)


def blocks(rounds: int) -> Iterator[Integers]:
    """Cut a log into growing blocks.

    >>> [len(block) for block in blocks(120)], [len(block) for block in blocks(1200)][-2:]
    ([50, 50, 20], [106, 25])
    """
    first = 0
    while first < rounds:
        last = min(first + max(FIRST_BLOCK, int(GROWTH * first)), rounds)
        yield np.arange(first, last)
        first = last


def _assembled(parts: Sequence[tuple[Integers, Floats]], rounds: int, lowest: float, highest: float) -> Floats:
    width = max((predictions.shape[1] for _, predictions in parts), default=0)
    whole = np.zeros((rounds, width))
    for places, predictions in parts:
        whole[places, : predictions.shape[1]] = np.clip(predictions, lowest, highest)
    return whole
