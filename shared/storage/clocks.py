"""Storage's clock, told by the ``Date`` of its answers, beside the own one.

All instances write to one storage: its time is the one time that they share. An answer tells it to the second, and only that it was
so at some moment between request and answer; so what is known is an interval, which more answers narrow.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

from shared.domain.clock import Clock, SystemClock

_RESOLUTION = 2.0
"""Seconds: a ``Date`` has lost up to one of them, and a server that is busy writes the same one for a while longer."""
_DRIFT = 5e-4
"""Seconds by which two clocks may come apart in one: more than any clock that is kept in time is slowed or hurried."""
_send_by: ContextVar[float | None] = ContextVar("send_by", default=None)


class _Known(NamedTuple):
    """Storage's clock is ahead of the own one by seconds between ``least`` and ``most``.

    That was so at the monotonic time ``at``, when the own clock was ahead of that by ``lead``.
    """

    least: float
    most: float
    at: float
    lead: float

    def later(self, at: float, lead: float) -> "_Known":
        """Say what is left of it at a later time.

        Where the own clock and the monotonic one have come apart, the one was set or the other stood still: both are allowed for.
        """
        drift, jump = _DRIFT * max(at - self.at, 0.0), lead - self.lead
        return _Known(self.least - drift - max(jump, 0.0), self.most + drift - min(jump, 0.0), at, lead)

    def and_also(self, fresh: "_Known") -> "_Known":
        """Put both together; what cannot be reconciled with the latest answer is forgotten."""
        before = self.later(fresh.at, fresh.lead)
        least, most = max(before.least, fresh.least), min(before.most, fresh.most)
        return _Known(least, most, fresh.at, fresh.lead) if least <= most else fresh


class StorageTime:
    """By how much storage's clock differs from the process's own, from every answer that comes; any thread may ask and tell.

    ``clock`` tells the own time, which may be set while the process runs; ``monotonic`` the seconds that passed.
    """

    def __init__(self, clock: Clock | None = None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock or SystemClock()
        self.monotonic = monotonic
        self._known: _Known | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the difference is known exactly, and by all processes alike: then all may go by storage's time, whatever it is."""
        return False

    def bounds(self) -> tuple[float, float] | None:
        """Give how many seconds storage's clock is ahead of the own one, at least and at most; None before the first answer."""
        known = self._known
        if known is None:
            return None
        at = self.monotonic()
        now = known.later(at, self._clock.now().timestamp() - at)
        return now.least, now.most

    def ahead(self) -> timedelta:
        """Give how far the own clock is surely ahead of storage's; less than nothing if it is behind, nothing if the two may agree."""
        bounds = self.bounds()
        return timedelta(0) if bounds is None else -timedelta(seconds=min(max(0.0, bounds[0]), bounds[1]))

    def note(self, date: str, *, sent: tuple[float, float]) -> None:
        """Take note of an answer; ``sent`` is when its request left, by the own clock and by the monotonic one."""
        told, at = _seconds(date), self.monotonic()
        if told is None:
            return
        own = self._clock.now().timestamp()
        left = min(sent[0], own - max(at - sent[1], 0.0))  # by whichever clock it took longer
        fresh = _Known(told - own, told + _RESOLUTION - left, at, own - at)
        self._known = fresh if self._known is None else self._known.and_also(fresh)

    @contextmanager
    def sending_within(self, limit: timedelta) -> Iterator[None]:
        """Let no request, nor any repetition of one, leave later than this: raises `TimeoutError`, even after the process stood still."""
        token = _send_by.set(self.monotonic() + limit.total_seconds())
        try:
            yield
        finally:
            _send_by.reset(token)

    def send_by(self) -> float | None:
        """Give until when, of the monotonic time, a request may leave that is made here; None without a limit."""
        return _send_by.get()

    def leaving(self) -> tuple[float, float]:
        """Give when a request leaves, for `note`; raises `TimeoutError` if it was not to be sent so late (`sending_within`)."""
        at, by = self.monotonic(), self.send_by()
        if by is not None and at > by:
            raise TimeoutError("too late to be sent")
        return self._clock.now().timestamp(), at


class LogClock:
    """The time that the log is written by: the own clock's, or storage's where the two surely differ.

    In that case never earlier than storage's: who sealed too late is waited for, who sealed too early would be missed.
    """

    def __init__(self, own: Clock, storage: StorageTime) -> None:
        self._own = own
        self._storage = storage

    def now(self) -> datetime:
        """Give what the own clock says, or, where that is surely wrong, what storage's says at most."""
        now, bounds = self._own.now(), self._storage.bounds()
        return now if bounds is None or _may_agree(bounds) else now + timedelta(seconds=bounds[1])

    def over(self) -> datetime:
        """Give what the own clock says, or, where that is surely wrong, what storage's says at least."""
        now, bounds = self._own.now(), self._storage.bounds()
        return now if bounds is None or _may_agree(bounds) else now + timedelta(seconds=bounds[0])

    def earliest(self) -> datetime:
        """Give what storage's clock says at least, or the own one while nothing is known of that."""
        now, bounds = self._own.now(), self._storage.bounds()
        return now if bounds is None else now + timedelta(seconds=bounds[0])

    def latest(self) -> datetime:
        """Give what storage's clock says at most, or the own one while nothing is known of that."""
        now, bounds = self._own.now(), self._storage.bounds()
        return now if bounds is None else now + timedelta(seconds=bounds[1])


class EarlierClock:
    """The earlier of the own clock and storage's: what is over by it is over for every writer that keeps to storage's.

    Where storage's time is known exactly, it is that: a clock that was set back would keep a trainer waiting for as long.
    """

    def __init__(self, own: Clock, storage: StorageTime) -> None:
        self._own = own
        self._storage = storage

    def now(self) -> datetime:
        """Give what the own clock says, or, where that is surely ahead, what storage's says at least."""
        now, bounds = self._own.now(), self._storage.bounds()
        if bounds is None or (bounds[1] >= 0.0 and not self._storage.is_exact):
            return now
        return now + timedelta(seconds=bounds[0])


def _may_agree(bounds: tuple[float, float]) -> bool:
    return bounds[0] <= 0.0 <= bounds[1]


@lru_cache(maxsize=4)
def _seconds(date: str) -> float | None:
    """Read a ``Date``, as seconds since 1970; there are few of them, each many times.

    >>> _seconds("Sun, 06 Nov 1994 08:49:37 GMT"), _seconds("soon")
    (784111777.0, None)
    """
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
