"""How much more one policy earns than another, in per cent: told only when enough is known, with its interval and what is still to come."""

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

LEAST_EFFECTIVE: Final = 50.0
"""So many effective events both policies need before a lift is told: with fewer, luck alone makes it plus or minus a half."""

CLOSE: Final = 0.1
"""Half the width of an interval that is close: plus or minus 10 per cent of what the other policy earns."""

LEAST_REWARD: Final = 1e-6
"""What earns less is nothing to take a share of."""

_LONGEST: Final = 10**12
"""Events that nobody will wait for."""


@dataclass(frozen=True, slots=True)
class Estimated:
    """What a policy earns an event, with its interval, and on how many effective events that rests."""

    reward: float | None
    interval: tuple[float, float] | None
    effective_events: float


@dataclass(frozen=True, slots=True)
class Lift:
    """How much more than the other one: 0.5 is half as much again. All of it is None as long as too little is known.

    Without an upper end the interval is open: the other policy may earn next to nothing. ``difference`` is the same in rewards, which is
    there also where the other policy earns nothing, and nothing can be in per cent of that. ``more_events`` are those after which a lift
    is told, or, once it is, those after which it is known to ±10 %; None where that cannot be foreseen, 0 where nothing is left to wait
    for.
    """

    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    difference: float | None = None
    difference_interval: tuple[float, float] | None = None
    more_events: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is anything to tell."""
        return self.difference is not None


def lift_of(own: Estimated, other: Estimated, *, events: float) -> Lift:
    """Compare two policies that were estimated on the same so many events.

    The ends are those of both intervals, put together: they hold with the chance that both hold.

    >>> lift_of(Estimated(0.5, (0.0, 1.0), 20.0), Estimated(0.3, (0.0, 1.0), 4.0), events=20)
    Lift(value=None, lower=None, upper=None, difference=None, difference_interval=None, more_events=230)
    >>> found = lift_of(Estimated(0.6, (0.57, 0.63), 5000.0), Estimated(0.25, (0.2, 0.3), 500.0), events=5000)
    >>> round(found.value, 2), round(found.lower, 2), round(found.upper, 2), found.more_events
    (1.4, 0.9, 2.15, 200000)
    """
    if own.interval is None or other.interval is None:
        return _not_known(own, other, events)
    ends = own.interval[0] - other.interval[1], own.interval[1] - other.interval[0]
    return _lift(own, other, ends, (_lowest(own.interval[0], other.interval), _highest(own.interval[1], other.interval)), events)


def lift_between(own: Estimated, other: Estimated, ends: tuple[float, float], *, events: float, least: float = 0.0) -> Lift:
    """Compare two policies, where the difference of what they earn has an interval of its own.

    The ends hold with the chance that this one and the other policy's hold. No policy earns less than ``least``.

    >>> found = lift_between(Estimated(0.6, (0.57, 0.63), 5000.0), Estimated(0.25, (0.2, 0.3), 500.0), (0.3, 0.4), events=5000)
    >>> round(found.value, 2), round(found.lower, 2), round(found.upper, 2), found.difference_interval
    (1.4, 1.0, 2.0, (0.3, 0.4))
    """
    if other.interval is None:
        return _not_known(own, other, events)
    lower, upper = _part(ends[0], other.interval, is_of_most=ends[0] >= 0.0), _part(ends[1], other.interval, is_of_most=ends[1] < 0.0)
    if least >= 0.0:
        lower = -1.0 if lower is None else max(lower, -1.0)
    return _lift(own, other, ends, (lower, upper), events)


def _part(difference: float, other: tuple[float, float], *, is_of_most: bool) -> float | None:
    """Take a difference as a part of the most that the other one earns, or of the least; none where that is not above 0."""
    earned = other[1] if is_of_most else other[0]
    return difference / earned if earned >= LEAST_REWARD else None


def _lift(own: Estimated, other: Estimated, ends: tuple[float, float], parts: tuple[float | None, float | None], events: float) -> Lift:
    fewest = min(own.effective_events, other.effective_events)
    if own.reward is None or other.reward is None or fewest < LEAST_EFFECTIVE:
        return _not_known(own, other, events)
    difference = own.reward - other.reward
    if other.reward < LEAST_REWARD:
        return Lift(difference=difference, difference_interval=ends)
    value, (lower, upper) = difference / other.reward, parts
    return Lift(value, lower, upper, difference, ends, _more(events, _squared(_half(value, lower, upper))))


def _not_known(own: Estimated, other: Estimated, events: float) -> Lift:
    fewest = min(own.effective_events, other.effective_events)
    return Lift(more_events=_more(events, LEAST_EFFECTIVE / fewest if fewest > 0.0 else None))


def _lowest(least: float, other: tuple[float, float]) -> float | None:
    """Give the least that it can be; none where the other one's interval has no positive end."""
    if least < 0.0:
        return (least - other[0]) / other[0] if other[0] >= LEAST_REWARD else None
    return (least - other[1]) / other[1] if other[1] >= LEAST_REWARD else None


def _highest(most: float, other: tuple[float, float]) -> float | None:
    if other[0] < LEAST_REWARD:
        return None
    return (most - other[0]) / other[0] if most >= 0.0 else (most - other[1]) / other[1]


def _half(value: float, lower: float | None, upper: float | None) -> float | None:
    """Give half the width; of an interval that is open above, what is below the value."""
    if lower is None:
        return None
    return value - lower if upper is None else (upper - lower) / 2.0


def _squared(half: float | None) -> float | None:
    """Tell how many times the events it takes: intervals get narrower by the root of that."""
    return None if half is None else (half / CLOSE) ** 2


def _more(events: float, times: float | None) -> int | None:
    """Give the events that are missing, to two digits."""
    if times is None or events <= 0.0 or events * times > _LONGEST:
        return None
    more = events * (times - 1.0)
    if more <= 0.0:
        return 0
    unit = 10.0 ** max(0, floor(log10(more)) - 1)
    return int(ceil(more / unit) * unit)
