"""What lies between a process and storage in memory: a call goes to storage, and its answer comes back, if it does."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import Protocol, TypeVar

from shared.domain.clock import EPOCH
from shared.storage.clocks import StorageTime
from shared.storage.failures import in_time

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a port: ``verb`` is its name, ``place`` the table, the area or the queue, ``name`` the row or the file."""

    verb: str
    place: str
    name: str = ""
    size: int = 0

    @property
    def is_change(self) -> bool:
        return self.verb not in {"read", "head", "block", "list", "folders", "areas", "tables", "rows"}


@dataclass(slots=True)
class Traffic:
    """How often each port was called, and how many bytes were sent."""

    calls: Counter[str] = field(default_factory=Counter)
    bytes: int = 0

    def add(self, call: Call) -> None:
        self.calls[call.verb] += 1
        self.bytes += call.size


class Network(Protocol):
    """Brings calls to storage; ``apply`` is what storage does when one arrives."""

    async def bring(self, call: Call, apply: Callable[[], Answer], time: StorageTime) -> Answer:
        """Give storage's answer, or raise what it raised; raises `StorageUnavailableError` when none came."""
        ...


class Straight:
    """Each call arrives at once, and each answer comes."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    async def bring(self, call: Call, apply: Callable[[], Answer], time: StorageTime) -> Answer:
        async with in_time(f"{call.verb} {call.place} {call.name}"):
            await asyncio.sleep(0)  # others go on, as they do while a real call is under way
            sent = time.leaving()
            try:
                return apply()
            finally:
                time.note(date_of(self._now()), sent=sent)


@lru_cache(maxsize=1)
def date_of_second(second: int) -> str:
    """Write the time so many seconds after 1970; it is the same for many calls."""
    return date_of(EPOCH + timedelta(seconds=second))


def date_of(now: datetime) -> str:
    """Write the time as storage's answers have it, to the second.

    >>> from datetime import UTC
    >>> date_of(datetime(2026, 5, 17, 12, 0, 1, 999_999, tzinfo=UTC))
    'Sun, 17 May 2026 12:00:01 GMT'
    """
    return format_datetime(now, usegmt=True)
