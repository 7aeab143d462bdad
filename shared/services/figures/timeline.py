"""Figures over time: sums by buckets, which get longer as they get older, so that a loop's whole life has a bounded size."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

import numpy as np

from shared.domain.clock import EPOCH
from shared.evaluation.buckets import ranged, spread
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Integers
from shared.evaluation.sums import Largest, Summed, Sums
from shared.services.figures.trial import Trial

POLICIES: Final = ("online", "baseline1", "random")
"""In the order of the moments: as it was logged, the application's own choice, and any action with the same chance."""

FINE, HOUR, DAY = 5, 60, 1440
INTERVALS: Final = (FINE, HOUR, DAY)
"""Minutes that a bucket can last; it begins at a whole multiple of them after the start of 1970."""

FINE_KEPT: Final = 2 * DAY
HOURS_KEPT: Final = 60 * DAY
DAYS_KEPT: Final = 730 * DAY
"""For how many minutes behind the watermark there are buckets of 5 minutes, of hours, and of days."""

BEFORE: Final = 0
"""Where the one bucket begins that holds all that is older than that."""


@dataclass(frozen=True, eq=False, slots=True)
class Activity(Sums):
    """What happened in each bucket, [B].

    Events are counted where they were decided: ``events`` are those that were learned, over which ``entropy`` (nats of what was logged)
    and ``lag_seconds`` (from when they could have been learned to when they were) are summed; ``proposed`` and ``imitated`` are those of
    Apprentice mode, ``duplicate`` to ``logging_only`` those that were not learned. ``quarantined`` and what follows was counted in windows
    that ended in the bucket. Bounds are the largest weights that could have come about, known before each draw.
    """

    events: Summed
    explored: Summed
    entropy: Summed
    lag_seconds: Summed
    proposed: Summed
    imitated: Summed
    duplicate: Summed
    not_activated: Summed
    logging_only: Summed
    quarantined: Summed
    rewards: Summed
    late_rewards: Summed
    unknown_rewards: Summed
    baseline_bound: Largest
    random_bound: Largest


@dataclass(frozen=True, eq=False, slots=True)
class Timeline:
    """The sums of those buckets that hold something: ``begins`` [B] in minutes since 1970, in order, moments [P, B].

    ``trial`` are the sums of the experiment with a holdout.
    """

    begins: Integers
    activity: Activity
    moments: Moments
    trial: Trial

    @staticmethod
    def none() -> "Timeline":
        """Give the one without buckets."""
        activity = Activity(*(np.zeros(0) for _ in fields(Activity)))
        moments = Moments(*(np.zeros((len(POLICIES), 0)) for _ in fields(Moments)))
        return Timeline(np.zeros(0, dtype=np.int64), activity, moments, Trial.none())

    def __len__(self) -> int:
        return len(self.begins)

    def __add__(self, other: "Timeline") -> "Timeline":
        begins = np.union1d(self.begins, other.begins)
        mine, others = self._spread(begins), other._spread(begins)
        return Timeline(begins, mine.activity + others.activity, mine.moments + others.moments, mine.trial + others.trial)

    def folded(self, watermark: datetime) -> "Timeline":
        """Put buckets together that are too old to stand alone by this time; again, or at an earlier time, changes nothing."""
        return self.merged(starts_of(self.begins, lengths(self.begins, watermark)))

    def merged(self, begins: Integers) -> "Timeline":
        """Put each bucket into the one that begins then, [B], in order."""
        kept, firsts = np.unique(begins, return_index=True)
        if np.array_equal(kept, self.begins):
            return self
        ends = np.append(firsts[1:], len(begins))
        return Timeline(kept, ranged(self.activity, firsts, ends), ranged(self.moments, firsts, ends), ranged(self.trial, firsts, ends))

    def _spread(self, begins: Integers) -> "Timeline":
        at, size = np.searchsorted(begins, self.begins), len(begins)
        return Timeline(begins, spread(self.activity, at, size), spread(self.moments, at, size), spread(self.trial, at, size))


def lengths(begins: Integers, watermark: datetime) -> Integers:
    """Tell how many minutes the buckets last by this time, 0 for what is in the one `BEFORE` all others."""
    now = (watermark - EPOCH).total_seconds() // 60
    firsts = ((now - FINE_KEPT) // HOUR * HOUR, (now - HOURS_KEPT) // DAY * DAY, (now - DAYS_KEPT) // DAY * DAY)
    found: Integers = np.select([begins >= first for first in firsts], [*INTERVALS], default=0)
    return found


def starts_of(minutes: Integers, length: Integers) -> Integers:
    """Tell where the buckets of this length begin, [n], that these minutes are in."""
    found: Integers = np.where(length > 0, minutes // np.maximum(length, 1) * length, BEFORE)
    return found


def stacked(moments: Sequence[Moments]) -> Moments:
    """Put those of several policies, [B] each, together to [P, B]."""
    return Moments(*(np.stack([getattr(each, field.name) for each in moments]) for field in fields(Moments)))
