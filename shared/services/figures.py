"""What learned events earned, and what other policies would have earned in their place: sums, so that windows add up."""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.domain.events import JoinedEvent


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over learned events. A mean is a quotient of two of them, after they were summed over the windows in question.

    ``explored`` counts the events where another action was drawn than the likeliest. ``best_…`` weigh the events as the policy that always
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


def figures(events: Iterable[JoinedEvent]) -> Figures:
    """Sum over those of the events that are learned."""
    learned = explored = 0
    reward_sum = best_weight = best_reward_sum = baseline_weight = baseline_reward_sum = 0.0
    for event in events:
        if event.skip is not None:
            continue
        decision, reward = event.decision, event.reward
        probability = decision.probabilities[decision.chosen]
        learned += 1
        reward_sum += reward
        if probability < max(decision.probabilities):
            explored += 1
        elif probability > 0.0:
            best_weight += 1.0 / probability
            best_reward_sum += reward / probability
        if not decision.slot and probability > 0.0 and decision.chosen == _first(decision.probabilities):
            baseline_weight += 1.0 / probability
            baseline_reward_sum += reward / probability
    return Figures(learned, explored, reward_sum, best_weight, best_reward_sum, baseline_weight, baseline_reward_sum)


def _first(probabilities: tuple[float, ...]) -> int:
    """Give the caller's first action that was not excluded: an excluded one has no probability.

    >>> _first((0.0, 0.25, 0.75))
    1
    """
    return next(index for index, probability in enumerate(probabilities) if probability > 0.0)
