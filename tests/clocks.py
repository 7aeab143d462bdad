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
