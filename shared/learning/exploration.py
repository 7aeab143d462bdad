"""How much chance each action gets, and the draw.

``allowed`` has one flag an action, at least one of them true. Whatever is not allowed gets exactly 0.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.learning.encoding import Floats

Flags = npt.NDArray[np.bool_] | Sequence[bool]

_UNITS: Final = 1 << 53
"""As many numbers in [0, 1) as a float64 can tell apart evenly."""


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
    gaps = np.maximum(scores[best] - scores, 0.0)  # what is not allowed may score higher
    return _rest_to(best, flags / (np.count_nonzero(flags) + gamma * gaps))


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


def _chance(loop: str, event_id: str) -> float:
    name = loop.encode()
    seed = b"".join((len(name).to_bytes(4, "little"), name, event_id.encode()))  # the length keeps the two apart
    return (int.from_bytes(blake2b(seed, digest_size=8).digest(), "little") >> 11) / _UNITS


def _best(scores: Floats, allowed: Flags) -> int:
    return int(np.where(allowed, scores, -np.inf).argmax())


def _rest_to(best: int, probabilities: Floats) -> Floats:
    probabilities[best] = 0.0
    probabilities[best] = 1.0 - probabilities.sum()
    return probabilities
