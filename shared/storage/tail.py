"""Rows that are not read again: those behind a moving point, which no writer adds to any more."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.budget import UNBOUNDED, Budget
from shared.domain.clock import Clock
from shared.storage.columns import Block


@dataclass(frozen=True, slots=True)
class Piece:
    """All that was sealed in ``[since, until)``."""

    since: datetime
    until: datetime
    block: Block


Load = Callable[[datetime, datetime], AsyncIterator[Piece]]
"""Reads a range of the log, piece by piece, one behind the other without a gap."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How rows are kept: ``settled`` is the age from which on one counts as there for good; ``budget`` bounds the bytes of several tails.

    One of them takes half of it at most: a log's two do not drive each other out.
    """

    clock: Clock
    settled: timedelta
    budget: Budget = field(default_factory=lambda: Budget(UNBOUNDED))


class Tail:
    """A cache of what was read from the end of a log; it saves reading, and nothing depends on it.

    ``most`` bounds the rows in memory, and the budget their bytes. What does not fit is read again each time, piece by piece. Stopped
    half-way, what was read up to there stays.
    """

    def __init__(self, load: Load, upkeep: Upkeep, *, most: int) -> None:
        self._load = load
        self._clock = upkeep.clock
        self._settled = upkeep.settled
        self._budget = upkeep.budget
        self.used_at = self._budget.monotonic()
        self._most = most
        self._blocks: list[Block] = []
        self._since: datetime | None = None
        self._until: datetime | None = None

    def __len__(self) -> int:
        return sum(map(len, self._blocks))

    async def between(self, since: datetime, until: datetime, *, given: Sequence[Piece] = ()) -> AsyncIterator[Block]:
        """Give what was sealed in ``[since, until)``, in sealed order, reading only what is neither in memory nor given."""
        self.used_at = self._budget.monotonic()
        known_until = self._forget(since)
        self._budget.hold(self, self._bytes())
        for block in list(self._blocks):
            part = block.between(since, until)
            if len(part):
                yield part
        async for piece in self._fresh(max(known_until, since), until, given):
            self._remember(piece)
            part = piece.block.between(since, until)
            if len(part):
                yield part

    def let_go(self) -> int:
        """Read all of it when it is needed again."""
        self._blocks, self._since, self._until = [], None, None
        return 0

    def close(self) -> None:
        """Keep nothing any more."""
        self.let_go()
        self._budget.drop(self)

    def read_again(self, since: datetime) -> None:
        """Forget what was sealed from then on: some of it turned up when the rest had been read."""
        if self._since is None or self._until is None or since >= self._until:
            return
        parts = [block.between(self._since, since) for block in self._blocks] if since > self._since else []
        self._blocks, self._until = [part.copy() for part in parts if len(part)], max(since, self._since)
        self._budget.hold(self, self._bytes())

    def _forget(self, since: datetime) -> datetime:
        """Drop what is earlier, and tell up to where all is known from then on."""
        if self._since is None or self._until is None or not self._since <= since <= self._until:
            self._blocks, self._since, self._until = [], since, since
            return since
        while self._blocks and not len(self._blocks[0].between(since, self._until)):
            self._blocks.pop(0)
        if self._blocks and 8 * len(left := self._blocks[0].between(since, self._until)) <= 7 * len(self._blocks[0]):
            self._blocks[0] = left.copy()  # what is gone frees memory
        self._since = since
        return self._until

    def _remember(self, piece: Piece) -> None:
        """Keep what follows without a gap, is there for good, and fits."""
        settled = self._clock.now() - self._settled
        if self._until is None or piece.since > self._until or piece.until <= self._until:
            return
        until = min(piece.until, settled)
        if until <= self._until:
            return
        fresh = piece.block.between(self._until, until)
        size = self._bytes() + fresh.rows.nbytes
        if len(self) + len(fresh) > self._most or size > self._budget.most // 2 or not self._budget.fits(self, size):
            return
        self._until = until
        if len(fresh):
            self._blocks.append(fresh.copy())
            self._put_together()

    def _bytes(self) -> int:
        return sum(block.rows.nbytes for block in self._blocks)

    def _put_together(self) -> None:
        """Keep few blocks, each at least twice as long as the next: one may take some hundred bytes beside its rows."""
        blocks = self._blocks
        while len(blocks) > 1 and len(blocks[-2]) <= 2 * len(blocks[-1]) and blocks[-2].joins(blocks[-1]):
            blocks[-2:] = [blocks[-2].plus(blocks[-1])]

    async def _fresh(self, since: datetime, until: datetime, given: Sequence[Piece]) -> AsyncIterator[Piece]:
        """Read what is not given; the given pieces follow each other."""
        reached = since
        for piece in given:
            first, last = max(reached, piece.since), min(until, piece.until)
            if first >= last:
                continue
            async for loaded in self._loaded(reached, first):
                yield loaded
            yield Piece(first, last, piece.block.between(first, last))
            reached = last
        async for loaded in self._loaded(reached, until):
            yield loaded

    async def _loaded(self, since: datetime, until: datetime) -> AsyncIterator[Piece]:
        if since < until:
            async for piece in self._load(since, until):
                yield piece
