"""What a trainer has to remember from just behind the watermark to go on exactly."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from shared.domain.clock import to_micros

_ROW: Final = re.compile(r"([0-9]{16})-([0-9a-z]+)-([0-9]{6,12})-[1-9][0-9]*(?:-(?:0|[1-9][0-9]*)){2,3}")
"""A segment's name as writers give it: when it was sealed, by which writer, and the number that this writer gave it."""

_LAST: Final = 2**63


class Run(NamedTuple):
    """Segments of one writer that it numbered ``first`` to ``last``, none left out.

    They were sealed between ``since`` and ``until``, both included, in microseconds since 1970.
    """

    writer: str
    first: int
    last: int
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Seen:
    """Segments of one log that were seen: those of the ``runs``, in order, and those with one of the ``names``.

    All that was sealed earlier than ``before`` (microseconds since 1970) counts as seen.

    >>> from shared.domain.clock import EPOCH, from_micros
    >>> at = from_micros(1778976000000000)
    >>> seen = Seen().plus(["1778976000000000-a1b2-000007-2-3-2-900", "odd"], first=EPOCH)
    >>> seen.runs
    (Run(writer='a1b2', first=7, last=7, since=1778976000000000, until=1778976000000000),)
    >>> [seen.has(name, at) for name in ("1778976000000000-a1b2-000007-2-3-2-900", "1778976000000000-a1b2-000008-2-3-2-900", "odd")]
    [True, False, True]
    """

    names: frozenset[str] = frozenset()
    runs: tuple[Run, ...] = ()
    before: int = 0

    def __len__(self) -> int:
        """Give the number of runs and names."""
        return len(self.names) + len(self.runs)

    def has(self, name: str, sealed_at: datetime) -> bool:
        """Whether the segment of this name, sealed then, was seen."""
        if name in self.names or (self.before and to_micros(sealed_at) < self.before):
            return True
        row = _row(name) if self.runs else None
        if row is None:
            return False
        place = bisect_right(self.runs, (row.writer, row.first, _LAST)) - 1
        if place < 0:
            return False
        run = self.runs[place]
        return run.writer == row.writer and run.first <= row.first <= run.last and run.since <= row.since <= run.until

    def plus(self, names: Iterable[str], *, first: datetime) -> "Seen":
        """Add segments by their names, and forget what was sealed before ``first``: a name begins with that time."""
        begin = to_micros(first)
        rows, others = list[Run](), set[str]()
        for name in {*self.names, *names}:
            if name >= f"{begin:016d}":
                row = _row(name)
                if row is None:
                    others.add(name)
                else:
                    rows.append(row)
        left = [run._replace(since=max(run.since, begin)) for run in self.runs if run.until >= begin]
        return Seen(frozenset(others), tuple(_merged([*left, *rows])), self.before if self.before > begin else 0)

    def at_most(self, most: int) -> "Seen":
        """Forget the oldest where there are more than so many: all that was sealed no later than they were counts as seen then."""
        excess = len(self) - most
        if excess <= 0:
            return self
        ends = sorted([*[run.until for run in self.runs], *map(_time, self.names)])
        end = ends[excess - 1]
        names = frozenset(name for name in self.names if _time(name) > end)
        return Seen(names, tuple([run for run in self.runs if run.until > end]), max(self.before, end + 1))


def _row(name: str) -> Run | None:
    match = _ROW.fullmatch(name)
    if match is None:
        return None
    at, writer, number = int(match[1]), match[2], int(match[3])
    return Run(writer, number, number, at, at)


def _time(name: str) -> int:
    digits = name[:16]
    return int(digits) if len(digits) == 16 and digits.isascii() and digits.isdigit() else 0


def _merged(runs: Iterable[Run]) -> list[Run]:
    """Put together what follows without a gap; the same segments, however they come, give the same runs."""
    merged: list[Run] = []
    for run in sorted(runs):
        last = merged[-1] if merged else None
        if last is not None and last.writer == run.writer and run.first <= last.last + 1:
            merged[-1] = Run(run.writer, last.first, max(last.last, run.last), min(last.since, run.since), max(last.until, run.until))
        else:
            merged.append(run)
    return merged


@dataclass(frozen=True, slots=True)
class Lookback:
    """What was seen just behind the watermark, and what may still change there.

    ``decisions`` and ``observations`` are the segments that were seen there: one that turns up and is not among them is a straggler.
    ``unknown`` and ``late`` name the rewards (`shared.domain.ledger.Report.id`) that were counted so and may still precede a decision
    that takes them.
    """

    decisions: Seen = field(default_factory=Seen)
    observations: Seen = field(default_factory=Seen)
    unknown: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()

    @staticmethod
    def lost(watermark: datetime) -> "Lookback":
        """Give what is gone on with where it is lost: nothing behind the watermark is learned any more, lest it be learned twice."""
        seen = Seen(before=to_micros(watermark))
        return Lookback(seen, seen)
