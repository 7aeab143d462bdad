"""The standing holdout: a share of the events is shown the application's own choice, and logged with the true probabilities.

An event is held out with probability h, by a hash of the loop's name and the event id that the policy's own draw has no part of. So an
action is shown with probability h·[it is the baseline] + (1 − h)·p(action), whichever way it came about. That mixture is drawn from, in
two steps, and it is what is logged: weights by it are unbiased, and the baseline's are never larger than 1/h.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

_UNITS: Final = float(1 << 53)
_PERSON: Final = b"holdout"


def is_held_out(share: float, *, loop: str, event_id: str) -> bool:
    """Tell whether an event is held out: the same at every call, and for a larger share also all that a smaller one holds out.

    >>> [is_held_out(share, loop="default", event_id="e1") for share in (0.0, 1.0)]
    [False, True]
    """
    name = loop.encode()
    seed = b"".join((len(name).to_bytes(4, "little"), name, event_id.encode()))
    return (int.from_bytes(blake2b(seed, digest_size=8, person=_PERSON).digest(), "little") >> 11) / _UNITS < share


def mixed(probabilities: Sequence[float], *, baseline: int, chance: float) -> tuple[float, ...]:
    """Give the probabilities of being shown, if the event is held out with this chance and else drawn by these.

    >>> mixed([0.2, 0.8, 0.0], baseline=0, chance=0.5)
    (0.6, 0.4, 0.0)
    """
    shown = [(1.0 - chance) * each for each in probabilities]
    shown[baseline] += chance
    return tuple(shown)


def later_chance(chance: float, probabilities: Sequence[float], *, baseline: int, chosen: int) -> float:
    """Give the chance that the event is held out as the next slot finds it, which knows what this one shows (Bayes' rule).

    ``probabilities`` are the mixed ones that this slot was shown with. The slots' probabilities multiply to that of all they show.

    >>> later_chance(0.5, [0.6, 0.4], baseline=0, chosen=1), round(later_chance(0.5, [0.6, 0.4], baseline=0, chosen=0), 3)
    (0.0, 0.833)
    """
    return min(chance / probabilities[baseline], 1.0) if chosen == baseline else 0.0
