"""What `shared.learning.exploration` gives of one situation, for n at once that have K actions each.

``scores`` are float64 [n, K], ``allowed`` bool [n, K] with at least one true in each row, and ``draws`` float64 [n, K, M]. Each row of what
is given is what the function of the same name there gives of it; but a sum may be rounded otherwise, in its last digit.
"""

import numpy as np
import numpy.typing as npt

from shared.learning.encoding import Floats
from shared.learning.exploration import FARTHEST

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]


def uniform(allowed: Flags) -> Floats:
    """Give every allowed action of a row the same chance."""
    return allowed / _counts(allowed)


def epsilon_greedy(scores: Floats, allowed: Flags, *, epsilon: float) -> Floats:
    """Give the best action of a row most, and all of them a share of ``epsilon``."""
    return _rest_to(_best(scores, allowed), epsilon * uniform(allowed))


def squarecb(scores: Floats, allowed: Flags, *, gamma: float) -> Floats:
    """Weight by the inverse gap."""
    best = _best(scores, allowed)
    return _rest_to(best, allowed / (_counts(allowed) + gamma * _gaps(scores, best)))


def softmax(scores: Floats, allowed: Flags, *, scale: float) -> Floats:
    """Weight by ``exp(scale · score)``."""
    weights = np.exp(-scale * _gaps(scores, _best(scores, allowed))) * allowed
    chances: Floats = weights / weights.sum(axis=1, keepdims=True)
    return chances


def first(scores: Floats, allowed: Flags, *, learned: int, events: int) -> Floats:
    """Give all the same chance until so many events have been learned, and then all of it to the best."""
    return uniform(allowed) if learned < events else epsilon_greedy(scores, allowed, epsilon=0.0)


def bag(scores: Floats, draws: Floats, allowed: Flags) -> Floats:
    """Give each action the share of the draws in which it is the best."""
    winners = _drawn_scores(scores, draws, allowed).argmax(axis=2)
    votes: Floats = (winners[:, :, None] == np.arange(scores.shape[1])).sum(axis=1) / winners.shape[1]
    return votes


def cover(scores: Floats, draws: Floats, allowed: Flags, *, psi: float) -> Floats:
    """Mix M + 1 greedy policies, each of which is paid for choosing what the ones before it did not."""
    rows, chosen = np.arange(len(scores)), np.zeros(scores.shape)
    np.put_along_axis(chosen, _best(scores, allowed), 1.0, axis=1)
    full = psi * np.abs(draws).mean(axis=2)
    bonus = full / (1.0 + chosen)
    drawn = _drawn_scores(scores, draws, allowed)
    for number in range(drawn.shape[1]):
        actions = (drawn[:, number] + bonus).argmax(axis=1)
        chosen[rows, actions] += 1.0
        bonus[rows, actions] = full[rows, actions] / (1.0 + chosen[rows, actions])
    chances: Floats = chosen / (1 + drawn.shape[1])
    return chances


def regcb(scores: Floats, deviations: Floats, allowed: Flags, *, optimistic: bool) -> Floats:
    """Give the same chance to every action that may be the best one; if ``optimistic``, all of it to the likeliest of them."""
    behind = np.where(allowed, -_gaps(scores, _best(scores, allowed)), -np.inf)
    upper = behind + deviations
    if optimistic:
        return epsilon_greedy(upper, allowed, epsilon=0.0)
    return uniform(upper >= (behind - deviations).max(axis=1, keepdims=True))


def with_floor(probabilities: Floats, allowed: Flags, *, floor: float, exploration: float) -> Floats:
    """Lift every allowed action to ``floor / K`` at least, or as far as ``exploration`` lets them."""
    if exploration == 0.0:
        return probabilities
    lowest = min(floor, exploration)
    kept = 1.0 - lowest / exploration
    return _rest_to(probabilities.argmax(axis=1)[:, None], lowest * uniform(allowed) + kept * probabilities)


def adaptive(scores: Floats, allowed: Flags, *, gamma: float, exploration: float, floor: float) -> Floats:
    """Do what `squarecb` does, of which ``exploration`` at most is left to all but the best, and lift all to the floor."""
    best, counts = _best(scores, allowed), _counts(allowed)
    candidates = np.where(allowed, scores, -np.inf)
    gaps = 1.0 / (counts + gamma * (np.take_along_axis(candidates, best, axis=1) - candidates))
    spent = _summed(gaps) - np.take_along_axis(gaps, best, axis=1)
    lowest = min(floor, exploration)
    kept = (exploration - lowest) / np.maximum(spent, exploration) if exploration else np.zeros(spent.shape)
    chances = np.where(allowed, lowest / counts + kept * gaps, 0.0)
    np.put_along_axis(chances, best, 0.0, axis=1)
    return _filled_up(best, chances, _summed(chances))


def _counts(allowed: Flags) -> Places:
    return np.asarray(np.count_nonzero(allowed, axis=1))[:, None]


def _best(scores: Floats, allowed: Flags) -> Places:
    """Give where each row's best stands, shape [n, 1]."""
    best: Places = np.where(allowed, scores, -np.inf).argmax(axis=1)[:, None]
    return best


def _gaps(scores: Floats, best: Places) -> Floats:
    with np.errstate(over="ignore"):  # what overflows is clipped
        gaps: Floats = np.minimum(np.maximum(np.take_along_axis(scores, best, axis=1) - scores, 0.0), FARTHEST)
    return gaps


def _drawn_scores(scores: Floats, draws: Floats, allowed: Flags) -> Floats:
    """Give the scores of each draw, shape [n, M, K]."""
    behind = np.where(allowed, -_gaps(scores, _best(scores, allowed)), -np.inf)
    return behind[:, None, :] + draws.swapaxes(1, 2)


def _rest_to(best: Places, probabilities: Floats) -> Floats:
    np.put_along_axis(probabilities, best, 0.0, axis=1)
    return _filled_up(best, probabilities, probabilities.sum(axis=1, keepdims=True))


def _filled_up(best: Places, others: Floats, spent: Floats) -> Floats:
    """Give the best, which has nothing yet, what the others have not ``spent``; rounding must not make another the likeliest."""
    rest = 1.0 - spent
    rest = np.where(rest < 0.5, np.maximum(rest, others.max(axis=1, keepdims=True)), rest)
    np.put_along_axis(others, best, rest, axis=1)
    return others


def _summed(values: Floats) -> Floats:
    """Sum up each row from left to right, as one does by hand: `numpy.sum` goes another way."""
    return values.cumsum(axis=1)[:, -1:]
