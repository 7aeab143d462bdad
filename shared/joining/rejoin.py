"""A joined event joined again under other reward settings, as far as the joined log tells what they need.

What it does not tell stays as it was decided: observations that came after the wait of that time are not in the log, so a longer wait
finds no more of them; nor does it undo what was said of repeated decisions and of learning modes.
"""

from collections.abc import Iterable
from dataclasses import replace

from shared.domain.events import JoinedEvent, Observation, SkipReason
from shared.domain.loop import LoopSettings
from shared.joining.aggregation import aggregate
from shared.joining.join import EARLY

_LASTING = (SkipReason.DUPLICATE, SkipReason.LOGGING_ONLY, SkipReason.QUARANTINED)


def rejoin(event: JoinedEvent, loop: LoopSettings) -> JoinedEvent:
    """Give the event the reward that it has under these settings; under those of its time it stays as it is."""
    decided_at = event.decision.decided_at
    first, last = decided_at - EARLY, decided_at + loop.reward_wait
    observations = tuple([each for each in event.observations if first <= each.observed_at <= last])
    rewards = [each.reward for each in observations if each.reward is not None]
    reward = 0.0 + (aggregate(rewards, loop.reward_aggregation) if rewards else loop.default_reward)
    return replace(event, reward=reward, observations=observations, skip=_skip(event, observations))


def _skip(event: JoinedEvent, observations: Iterable[Observation]) -> SkipReason | None:
    if event.skip in _LASTING:
        return event.skip
    if event.decision.deferred and not any(each.is_activation for each in observations):
        return SkipReason.NOT_ACTIVATED
    return None
