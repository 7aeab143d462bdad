"""Rows that are not read again: those behind a moving point, which no writer adds to any more."""

from collections.abc import AsyncIterator, Callable, Sequence
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

    async def between(self, since: datetime, until: datetime) -> Sequence[Item]:
        """Give the items sealed in ``[since, until)``, in sealed order, reading only what is not in memory."""
        if self._since is None or self._until is None or not self._since <= since <= self._until:
            self._items, self._since, self._until = [], since, since
        known_until = self._until
        settled_until = max(known_until, min(until, self._clock.now() - self._settled))
        fresh = sorted([item async for item in self._load(known_until, until)], key=lambda item: item.key)
        known = [item for item in self._items if item.key.sealed_at >= since]
        keep = known + [item for item in fresh if item.key.sealed_at < settled_until]
        if sum(item.weight for item in keep) <= self._max_weight:
            self._items, self._since, self._until = keep, since, settled_until
        else:
            self._items, self._since, self._until = [], None, None
        return [item for item in known if item.key.sealed_at < until] + fresh
