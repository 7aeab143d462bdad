"""How many bytes what a process keeps at hand may take, for all loops together; nothing depends on it, since all can be had again."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

IN_USE: Final = timedelta(minutes=1)
"""How long after its use something counts as in use: it goes only where letting go of all else is not enough."""

_LEFT: Final = 0.9
"""What is let go at a time brings the sum down to this part of the most, so that not every new byte lets something go."""


class Holder(Protocol):
    """What holds something that it can have again; ``used_at`` tells when that was used last, in seconds of the budget's clock."""

    used_at: float

    def let_go(self) -> int:
        """Give it up, or a part of it, and tell how many bytes are still held. Any thread may say so; it takes no time and no lock."""
        ...


class Budget:
    """Counts what holders hold, at most ``most`` bytes beside what the one holds that came last. Any thread may use it.

    What nobody uses goes first, the longest unused before the others. Among what is ``in_use`` chance decides: where all is used in turn,
    the longest unused is what is needed next.
    """

    def __init__(self, most: int, *, in_use: timedelta = IN_USE, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.monotonic = monotonic
        self._in_use = in_use.total_seconds()
        self._chance = random.Random(most)
        self._sizes: dict[Holder, int] = {}
        self._lock = threading.RLock()

    @property
    def held(self) -> int:
        """How many bytes are held."""
        with self._lock:
            return sum(self._sizes.values())

    def hold(self, holder: Holder, size: int) -> None:
        """Note that this one holds so many bytes now; where that makes too many, others let go."""
        with self._lock:
            self._note(holder, size)
            if self._is_over():
                self._shrink(holder, self._unused())
            if self._is_over():
                self._shrink(holder, self._used())

    def fits(self, holder: Holder, size: int) -> bool:
        """Note likewise if only what nobody uses has to be let go for that; tells whether it is so."""
        with self._lock:
            before = self._sizes.get(holder, 0)
            self._note(holder, size)
            if self._is_over():
                self._shrink(holder, self._unused())
            if self._is_over():
                self._note(holder, before)
                return False
            return True

    def drop(self, holder: Holder) -> None:
        """Note that this one holds nothing any more."""
        with self._lock:
            self._sizes.pop(holder, None)

    def _note(self, holder: Holder, size: int) -> None:
        if size > 0:
            self._sizes[holder] = size
        else:
            self._sizes.pop(holder, None)

    def _is_over(self) -> bool:
        return sum(self._sizes.values()) > self.most

    def _unused(self) -> list[Holder]:
        since = self.monotonic() - self._in_use
        return sorted([each for each in self._sizes if each.used_at < since], key=lambda each: each.used_at)

    def _used(self) -> list[Holder]:
        used = list(self._sizes)
        self._chance.shuffle(used)
        return used

    def _shrink(self, kept: Holder, others: Sequence[Holder]) -> None:
        """Have others let go, in this order, until what is left leaves some room; a holder may let go of its parts one after another."""
        excess, freed = sum(self._sizes.values()) - int(_LEFT * self.most), 1
        while excess > 0 and freed:
            freed = 0
            for each in others:
                if freed >= excess:
                    break
                before = self._sizes.get(each, 0)
                if before and each is not kept:
                    self._note(each, each.let_go())
                    freed += before - self._sizes.get(each, 0)
            excess -= freed


UNBOUNDED: Final = 1 << 62
"""Bytes of a budget that lets nothing go: for tools that have one loop in hand."""
