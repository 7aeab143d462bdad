"""Several rewards for one event become one."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from shared.domain.loop import RewardAggregation

_AGGREGATE: Mapping[RewardAggregation, Callable[[Sequence[float]], float]] = MappingProxyType(
    {
        RewardAggregation.EARLIEST: lambda rewards: rewards[0],
        RewardAggregation.SUM: sum,
        RewardAggregation.AVERAGE: statistics.fmean,
        RewardAggregation.MEDIAN: statistics.median,
        RewardAggregation.MIN: min,
        RewardAggregation.MAX: max,
    }
)


def aggregate(rewards: Sequence[float], how: RewardAggregation) -> float:
    """Make one reward of those observed, earliest first; there must be at least one.

    A sum may leave the range of a single reward, and the largest of negative rewards is negative.

    >>> aggregate([1.0, 0.5], RewardAggregation.SUM), aggregate([-0.5, -1.0], RewardAggregation.MAX)
    (1.5, -0.5)
    """
    return _AGGREGATE[how](rewards)
