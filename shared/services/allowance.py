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

_ASK_AGAIN: Final = timedelta(minutes=1)
"""The official clients sleep for as long as `Retry-After` says: it must not be weeks."""


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
                f"this loop's tier answers {limit} Rank calls a calendar month; the next begins on {_next_month(now):%Y-%m-%d}",
                retry_after=min(_next_month(now) - now, _ASK_AGAIN),
            )


def _next_month(now: datetime) -> datetime:
    return (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
