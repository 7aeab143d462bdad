"""How the policy would have done in the baseline's place: the figures of Apprentice mode."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum
from typing import Final

from shared.domain.events import JoinedEvent

LATEST: Final = 1_000
"""How many events the figures are of, as in Azure."""


@dataclass(frozen=True, slots=True)
class ApprenticeMetrics:
    """The latest learned events of Apprentice mode, oldest first, at most `LATEST`.

    ``rewards`` are the baseline's own, which ``imitated`` tells the policy would have earned as well: it proposed the same action.
    """

    rewards: tuple[float, ...] = ()
    imitated: tuple[bool, ...] = ()

    @property
    def sum_of_rewards(self) -> float:
        """What the baseline earned."""
        return fsum(self.rewards)

    @property
    def sum_of_imitated_rewards(self) -> float:
        """What the policy would have earned for certain: what its other proposals are worth is not known, and counts 0."""
        return fsum(reward for reward, is_imitated in zip(self.rewards, self.imitated, strict=True) if is_imitated)

    @property
    def baseline_average_reward(self) -> float:
        """What the baseline earned an event; 0 without events."""
        return self.sum_of_rewards / max(len(self.rewards), 1)

    @property
    def personalizer_average_reward(self) -> float:
        """What the policy would have earned an event; 0 without events."""
        return self.sum_of_imitated_rewards / max(len(self.rewards), 1)

    @property
    def achievement_ratio(self) -> float | None:
        """The policy's rewards as a fraction of the baseline's, None where that earned nothing (or less)."""
        return self.sum_of_imitated_rewards / self.sum_of_rewards if self.sum_of_rewards > 0.0 else None

    def after(self, events: Iterable[JoinedEvent]) -> "ApprenticeMetrics":
        """Add the learned events among these that carry a proposal; the oldest leave."""
        new = [event for event in events if event.decision.proposal is not None and event.skip is None][-LATEST:]
        if not new:
            return self
        rewards = (*self.rewards, *[event.reward for event in new])
        imitated = (*self.imitated, *[event.decision.is_imitated for event in new])
        return ApprenticeMetrics(rewards[-LATEST:], imitated[-LATEST:])
