"""How many Rank calls a loop's tier still answers this month."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from shared.domain.clock import Clock
from shared.domain.errors import QuotaExceededError
from shared.domain.loop import Tier
from shared.domain.ports import Usage

PORTION: Final = 20
"""Calls that a process takes from the month's count at a time."""


class Allowance:
    """One loop's in one process, which takes calls from the common count in portions.

    So no more are answered than the tier has, however many processes answer; what a process had left of its portion when it
    ended is lost.
    """

    def __init__(self, usage: Usage, *, clock: Clock) -> None:
        self._usage = usage
        self._clock = clock
        self._taking = asyncio.Lock()
        self._month = ""
        self._left = 0
        self._is_spent = False

    async def take(self, tier: Tier) -> str:
        """Count one call, and give the month it counts for, if it counts; raises `QuotaExceededError`, and as `Usage`."""
        limit = tier.monthly_ranks
        if limit is None:
            return ""
        async with self._taking:
            await self._have(self._clock.now(), limit)
            self._left -= 1
            return self._month

    def give_back(self, month: str) -> None:
        """Do not count a call of that month that was refused."""
        if month and month == self._month:
            self._left += 1

    async def _have(self, now: datetime, limit: int) -> None:
        month = f"{now:%Y%m}"
        if month != self._month:
            self._month, self._left, self._is_spent = month, 0, False
        if self._left <= 0 and not self._is_spent:
            self._left = await self._usage.grant(month, wanted=PORTION, limit=limit)
            self._is_spent = self._left == 0
        if self._left <= 0:
            raise QuotaExceededError(
                f"Out of call volume quota: this loop's tier answers {limit} Rank calls a calendar month. The quota will be replenished in"
                f" {_written(_next_month(now) - now)}, on {_next_month(now):%Y-%m-%d}"
            )


def _written(wait: timedelta) -> str:
    """Write a time as Azure's gateway does.

    >>> _written(timedelta(days=3, hours=4, seconds=5.5)), _written(timedelta(minutes=1))
    ('3.04:00:05', '00:01:00')
    """
    days, seconds = wait.days, wait.seconds
    return f"{f'{days}.' if days else ''}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _next_month(now: datetime) -> datetime:
    return (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
