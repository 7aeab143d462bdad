"""Rank in your own process: decisions are made by the service's model and rules, and stored by the service.

>>> from open_personalizer import Action, Personalizer
"""

from open_personalizer.asynchronous import AsyncPersonalizer
from open_personalizer.client import Personalizer, Promise, WhenFull
from open_personalizer.errors import (
    ClosedError,
    InvalidRequestError,
    NotStoredError,
    PersonalizerError,
    QueueFullError,
    RefusedError,
    SpoolError,
)
from open_personalizer.health import Health, RefusedLine
from open_personalizer.rankings import FilledSlot, Ranked, Ranking, SlotsRanking
from open_personalizer.requests import Action, Slot

__all__ = [
    "Action",
    "AsyncPersonalizer",
    "ClosedError",
    "FilledSlot",
    "Health",
    "InvalidRequestError",
    "NotStoredError",
    "Personalizer",
    "PersonalizerError",
    "Promise",
    "QueueFullError",
    "Ranked",
    "Ranking",
    "RefusedError",
    "RefusedLine",
    "Slot",
    "SlotsRanking",
    "SpoolError",
    "WhenFull",
]
