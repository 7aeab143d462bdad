"""The sums that most estimators and intervals are made from."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.evaluation.rounds import Rounds
from shared.evaluation.sums import Floats, Largest, Smallest, Summed, Sums

_WHOLE: Final = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, eq=False, slots=True)
class Moments(Sums):
    """Sums over rounds of weights w, rewards r, predictions' errors of weighing e = w q(a) − Σ π(b) q(b), and doubly robust values d.

    Powers and products are taken round by round; a round that stands for several counts by its value times their number.

    ``possible`` counts the rounds in which the policy could have chosen what was logged (w > 0), ``uncovered`` those in which it could
    have chosen what could not be logged, ``unsupported`` is the probability of that. The range of rewards always includes 0.
    """

    rounds: Summed
    possible: Summed
    uncovered: Summed
    unsupported: Summed
    rewards: Summed
    w: Summed
    ww: Summed
    wr: Summed
    wwr: Summed
    wwrr: Summed
    expected: Summed
    e: Summed
    ee: Summed
    we: Summed
    wre: Summed
    d: Summed
    dd: Summed
    ddd: Summed
    dddd: Summed
    largest_weight: Largest
    lowest_reward: Smallest
    highest_reward: Largest

    @staticmethod
    def of(rounds: Rounds) -> "Moments":
        """Sum over all rounds."""
        return Moments.of_parts(rounds, _WHOLE).taken((..., 0))

    @staticmethod
    def of_parts(rounds: Rounds, starts: npt.NDArray[np.int64]) -> "Moments":
        """Sum over each part, from one start to the next one; the parts are the last axis, and none but a sole one may be empty."""
        if not len(rounds):
            return _nothing(rounds.weights.shape[:-1])
        counted, r = rounds.counted, rounds.rewards
        w, d = counted(rounds.weights), counted(rounds.values)
        wr, d2 = w * r, d * d
        e = counted(rounds.weights * rounds.predicted - rounds.expected)

        def summed(values: Floats) -> Floats:
            return np.add.reduceat(values, starts, axis=-1)

        return Moments(
            rounds=summed(counted(np.ones(w.shape))),
            possible=summed(counted((w > 0.0).astype(np.float64))),
            uncovered=summed(counted((rounds.unsupported > 0.0).astype(np.float64))),
            unsupported=summed(counted(rounds.unsupported)),
            rewards=summed(counted(r)),
            w=summed(w),
            ww=summed(w * w),
            wr=summed(wr),
            wwr=summed(w * wr),
            wwrr=summed(wr * wr),
            expected=summed(counted(rounds.expected)),
            e=summed(e),
            ee=summed(e * e),
            we=summed(w * e),
            wre=summed(wr * e),
            d=summed(d),
            dd=summed(d2),
            ddd=summed(d * d2),
            dddd=summed(d2 * d2),
            largest_weight=np.maximum.reduceat(w, starts, axis=-1),
            lowest_reward=np.minimum(np.minimum.reduceat(r, starts, axis=-1), 0.0),
            highest_reward=np.maximum(np.maximum.reduceat(r, starts, axis=-1), 0.0),
        )


def _nothing(shape: tuple[int, ...]) -> Moments:
    return Moments(*(np.zeros((*shape, 1)) for _ in Moments.__dataclass_fields__))
