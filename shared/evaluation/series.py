"""Sums over time: a figure for each 5 minutes, and for longer windows, of all policies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from shared.domain.clock import EPOCH
from shared.domain.errors import UnreadableError
from shared.evaluation.buckets import expanded, ranged, spread
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Integers, Rounds

MINUTES: Final = 5
"""The finest bucket; buckets begin at whole multiples of their minutes after the start of 1970."""

INTERVALS: Final = (5, 60, 360, 720, 1440)
"""Minutes that a window can last."""

MOST_BUCKETS: Final = 366 * 24 * 60 // MINUTES
"""A year of the finest."""


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """The sums of those buckets that hold rounds.

    ``buckets`` [B] are in order, counted from 1970, and are the last axis of the sums' shape.
    """

    buckets: Integers
    moments: Moments
    minutes: int = MINUTES

    @staticmethod
    def of(rounds: Rounds, minutes: Integers) -> "Series":
        """Sum up; ``minutes`` [n] since 1970 may come in any order."""
        order = np.argsort(minutes, kind="stable")
        buckets, starts = np.unique(minutes[order] // MINUTES, return_index=True)
        moments = Moments.of_parts(rounds.cut(order), starts)
        return Series(buckets.astype(np.int64), moments if len(rounds) else moments.taken((..., slice(0))))

    def __add__(self, other: "Series") -> "Series":
        if self.minutes != other.minutes:
            raise UnreadableError(f"series of {self.minutes} and of {other.minutes} minutes do not merge")
        buckets = np.union1d(self.buckets, other.buckets)
        return Series(buckets, self._spread(buckets) + other._spread(buckets), self.minutes)

    @property
    def total(self) -> Moments:
        """Sum over all buckets."""
        return self.moments.each(lambda merge, values: merge.reduce(values, axis=-1, initial=0.0))

    @property
    def begins(self) -> Sequence[datetime]:
        """Tell when each bucket begins."""
        return [EPOCH + timedelta(minutes=minutes) for minutes in (self.buckets * self.minutes).tolist()]

    def coarser(self, minutes: int) -> "Series":
        """Put the buckets together to longer ones, that do not overlap."""
        buckets, firsts = np.unique(self.buckets * self.minutes // minutes, return_index=True)
        return Series(buckets, ranged(self.moments, firsts, np.append(firsts[1:], len(self.buckets))), minutes)

    def expanding(self) -> "Series":
        """Give in place of each bucket the sums from the first one up to it."""
        return Series(self.buckets, expanded(self.moments), self.minutes)

    def plain(self) -> dict[str, Any]:
        """Give nothing but mappings, lists and finite numbers."""
        return {"minutes": self.minutes, "buckets": self.buckets.tolist(), "moments": self.moments.plain()}

    @staticmethod
    def of_plain(plain: Mapping[str, Any]) -> "Series":
        """Read back what `plain` gave; raises `UnreadableError` for anything else."""
        if not isinstance(plain, Mapping) or set(plain) != {"minutes", "buckets", "moments"}:
            raise UnreadableError("a series consists of minutes, buckets and moments")
        minutes, buckets = plain["minutes"], plain["buckets"]
        if minutes not in INTERVALS or not isinstance(buckets, list) or len(buckets) > MOST_BUCKETS:
            raise UnreadableError(f"a series has at most {MOST_BUCKETS} buckets of {', '.join(map(str, INTERVALS))} minutes")
        if not all(type(each) is int and abs(each) < 1 << 40 for each in buckets) or sorted(set(buckets)) != buckets:
            raise UnreadableError("the buckets of a series are whole numbers in order")
        moments = Moments.of_plain(plain["moments"])
        if moments.rounds.shape[-1:] != (len(buckets),):
            raise UnreadableError(f"a series of {len(buckets)} buckets has sums of the shape {moments.rounds.shape}")
        return Series(np.array(buckets, dtype=np.int64), moments, minutes)

    def _spread(self, buckets: Integers) -> Moments:
        """Put 0 for buckets without rounds."""
        return spread(self.moments, np.searchsorted(buckets, self.buckets), len(buckets))
