"""What is served, handed out to clients that decide by themselves."""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from shared.domain.errors import BusyError, StorageUnavailableError, UnreadableError
from shared.domain.loop import LoopSettings
from shared.domain.ports import ModelStore
from shared.domain.uploads import Basis
from shared.services.serving.model_server import ModelServer
from shared.services.serving.tickets import Tickets


@dataclass(frozen=True, slots=True)
class Offer:
    """All that a client needs, but for the model itself; ``tag`` differs whenever something of it does."""

    version: str
    settings: LoopSettings
    poll_interval: timedelta
    ticket: str

    @property
    def tag(self) -> str:
        """Tell this offer from others, in every process alike."""
        return sha256(f"{self.poll_interval.total_seconds()} {self.ticket}".encode()).hexdigest()[:32]


class HandingOut:
    """Hands out what one loop serves in this process."""

    def __init__(self, models: ModelServer, store: ModelStore, tickets: Tickets, *, place: str, poll_interval: timedelta) -> None:
        self._models = models
        self._store = store
        self._tickets = tickets
        self._place = place
        self._poll_interval = poll_interval

    async def offer(self) -> Offer:
        """Tell what is served; raises `StorageUnavailableError` while this process does not know that itself."""
        served = await self._models.served()
        if served.is_let_go or not self._models.has_looked or (served.error is not None and not served.version):
            raise StorageUnavailableError("this process does not know yet which model is published; repeat the call")
        ticket = await self._tickets.write(Basis.of(self._place, served.version, served.settings))
        return Offer(served.version, served.settings, self._poll_interval, ticket)

    async def model(self, offer: Offer) -> bytes | None:
        """Give the model of an offer; None if there is none yet. Raises as `ModelStore`, and `BusyError` if it has just been replaced."""
        if not offer.version:
            return None
        try:
            return await self._store.artifact(offer.version)
        except UnreadableError as cause:
            raise BusyError("the model has just been replaced; repeat the call") from cause
