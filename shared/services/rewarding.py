"""Reward and Activate: an observation in, stored."""

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

    async def activate(self, event_id: str) -> None:
        """Return once the activation is stored; raises as `reward`."""
        await self._log.append_observation(Observation(event_id, self._clock.now(), None))
