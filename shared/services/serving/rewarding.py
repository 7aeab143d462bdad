"""Reward and Activate: an observation in, stored."""

from collections.abc import Sequence

from shared.domain.clock import Clock
from shared.domain.events import Observation
from shared.domain.ports import EventLog


class Rewarder:
    """Stores what was observed of events; whether an event is known is for the trainer to find out."""

    def __init__(self, log: EventLog, *, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    async def reward(self, event_id: str, value: float) -> None:
        """Return once the reward is stored; raises `StorageUnavailableError` or `BacklogFullError`."""
        await self._log.append_observation(Observation(event_id, self._clock.now(), value))

    async def reward_slot(self, event_id: str, slot_id: str, value: float) -> None:
        """Return once the reward for one slot of a multi-slot event is stored; raises as `reward`."""
        await self.reward_slots(event_id, [(slot_id, value)])

    async def reward_slots(self, event_id: str, rewards: Sequence[tuple[str, float]]) -> None:
        """Return once these rewards, at least one, are stored together, each for the slot of this id; raises as `reward`."""
        now = self._clock.now()
        await self._log.append_observations([Observation(event_id, now, value, slot_id) for slot_id, value in rewards])

    async def activate(self, event_id: str) -> None:
        """Return once the activation of the event, with all its slots, is stored; raises as `reward`."""
        await self._log.append_observation(Observation(event_id, self._clock.now(), None))
