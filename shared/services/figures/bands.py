"""What policies would have earned by the figures' sums, [P, B]: the estimate, and intervals around it that hold."""

from math import log2
from typing import Final

import numpy as np

from shared.evaluation import estimators
from shared.evaluation.intervals import ALPHA, Interval, cressie_read
from shared.evaluation.moments import Moments
from shared.evaluation.sequences import confidence_sequence_by_constants
from shared.evaluation.sums import Floats
from shared.services.figures.timeline import POLICIES, Activity
from shared.services.figures.window import LARGEST_WEIGHT

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


def anytime(moments: Moments, bound: Floats, *, alpha: float = ALPHA) -> Interval:
    """Give intervals of sums that grow, which hold at all looks at once with 1 − α, [P, B]; ``bound`` is of all events so far.

    How large a weight can be is known before each draw, but not before the first one: policies and requests change. So the stakes are
    shared evenly among all powers of two that may turn out to be enough.
    """
    classes = np.ceil(np.log2(np.maximum(bound, 1.0)))
    belief = np.full(bound.shape, 1.0 / (log2(LARGEST_WEIGHT) + 1.0))
    belief[_ONLINE] = 1.0  # its weights are all 1 for certain
    return _around(confidence_sequence_by_constants(moments, largest_weight=2.0**classes, belief=belief, alpha=alpha), moments)


def _around(interval: Interval, moments: Moments) -> Interval:
    """Widen intervals to hold the estimate; nan where there is none."""
    value = estimates(moments)
    return Interval(np.minimum(interval.lower, value), np.maximum(interval.upper, value))
