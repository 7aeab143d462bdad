"""Clocks and order statistics; no averages, which one slow call would move."""

import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from math import ceil
from statistics import median
from typing import TypeVar

Result = TypeVar("Result")

__all__ = ["SetClock", "median", "percentile", "timed", "timed_async"]


class SetClock:
    """A clock that stands where it was put: `shared.domain.clock.Clock`."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """Give the time that was set."""
        return self.at


def percentile(values: Iterable[float], share: float) -> float:
    """Give the smallest value that at least this share of them does not exceed.

    >>> percentile([4, 1, 3, 2], 0.5), percentile(range(1, 101), 0.99)
    (2, 99)
    """
    ordered = sorted(values)
    return ordered[max(ceil(share * len(ordered)) - 1, 0)]


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Call it and give the seconds it took beside what it gave."""
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


async def timed_async(call: Awaitable[Result]) -> tuple[float, Result]:
    """Await it and give the seconds it took beside what it gave."""
    begin = time.perf_counter()
    result = await call
    return time.perf_counter() - begin, result
