"""Did it learn? A statement about the rewards of a run that can come out false.

For each stretch that is judged, the loop's reward is compared event by event with a *bar*: what the better of two unlearned
ways to choose is expected to earn on the very same events. The loop passes when the mean difference is more than two of its
standard errors above zero. Only the loop's rewards are drawn by chance; bar and optimum are exact.

The two ways are picking blindly and showing the app's own first action. Where all events offer the same list in the same
order, as data sets made from classes do, the first action is merely class 0, often the most frequent answer, and nobody's
editorial choice: there the bar is picking blindly, and the first action is reported beside it.
"""

import math
from dataclasses import dataclass

import numpy as np

from examples.events import Floats, Programme

STANDARD_ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a run, from event `start` up to but without `stop`."""

    name: str
    start: int
    stop: int
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Score:
    """Mean rewards over a stretch; `margin` is how far the loop is above the bar, with its standard error."""

    stretch: Stretch
    events: int
    reward: float
    random: float
    first: float
    optimum: float
    margin: float
    standard_error: float

    @property
    def learned(self) -> bool:
        """Tell whether the margin is beyond what chance explains."""
        return self.margin > STANDARD_ERRORS * self.standard_error


def stretches(events: int, drift_at: int | None) -> tuple[Stretch, ...]:
    """Name the parts of a run that are reported; the first is the whole.

    >>> [(s.name, s.start, s.stop) for s in stretches(4000, 2000)[1:]]
    [('last quarter before the drift', 1000, 2000), ('last quarter', 3000, 4000)]
    """
    whole = Stretch("overall", 0, events, judged=False)
    if drift_at is None:
        return whole, Stretch("last third", events - events // 3, events)
    quarter = events // 4
    return (
        whole,
        Stretch("last quarter before the drift", max(drift_at - quarter, 0), drift_at),
        Stretch("last quarter", max(events - quarter, drift_at), events),
    )


def score(programme: Programme, rewards: Floats, stretch: Stretch) -> Score:
    """Compare the rewards of a stretch with what else could have been earned; events not played are NaN and left out."""
    here = slice(stretch.start, stretch.stop)
    played = ~np.isnan(rewards[here])
    count = int(played.sum())
    if not count:
        return Score(stretch, 0, math.nan, math.nan, math.nan, math.nan, math.nan, math.inf)
    earned, random, first, optimum = (each[here][played] for each in (rewards, programme.random, programme.first, programme.optimum))
    bar = random if programme.fixed_menu or random.mean() >= first.mean() else first
    above = earned - bar
    standard_error = float(above.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
    reward, blind, baseline, best, margin = (float(each.mean()) for each in (earned, random, first, optimum, above))
    return Score(stretch, count, reward, blind, baseline, best, margin, standard_error)


def judge(programme: Programme, rewards: Floats) -> tuple[Score, ...]:
    """Score every stretch of the run."""
    return tuple(score(programme, rewards, stretch) for stretch in stretches(len(programme.events), programme.drift_at))


def has_learned(scores: tuple[Score, ...]) -> bool:
    """Tell whether every judged stretch passed."""
    return all(each.learned for each in scores if each.stretch.judged)
