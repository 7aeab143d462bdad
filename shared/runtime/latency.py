"""How long calls took lately, in a fixed amount of memory: a row of counts a minute, by logarithm of the time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

RANK, REWARD = "rank", "reward"
"""The kinds of calls that are timed."""

MINUTES: Final = 10
"""That are remembered, the one that is under way among them."""

_SUB_BITS: Final = 4
"""Bins to a doubling: 16. A bin's middle is within 1/32 of what is counted there."""

_SUBS: Final = 1 << _SUB_BITS
_DOUBLINGS: Final = 36
"""From 16 microseconds on; below, a bin lasts one. The last one takes whatever is longer."""

_BINS: Final = _SUBS * (_DOUBLINGS + 1)


@dataclass(frozen=True, slots=True)
class Spread:
    """Of so many calls, the times in seconds that 50, 95 and 99 % of them did not exceed; None if there were none."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class Latency:
    """Counts of calls by the time they took.

    Threads may add at once: a count may then be lost, which no quantile tells.
    """

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._rows = [[0] * _BINS for _ in range(MINUTES)]
        self._minutes = [-1] * MINUTES

    def add(self, nanoseconds: int) -> None:
        """Count a call."""
        minute = int(self._now()) // 60
        place = minute % MINUTES
        if self._minutes[place] != minute:
            self._rows[place] = [0] * _BINS
            self._minutes[place] = minute
        self._rows[place][bin_of(nanoseconds // 1000)] += 1

    def spread(self) -> Spread:
        """Give the quantiles of the last minutes."""
        first = int(self._now()) // 60 - MINUTES
        rows = [row for row, minute in zip(self._rows, self._minutes, strict=True) if minute > first]
        counts = [sum(column) for column in zip(*rows, strict=True)]
        total = sum(counts)
        return Spread(total, *(_quantile(counts, total, share) for share in (0.5, 0.95, 0.99)))


@dataclass(frozen=True, slots=True)
class Latencies:
    """Of each kind of calls, those that this process answered lately; it started at ``started_at``."""

    started_at: datetime
    of: Mapping[str, Latency] = field(default_factory=lambda: {RANK: Latency(), REWARD: Latency()})

    def since(self, now: datetime) -> datetime:
        """Tell from when on calls are counted: for so many whole minutes, or since the process started."""
        return max(self.started_at, now - timedelta(minutes=MINUTES))


def bin_of(micros: int) -> int:
    """Tell which bin counts a time.

    >>> bin_of(0), bin_of(15), bin_of(16), bin_of(31), bin_of(32), bin_of(1 << 60) == _BINS - 1
    (0, 15, 16, 31, 32, True)
    """
    doublings = micros.bit_length() - 1 - _SUB_BITS
    if doublings < 0:
        return micros
    found = (doublings << _SUB_BITS) + (micros >> doublings)
    return found if found < _BINS else _BINS - 1


def middle_of(place: int) -> float:
    """Give the middle of a bin, in seconds.

    >>> middle_of(40) * 1e6
    49.0
    """
    doublings = max((place >> _SUB_BITS) - 1, 0)
    least = (place - (doublings << _SUB_BITS)) << doublings
    return (least + (1 << doublings) / 2.0) / 1e6


def _quantile(counts: Sequence[int], total: int, share: float) -> float | None:
    seen = 0
    for place, count in enumerate(counts):
        seen += count
        if seen and seen >= share * total:
            return middle_of(place)
    return None
