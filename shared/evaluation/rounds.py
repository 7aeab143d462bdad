"""Logged rounds as the policies see them that are to be evaluated."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.domain.errors import UnreadableError
from shared.evaluation.sums import Floats

Integers = npt.NDArray[np.int64]
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False, slots=True)
class Rounds:
    """n rounds; every array has the shape [..., n], where what is in front tells policies (or whatever else) apart.

    ``weights`` are w = π(a)/μ of the chosen action a, ``predicted`` is a model's guess q of its reward, ``expected`` the mean of such
    guesses over the policy's choice, Σ π(b) q(b), and ``unsupported`` the probability that the policy gives to what could not be logged.

    ``counts`` [n] tell how many rounds each stands for, itself and those that chance left out of the log (None: for one, all of them). With
    those, a sum over the log estimates that over all rounds, where what was left out is 0: a round counts once, by ``counts`` times its
    value, so that squares and fourth powers tell of the noise that the leaving out adds.
    """

    weights: Floats
    rewards: Floats
    predicted: Floats
    expected: Floats
    unsupported: Floats
    counts: Floats | None = None

    @staticmethod
    def of(
        *,
        logged: npt.ArrayLike,
        target: npt.ArrayLike,
        rewards: npt.ArrayLike,
        predicted: npt.ArrayLike = 0.0,
        expected: npt.ArrayLike = 0.0,
        unsupported: npt.ArrayLike = 0.0,
    ) -> "Rounds":
        """Take the chosen actions' probabilities, ``logged`` μ and those of the ``target`` π; arrays broadcast.

        Without predictions the estimators that need some do as if each were 0. Raises `UnreadableError` for what is not a log.
        """
        given = [np.asarray(each, dtype=np.float64) for each in (logged, target, rewards, predicted, expected, unsupported)]
        _check(*given)
        mu, pi, *others = given
        return Rounds(*_broadcast(pi / mu, *others))

    @staticmethod
    def of_choices(
        *,
        chosen: npt.ArrayLike,
        logged: npt.ArrayLike,
        target: npt.ArrayLike,
        rewards: npt.ArrayLike,
        predictions: npt.ArrayLike | None = None,
    ) -> "Rounds":
        """Take all actions' probabilities and predictions, [..., n, K], 0 where a round has fewer; ``chosen`` [n] are indices."""
        actions = np.asarray(chosen, dtype=np.int64)
        mu, pi = np.asarray(logged, dtype=np.float64), np.asarray(target, dtype=np.float64)
        q = np.zeros(mu.shape) if predictions is None else np.asarray(predictions, dtype=np.float64)
        if actions.size and not (actions.min() >= 0 and actions.max() < mu.shape[-1]):
            raise UnreadableError("a chosen action is not one of the round's actions")
        return Rounds.of(
            logged=_of_chosen(mu, actions),
            target=_of_chosen(pi, actions),
            rewards=rewards,
            predicted=_of_chosen(q, actions),
            expected=(pi * q).sum(axis=-1),
            unsupported=np.where(mu > 0.0, 0.0, pi).sum(axis=-1),
        )

    def __len__(self) -> int:
        return int(self.weights.shape[-1])

    @property
    def values(self) -> Floats:
        """Give each round's doubly robust value, Σ π(b) q(b) + w (r − q(a)): its mean is unbiased whatever the predictions are."""
        return corrected(self, self.weights)

    def cut(self, rows: Any) -> "Rounds":
        """Give some of the rounds: a slice, or indices."""
        columns = (self.weights, self.rewards, self.predicted, self.expected, self.unsupported)
        some = Rounds(*(each[..., rows] for each in columns))
        return some if self.counts is None else replace(some, counts=self.counts[rows])

    def counted(self, values: Floats) -> Floats:
        """Multiply each round's value by how many rounds it stands for."""
        return values if self.counts is None else values * self.counts

    @property
    def total(self) -> float:
        """How many rounds they stand for."""
        return float(len(self)) if self.counts is None else float(self.counts.sum())


def corrected(rounds: Rounds, weights: Floats) -> Floats:
    """Give the predictions' mean, put right by the chosen action's error times a weight."""
    values: Floats = rounds.expected + weights * (rounds.rewards - rounds.predicted)
    return values


def _of_chosen(values: Floats, chosen: Integers) -> Floats:
    where = np.broadcast_to(chosen, values.shape[:-1])[..., None]
    taken: Floats = np.take_along_axis(values, where, axis=-1)[..., 0]
    return taken


def _broadcast(*arrays: Floats) -> tuple[Floats, ...]:
    try:
        return tuple(np.broadcast_arrays(*(np.atleast_1d(each) for each in arrays)))
    except ValueError as cause:
        raise UnreadableError("the columns of a log must have the same length") from cause


def _check(logged: Floats, target: Floats, *others: Floats) -> None:
    if not ((logged > 0.0) & (logged <= 1.0 + _ROUNDING)).all():  # false for NaN, as below
        raise UnreadableError("an action was chosen with a probability that is not valid, or 0")
    if not ((target >= 0.0) & (target <= 1.0 + _ROUNDING)).all():
        raise UnreadableError("a policy gives a probability that is not valid")
    if not all(np.isfinite(each).all() for each in others):
        raise UnreadableError("a reward or a prediction is not a finite number")
