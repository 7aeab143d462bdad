"""What policies would have earned by the figures' sums, [P, B]: the estimate, and intervals around it that hold."""

from typing import Final

import numpy as np

from shared.evaluation import estimators
from shared.evaluation.intervals import ALPHA, Interval, cressie_read
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Integers
from shared.evaluation.sequences import confidence_sequence
from shared.evaluation.sums import Floats
from shared.services.figures.timeline import POLICIES, Activity

_ONLINE: Final = POLICIES.index("online")


def estimates(moments: Moments) -> Floats:
    """Give the mean reward as `snips`, the best without predictions; nan where no event tells of it."""
    return estimators.snips(moments)


def bounds(activity: Activity) -> Floats:
    """Give the largest weights that could have come about in each bucket, [P, B]: 1 for what was logged itself."""
    return np.stack([np.ones(activity.events.shape), activity.baseline_bound, activity.random_bound])


def at_one_look(moments: Moments, bound: Floats) -> Interval:
    """Give intervals of buckets taken by themselves (Cressie & Read's), each with 95 %."""
    return _around(cressie_read(moments, largest_weight=bound), moments)


def anytime(moments: Moments, bound: Floats) -> Interval:
    """Give intervals of sums that grow, which hold at all looks at once with 95 %, [P, B]; ``bound`` is of all events so far.

    How large a weight can be is known before each draw, but not before the first one: policies and requests change. So there is a
    sequence for each power of two that may turn out to be enough, the k-th with α / ((k + 1)(k + 2)), which adds up to α; the first
    that is enough is taken.
    """
    lower, upper = np.zeros(bound.shape), np.ones(bound.shape)
    classes = classes_of(bound)
    for number in np.unique(classes):
        mine = classes == number
        alpha = ALPHA if number < 0 else ALPHA / ((number + 1) * (number + 2))
        found = confidence_sequence(moments.taken(mine), largest_weight=2.0 ** max(number, 0), alpha=alpha)
        lower[mine], upper[mine] = found.lower, found.upper
    return _around(Interval(lower, upper), moments)


def classes_of(bound: Floats) -> Integers:
    """Give the power of two that is enough for each bound, and −1 for what was logged itself: its weights are all 1 for certain."""
    classes = np.ceil(np.log2(np.maximum(bound, 1.0))).astype(np.int64)
    classes[_ONLINE] = -1
    return classes


def _around(interval: Interval, moments: Moments) -> Interval:
    """Widen intervals to hold the estimate; nan where there is none."""
    value = estimates(moments)
    return Interval(np.minimum(interval.lower, value), np.maximum(interval.upper, value))
