"""A clock that a test sets."""

from datetime import datetime, timedelta


class SetClock:
    """Shows the time it was set to."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def pass_(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at


class Ticks:
    """A clock in seconds that goes on by as many whenever it is looked at."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.now = 0.0

    def __call__(self) -> float:
        self.now += self._seconds
        return self.now
