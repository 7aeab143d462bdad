"""What learned events earned, and what other policies would have earned in their place: sums for the log, so that windows add up."""

from dataclasses import dataclass

import numpy as np

from shared.evaluation.sums import Floats
from shared.services.figures.logged import Flags, Logged


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over learned events. A mean is a quotient of two of them, after they were summed over the windows in question.

    ``explored`` counts the events where chance chose. ``best_…`` weigh the events as the policy that always
    takes the likeliest would have met them, ``baseline_…`` as that which takes the caller's first action: each by one over the
    probability of what was drawn if that policy would have taken it, else by 0. Rewards over weights is its estimated mean reward
    (self-normalised importance sampling). Slots have a baseline of their own each and are left out of that one.
    """

    learned: int = 0
    explored: int = 0
    reward_sum: float = 0.0
    best_weight: float = 0.0
    best_reward_sum: float = 0.0
    baseline_weight: float = 0.0
    baseline_reward_sum: float = 0.0


def figures(events: Logged) -> Figures:
    """Sum over the events."""
    best = _weights(events, events.is_best)
    baseline = _weights(events, events.is_baseline & ~events.is_slot)
    return Figures(
        learned=len(events),
        explored=int(np.count_nonzero(events.explored)),
        reward_sum=float(events.rewards.sum()),
        best_weight=float(best.sum()),
        best_reward_sum=float(best @ events.rewards),
        baseline_weight=float(baseline.sum()),
        baseline_reward_sum=float(baseline @ events.rewards),
    )


def _weights(events: Logged, taken: Flags) -> Floats:
    weighed = taken & (events.chosen > 0.0)
    weights: Floats = weighed / np.where(weighed, events.chosen, 1.0)
    return weights
