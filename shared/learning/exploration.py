"""How much chance each action gets, and the draw.

``allowed`` has one flag an action, at least one of them true. Whatever is not allowed gets exactly 0. ``scores`` are the
estimated rewards, float64 [K], finite; only their differences count. ``draws``, float64 [K, M] with M ≥ 1, say how unsure
they are: each column is how far one draw from the model's posterior deviates from the scores. Ties go to the first.
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import inf
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.learning.encoding import Floats

Flags = npt.NDArray[np.bool_] | Sequence[bool]

_UNITS: Final = 1 << 53
"""As many numbers in [0, 1) as a float64 can tell apart evenly."""

FARTHEST: Final = 1e100
"""Gaps between scores are clipped to this: next to nothing is left for such an action, and no product with it overflows."""


def uniform(allowed: Flags) -> Floats:
    """Give every allowed action the same chance.

    >>> uniform([True, False, True]).tolist()
    [0.5, 0.0, 0.5]
    """
    flags = np.asarray(allowed, dtype=np.bool_)
    return flags / np.count_nonzero(flags)


def epsilon_greedy(scores: Floats, allowed: Flags, *, epsilon: float) -> Floats:
    """Give the best action ``1 − ε + ε/K`` and each other ``ε/K``, over the K allowed ones.

    Ties go to the first: the caller's own order is the baseline.

    >>> epsilon_greedy(np.array([0.2, 0.9]), [True, True], epsilon=0.1).round(3).tolist()
    [0.05, 0.95]
    """
    probabilities = epsilon * uniform(allowed)
    return _rest_to(_best(scores, allowed), probabilities)


def squarecb(scores: Floats, allowed: Flags, *, gamma: float) -> Floats:
    """Weight by the inverse gap: ``1 / (K + γ·(best − score))`` for each but the best, which takes the rest.

    Foster & Rakhlin (2020), "Beyond UCB: optimal and efficient contextual bandits with regression oracles".

    >>> squarecb(np.array([0.5, 1.0]), [True, True], gamma=16.0).tolist()
    [0.1, 0.9]
    """
    flags = np.asarray(allowed, dtype=np.bool_)
    best = _best(scores, flags)
    return _rest_to(best, flags / (np.count_nonzero(flags) + gamma * _gaps(scores, best)))


def softmax(scores: Floats, allowed: Flags, *, scale: float) -> Floats:
    """Weight by ``exp(scale · score)``: e times the chance for every ``1 / scale`` of reward.

    Cesa-Bianchi et al. (2017), "Boltzmann exploration done right", say where it fails: ``scale`` knows nothing of doubt.

    >>> softmax(np.array([0.0, 1.0]), [True, True], scale=float(np.log(3.0))).round(9).tolist()
    [0.25, 0.75]
    """
    flags = np.asarray(allowed, dtype=np.bool_)
    weights = np.exp(-scale * _gaps(scores, _best(scores, flags))) * flags
    return weights / float(weights.sum())  # the best one weighs 1: no division by 0


def first(scores: Floats, allowed: Flags, *, learned: int, events: int) -> Floats:
    """Give all the same chance until ``events`` have been learned, and then all of it to the best.

    Langford & Zhang (2007), "The epoch-greedy algorithm for contextual multi-armed bandits", spread the same over time.

    >>> first(np.array([0.2, 0.9]), [True, True], learned=99, events=100).tolist()
    [0.5, 0.5]
    >>> first(np.array([0.2, 0.9]), [True, True], learned=100, events=100).tolist()
    [0.0, 1.0]
    """
    return uniform(allowed) if learned < events else epsilon_greedy(scores, allowed, epsilon=0.0)


def bag(scores: Floats, draws: Floats, allowed: Flags) -> Floats:
    """Give each action the share of the draws in which it is the best.

    Bietti, Agarwal & Langford (2021), "A contextual bandit bake-off", vote by bootstrapped policies; here the posterior's
    draws vote, which makes it Thompson sampling with its probabilities written out.

    >>> bag(np.array([0.5, 0.6]), np.array([[0.0, 0.3, 0.0, 0.0], [0.0, 0.0, 0.2, -0.2]]), [True, True]).tolist()
    [0.5, 0.5]
    """
    winners = _drawn_scores(scores, draws, allowed).argmax(axis=1)
    return np.bincount(winners, minlength=len(scores)) / len(winners)


def cover(scores: Floats, draws: Floats, allowed: Flags, *, psi: float) -> Floats:
    """Mix M + 1 greedy policies, each of which is paid for choosing what the ones before it did not.

    The first is greedy on the scores, each further one on a draw, to which ``ψ · spread / (1 + n)`` is added: n of the
    policies so far chose this action, and spread is the mean size of its deviations. An action gets the share of the
    policies that choose it. So no bonus is left where the model is certain, and ψ = 0 is `bag` with one more draw.

    After the online cover of Agarwal et al. (2014), "Taming the monster: a fast and simple algorithm for contextual
    bandits". There the policies are trained one after another, on rewards with a bonus for what is rarely chosen; here
    the posterior takes the place of the training, and its spread sets the size of the bonus.

    >>> unsure = np.array([[0.1, -0.1], [0.1, -0.1], [0.1, -0.1]])
    >>> cover(np.array([0.5, 0.52, 0.54]), unsure, [True, True, True], psi=0.0).tolist()
    [0.0, 0.0, 1.0]
    >>> cover(np.array([0.5, 0.52, 0.54]), unsure, [True, True, True], psi=1.0).round(3).tolist()
    [0.333, 0.333, 0.333]
    """
    chosen = np.zeros(len(scores))
    chosen[_best(scores, allowed)] = 1.0
    full = psi * np.abs(draws).mean(axis=1)
    bonus = full / (1.0 + chosen)
    rows = _drawn_scores(scores, draws, allowed)
    for row in rows:
        action = int((row + bonus).argmax())
        chosen[action] += 1.0
        bonus[action] = full[action] / (1.0 + chosen[action])
    return chosen / (1 + len(rows))


def regcb(scores: Floats, deviations: Floats, allowed: Flags, *, optimistic: bool) -> Floats:
    """Give the same chance to every action that may be the best one; if ``optimistic``, all of it to the likeliest of them.

    An action's reward lies within ``score ± deviation``, the deviations being float64 [K] and not negative. It may be the
    best if its upper bound reaches the highest lower bound; the likeliest has the highest upper bound.

    Foster et al. (2018), "Practical contextual bandits with regression oracles".

    >>> regcb(np.array([0.5, 0.4, 0.1]), np.array([0.1, 0.1, 0.2]), [True, True, True], optimistic=False).tolist()
    [0.5, 0.5, 0.0]
    >>> regcb(np.array([0.5, 0.4, 0.1]), np.array([0.1, 0.3, 0.2]), [True, True, True], optimistic=True).tolist()
    [0.0, 1.0, 0.0]
    """
    flags = np.asarray(allowed, dtype=np.bool_)
    behind = np.where(flags, -_gaps(scores, _best(scores, flags)), -np.inf)
    upper = behind + deviations
    return epsilon_greedy(upper, flags, epsilon=0.0) if optimistic else uniform(upper >= (behind - deviations).max())


def at_most(probabilities: Floats, *, exploration: float) -> Floats:
    """Shrink what all but the likeliest action (the first of equals) get to ``exploration`` in total, if it is more.

    >>> at_most(np.array([0.5, 0.25, 0.25]), exploration=0.2).tolist()
    [0.8, 0.1, 0.1]
    """
    best = int(probabilities.argmax())
    others = probabilities.copy()
    others[best] = 0.0
    spent = float(others.sum())
    return probabilities if spent <= exploration else _rest_to(best, others * (exploration / spent))


def with_floor(probabilities: Floats, allowed: Flags, *, floor: float, exploration: float) -> Floats:
    """Lift every allowed action to ``floor / K`` at least, so that any policy can be evaluated on the log.

    It is for probabilities that are `at_most` exploration, and they still are so after it: where exploration is less than
    the floor, it is the floor, down to none.

    >>> with_floor(np.array([1.0, 0.0, 0.0]), [True, True, False], floor=0.02, exploration=0.2).tolist()
    [0.99, 0.01, 0.0]
    """
    if exploration == 0.0:
        return probabilities
    lowest = min(floor, exploration)
    kept = 1.0 - lowest / exploration  # what is spent on the floor is not spent otherwise
    return _rest_to(int(probabilities.argmax()), lowest * uniform(allowed) + kept * probabilities)


def adaptive(scores: Sequence[float], allowed: Sequence[bool], *, gamma: float, exploration: float, floor: float) -> tuple[float, ...]:
    """Do at once what `squarecb`, `at_most` and `with_floor` do one after another: it is on the way of every Rank call.

    In plain floats, which for some ten actions are faster than arrays.

    >>> adaptive([0.5, 1.0], [True, True], gamma=16.0, exploration=1.0, floor=0.0)
    (0.1, 0.9)
    """
    candidates = scores if all(allowed) else [score if may else -inf for score, may in zip(scores, allowed, strict=True)]
    best = max(candidates)
    place, count = candidates.index(best), sum(allowed)
    gaps = [1.0 / (count + gamma * (best - score)) for score in candidates]
    spent = sum(gaps) - gaps[place]
    lowest = min(floor, exploration)
    kept = (exploration - lowest) / max(spent, exploration) if exploration else 0.0
    least = lowest / count
    chances = [least + kept * gap for gap in gaps]
    if count < len(gaps):
        chances = [chance if may else 0.0 for chance, may in zip(chances, allowed, strict=True)]
    chances[place] = 0.0
    rest = 1.0 - sum(chances)
    chances[place] = rest if rest >= 0.5 else max(rest, *chances)  # of equals, rounding must not make another the likeliest
    return tuple(chances)


def draw(probabilities: Sequence[float], *, loop: str, event_id: str) -> int:
    """Draw an action by chance that is fixed by the loop and the event id, so that a repeated call gets the same answer.

    >>> draw([0.0, 1.0], loop="default", event_id="e1")
    1
    """
    remaining = _chance(loop, event_id)
    drawn = 0
    for index, probability in enumerate(probabilities):
        if probability > 0.0:
            drawn = index
            remaining -= probability
            if remaining < 0.0:
                break
    return drawn


def is_drawn(action: int, probabilities: Sequence[float], *, loop: str, event_id: str, tolerance: float) -> bool:
    """Tell whether `draw` gives this action, or would with probabilities whose sums differ by no more than the tolerance.

    >>> [is_drawn(each, [0.25, 0.75, 0.0], loop="default", event_id="e1", tolerance=0.001) for each in range(3)]
    [True, False, False]
    """
    if probabilities[action] <= 0.0:
        return False
    first = sum(probabilities[:action])
    return first - tolerance <= _chance(loop, event_id) < first + probabilities[action] + tolerance


def _chance(loop: str, event_id: str) -> float:
    name = loop.encode()
    seed = b"".join((len(name).to_bytes(4, "little"), name, event_id.encode()))  # the length keeps the two apart
    return (int.from_bytes(blake2b(seed, digest_size=8).digest(), "little") >> 11) / _UNITS


def _best(scores: Floats, allowed: Flags) -> int:
    return int(np.where(allowed, scores, -np.inf).argmax())


def _gaps(scores: Floats, best: int) -> Floats:
    """How far each is behind the best; what is not allowed may score higher, and counts as equal."""
    highest: float = scores.item(best)
    with np.errstate(over="ignore"):  # what overflows is clipped
        gaps: Floats = np.minimum(np.maximum(highest - scores, 0.0), FARTHEST)
    return gaps


def _drawn_scores(scores: Floats, draws: Floats, allowed: Flags) -> Floats:
    """Give the scores of each draw, shape [M, K], up to a constant; −∞ for what is not allowed."""
    return np.where(allowed, -_gaps(scores, _best(scores, allowed)), -np.inf) + draws.T


def _rest_to(best: int, probabilities: Floats) -> Floats:
    probabilities[best] = 0.0
    rest = 1.0 - float(probabilities.sum())
    if rest < 0.5:  # another one may have as much, of which rounding must not make more
        rest = max(rest, float(probabilities.max()))
    probabilities[best] = rest
    return probabilities
