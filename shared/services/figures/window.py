"""What one window of the trainer adds to the live figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.domain.clock import EPOCH
from shared.domain.events import JoinedEvent, SkipReason
from shared.domain.ledger import Counters
from shared.evaluation.buckets import spread
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Integers, Rounds
from shared.evaluation.series import MINUTES, Series
from shared.evaluation.sums import Floats
from shared.services.figures.logged import Flags, Logged
from shared.services.figures.timeline import FINE, Activity, Timeline, stacked, starts_of
from shared.services.figures.trial import LARGEST_REWARD, Trial, Tried

SKIPPED: Final = MappingProxyType(
    {
        SkipReason.DUPLICATE: "duplicate",
        SkipReason.NOT_ACTIVATED: "not_activated",
        SkipReason.LOGGING_ONLY: "logging_only",
        SkipReason.QUARANTINED: "quarantined",
    }
)
"""The columns of what was not learned; what was deleted with the log takes the figures with it."""

LARGEST_WEIGHT: Final = 2.0**30
"""As far as weights count, as `LARGEST_REWARD` does for rewards: their fourth powers must not overflow. No policy of ours comes near."""

_INSTANT: Final = timedelta(microseconds=1)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Span:
    """The times of a window: up to when it goes, when it is learned, and after what wait that was possible at the earliest."""

    until: datetime
    learned_at: datetime
    wait: timedelta


def window(columns: Logged, skipped: Sequence[JoinedEvent], counters: Counters, span: Span, tried: Tried | None = None) -> Timeline:
    """Give the sums of a window's events, those that are learned as columns, and of what was counted in it.

    ``tried`` are those of them that were part of the experiment with a holdout.
    """
    decided = _minutes(columns.seconds)
    passed_over = _minutes(np.array([event.decision.decided_at.timestamp() for event in skipped], dtype=np.float64))
    last = np.array([(span.until - _INSTANT - EPOCH) // _MINUTE] if _counts(counters) else [], dtype=np.int64)
    begins = np.unique(np.concatenate([_begins(minutes) for minutes in (decided, passed_over, last)]))
    places = _Places(len(begins), *(np.searchsorted(begins, _begins(minutes)) for minutes in (decided, passed_over, last)))
    moments = [_spread(Series.of(rounds, decided[held]), begins) for rounds, held in rounds_of(columns)]
    return Timeline(begins, _activity(columns, skipped, counters, span, places), stacked(moments), _trial(tried, begins))


def _trial(tried: Tried | None, begins: Integers) -> Trial:
    """Sum up the experiment; its events are among the learned ones, so each has its bucket."""
    if tried is None or not len(tried):
        return Trial.none(len(begins))
    return tried.sums(np.searchsorted(begins, _begins(_minutes(tried.seconds))), len(begins))


def _counts(counters: Counters) -> bool:
    """Tell whether anything is counted by windows and not by events."""
    return any([counters.rewards, counters.late_rewards, counters.unknown_rewards, counters.skipped.get(SkipReason.QUARANTINED)])


@dataclass(frozen=True, eq=False, slots=True)
class _Places:
    """In which of so many buckets the learned events are, those that were skipped, and the window's end."""

    size: int
    learned: Integers
    skipped: Integers
    end: Integers

    def sum(self, values: npt.ArrayLike) -> Floats:
        """Sum a column of the learned events, [n], by bucket."""
        return _summed(self.learned, np.asarray(values, dtype=np.float64), self.size)

    def largest(self, values: Floats) -> Floats:
        """Give the largest of them by bucket."""
        found = np.zeros(self.size)
        np.maximum.at(found, self.learned, values)
        return found

    def at_end(self, count: int) -> Floats:
        """Count something where the window ends."""
        return _summed(self.end, np.full(len(self.end), float(count)), self.size)


def _activity(columns: Logged, skipped: Sequence[JoinedEvent], counters: Counters, span: Span, places: _Places) -> Activity:
    due = columns.seconds + span.wait.total_seconds()
    is_open = _is_open(columns)
    reasons = np.array([event.skip for event in skipped], dtype=object)
    by_reason = {name: _summed(places.skipped, (reasons == reason).astype(np.float64), places.size) for reason, name in SKIPPED.items()}
    by_reason["quarantined"] += places.at_end(counters.skipped.get(SkipReason.QUARANTINED, 0))
    return Activity(
        events=places.sum(np.ones(len(columns))),
        explored=places.sum(columns.explored),
        entropy=places.sum(columns.entropy),
        lag_seconds=places.sum(np.maximum(span.learned_at.timestamp() - due, 0.0)),
        proposed=places.sum(columns.is_proposed),
        imitated=places.sum(columns.is_imitated),
        **by_reason,
        rewards=places.at_end(counters.rewards),
        late_rewards=places.at_end(counters.late_rewards),
        unknown_rewards=places.at_end(counters.unknown_rewards),
        baseline_bound=places.largest(baseline_bounds(columns)),
        random_bound=places.largest(_over(columns.possible * columns.least, is_open)),
    )


def _summed(places: Integers, values: Floats, size: int) -> Floats:
    """Sum values by place; numpy gives whole numbers for none."""
    return np.bincount(places, weights=values, minlength=size).astype(np.float64)


def rounds_of(columns: Logged) -> list[tuple[Rounds, Flags]]:
    """Give the rounds of each policy, and which events they are: those that can tell of it."""
    known, is_open = _is_known(columns), _is_open(columns)
    taken = known & columns.is_baseline
    return [
        _rounds(np.ones(len(columns)), columns, np.ones(len(columns), dtype=np.bool_)),
        _rounds(_over(columns.chosen, taken), columns, known),
        _rounds(_over(columns.possible * columns.chosen, is_open), columns, is_open),
    ]


def baseline_bounds(columns: Logged) -> Floats:
    """Give the largest weights that the baseline could have had in each event, 0 where nothing tells of it."""
    return _over(columns.baseline, _is_known(columns))


def _is_open(columns: Logged) -> Flags:
    """Tell which events had every action that was not excluded drawn by chance, as far as the log tells."""
    found: Flags = ~columns.is_certain & (columns.chosen > 0.0)
    return found


def _is_known(columns: Logged) -> Flags:
    """Tell which events can tell of the baseline: those, and those where it was shown for certain: of Apprentice mode, or held out."""
    found: Flags = (~columns.is_certain | columns.is_apprentice | columns.is_held_out) & (columns.chosen > 0.0)
    return found


def _over(chances: Floats, where: Flags) -> Floats:
    """Give 1 over the chances, and 0 elsewhere."""
    weights: Floats = np.where(where, 1.0 / np.maximum(np.where(where, chances, 1.0), 1.0 / LARGEST_WEIGHT), 0.0)
    return weights


def _rounds(weights: Floats, columns: Logged, held: Flags) -> tuple[Rounds, Flags]:
    rewards, none = np.clip(columns.rewards, -LARGEST_REWARD, LARGEST_REWARD), np.zeros(len(columns))
    return Rounds(weights, rewards, none, none, none).cut(held), held


def _spread(series: Series, begins: Integers) -> Moments:
    return spread(series.moments, np.searchsorted(begins, series.buckets * MINUTES), len(begins))


def _minutes(seconds: Floats) -> Integers:
    return (seconds // 60.0).astype(np.int64)


def _begins(minutes: Integers) -> Integers:
    return starts_of(minutes, np.full(len(minutes), FINE))
