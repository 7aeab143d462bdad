"""Rows that are not read again: those behind a moving point, which no writer adds to any more."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from shared.domain.clock import Clock
from shared.domain.ledger import SegmentKey


class Keyed(Protocol):
    """Anything with the key of its segment."""

    @property
    def key(self) -> SegmentKey:
        """The segment's key."""
        ...

    @property
    def weight(self) -> int:
        """How many events it holds in memory."""
        ...


Item = TypeVar("Item", bound=Keyed)


@dataclass(frozen=True, slots=True)
class Known(Generic[Item]):
    """All items sealed in ``[since, until)``, known without being loaded."""

    since: datetime
    until: datetime
    items: Sequence[Item]


class Tail(Generic[Item]):
    """A cache of what was read from the end of a log; it saves reading, and nothing depends on it.

    ``settled`` is the age from which on a segment counts as there for good; ``max_weight`` bounds the events in memory.
    """

    def __init__(
        self, load: Callable[[datetime, datetime], AsyncIterator[Item]], *, clock: Clock, settled: timedelta, max_weight: int
    ) -> None:
        self._load = load
        self._clock = clock
        self._settled = settled
        self._max_weight = max_weight
        self._items: list[Item] = []
        self._since: datetime | None = None
        self._until: datetime | None = None

    async def between(self, since: datetime, until: datetime, *, given: Known[Item] | None = None) -> Sequence[Item]:
        """Give the items sealed in ``[since, until)``, in sealed order, reading only what is neither in memory nor given."""
        if self._since is None or self._until is None or not self._since <= since <= self._until:
            self._items, self._since, self._until = [], since, since
        known_until = self._until
        settled_until = max(known_until, min(until, self._clock.now() - self._settled))
        fresh = sorted(await self._fresh(known_until, until, given), key=lambda item: item.key)
        known = [item for item in self._items if item.key.sealed_at >= since]
        keep = known + [item for item in fresh if item.key.sealed_at < settled_until]
        if sum(item.weight for item in keep) <= self._max_weight:
            self._items, self._since, self._until = keep, since, settled_until
        else:
            self._items, self._since, self._until = [], None, None
        return [item for item in known if item.key.sealed_at < until] + fresh

    async def _fresh(self, since: datetime, until: datetime, given: Known[Item] | None) -> list[Item]:
        if given is None or given.until <= since or until <= given.since:
            return await self._loaded(since, until)
        first, last = max(since, given.since), min(until, given.until)
        between = [item for item in given.items if first <= item.key.sealed_at < last]
        return [*await self._loaded(since, first), *between, *await self._loaded(last, until)]

    async def _loaded(self, since: datetime, until: datetime) -> list[Item]:
        return [item async for item in self._load(since, until)] if since < until else []
