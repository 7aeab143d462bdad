"""What a client that decides by itself reports of it later, in batches."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.events import Situation


@dataclass(frozen=True, slots=True)
class Interaction:
    """A decision that a client made: ``probabilities`` in the order of the situation's actions, ``chosen`` an index into them.

    ``at`` is the client's time, None if it tells none.
    """

    event_id: str
    situation: Situation
    probabilities: tuple[float, ...]
    chosen: int
    model_version: str
    deferred: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Report:
    """A reward that a client observed, for an event or one slot of it, or (``reward`` is None) the activation of the event."""

    event_id: str
    reward: float | None
    slot: str
    at: datetime | None
