"""Time as the rest of the code sees it: aware datetimes in UTC, handed in."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST_DAYS = (LATEST - EARLIEST).days


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Give the current time in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the current time in UTC."""
        return datetime.now(UTC)


def later(at: datetime, span: timedelta) -> datetime:
    """Add a span, as far as the calendar goes: a time that a caller gives may be its last one.

    >>> later(LATEST, timedelta(minutes=1)) == LATEST, later(EPOCH, timedelta(seconds=5)).second
    (True, 5)
    """
    try:
        return at + span
    except OverflowError:
        return LATEST if span > timedelta(0) else EARLIEST


def earlier(at: datetime, span: timedelta) -> datetime:
    """Take a span off, as far as the calendar goes.

    >>> earlier(EARLIEST, timedelta(minutes=1)) == EARLIEST
    True
    """
    try:
        return at - span
    except OverflowError:
        return EARLIEST if span > timedelta(0) else LATEST


def days_before(at: datetime, days: int) -> datetime:
    """Go back whole days, any number of them: an owner may ask for more than there have been.

    >>> days_before(EPOCH, 2**31 - 1) == EARLIEST, days_before(EPOCH, 1).isoformat()
    (True, '1969-12-31T00:00:00+00:00')
    """
    return earlier(at, timedelta(days=min(days, _MOST_DAYS)))


def in_utc(at: datetime) -> datetime:
    """Give a time in UTC; without an offset it is UTC, and one that its offset puts beyond the calendar is the calendar's end.

    >>> in_utc(datetime.fromisoformat("9999-12-31T23:59:59-12:00")) == LATEST, in_utc(datetime(2026, 5, 17)).isoformat()
    (True, '2026-05-17T00:00:00+00:00')
    """
    if at.tzinfo is None:
        return at.replace(tzinfo=UTC)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return EARLIEST if at.year == EARLIEST.year else LATEST


class TimeLimit:
    """How long work may go on, from when this is made; by a clock in seconds that nobody sets.

    >>> TimeLimit(timedelta(minutes=4)).is_over, TimeLimit(timedelta(0)).is_over
    (False, True)
    """

    def __init__(self, length: timedelta, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._began = monotonic()
        self._until = self._began + length.total_seconds()

    @property
    def is_over(self) -> bool:
        """Whether nothing more should be begun."""
        return self._monotonic() >= self._until

    @property
    def spent(self) -> float:
        """The seconds since it was made."""
        return self._monotonic() - self._began

    def within(self, length: timedelta) -> "TimeLimit":
        """Give a limit that begins now, and ends after this length or with this one, whichever is first."""
        left = timedelta(seconds=max(0.0, self._until - self._monotonic()))
        return TimeLimit(min(length, left), monotonic=self._monotonic)


def to_micros(at: datetime) -> int:
    """Microseconds since 1970, exactly.

    >>> to_micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005
    """
    return (at - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Inverse of `to_micros`.

    >>> from_micros(1000005).isoformat()
    '1970-01-01T00:00:01.000005+00:00'
    """
    return EPOCH + micros * _MICROSECOND  # twice as fast as making a timedelta of them
