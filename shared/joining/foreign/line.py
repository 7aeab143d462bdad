"""A line of a joined log of others, decoded: the members that mean something, under names of ours."""

from datetime import datetime
from math import isfinite
from typing import Final, NoReturn

import msgspec

from shared.domain.errors import UnreadableError
from shared.domain.events import SkipReason

MAX_ID_LENGTH: Final = 256

_NOTHING: Final = msgspec.Raw(b"")


class Report(msgspec.Struct, rename={"event_id": "EventId", "is_activation": "ActionTaken"}):
    """One of the observations: a reward (``v``), an activation, or neither."""

    event_id: str | None = None
    ts: datetime | None = None
    v: object = None
    is_activation: bool | None = False


class Outcome(
    msgspec.Struct,
    rename={"cost": "_label_cost", "original": "_original_label_cost", "numbers": "_a", "chances": "_p", "reports": "_o"},
):
    """What became of one of several slots; actions count from 0, the chosen one first. ``original`` is as in `Line`."""

    cost: float | None = None
    original: float | None = None
    numbers: list[int] | int = []  # msgspec copies an empty list
    chances: list[float] | float = []
    reports: list[Report] | None = None


class State(msgspec.Struct):
    """``m`` is the version of the model that chose."""

    m: str = ""


class Proposed(msgspec.Struct):
    """What the policy drew beside the baseline, as this service logs it; actions count from 1."""

    a: int
    p: float
    lesson: bool


class Held(msgspec.Struct):
    """Whether the event was held out, of what share of events, and with what chance as its slot found it; as this service logs it."""

    share: float
    p: float
    held: bool


class Line(
    msgspec.Struct,
    rename={
        "cost": "_label_cost",
        "original": "_original_label_cost",
        "probability": "_label_probability",
        "action": "_label_Action",
        "index": "_labelIndex",
        "reports": "o",
        "decided_at": "Timestamp",
        "event_id": "EventId",
        "mode": "Mode",
        "deferred": "DeferredAction",
        "state": "VWState",
        "is_skipped": "_skipLearn",
        "is_deferred": "_deferred",
        "outcomes": "_outcomes",
        "baselines": "_ba",
        "slot": "Slot",
        "proposed": "Proposed",
        "held": "Holdout",
        "skip": "SkipReason",
        "dangling": "RewardValue",
        "queued_at": "EnqueuedTimeUtc",
        "continuous": "_label_ca",
    },
):
    """The members that mean something; ``c`` stays text.

    ``dangling`` is a reward that the other service's join had no decision for, and ``queued_at`` is told of such rewards only. ``original``
    is the cost that was observed, where another join has put its own lesson in the place of ``cost`` (Apprentice mode), and
    ``baselines`` are the slots' own actions, counted from 0. What ``is_deferred`` was to be learned only if it was activated.
    """

    c: msgspec.Raw = _NOTHING
    cost: float | None = None
    original: float | None = None
    probability: float | None = None
    action: int | None = None
    index: int | None = None
    reports: list[Report] | None = None
    decided_at: datetime | None = None
    event_id: str | None = None
    mode: str | None = None
    deferred: bool | None = False
    a: list[int] | None = None
    p: list[float] | None = None
    state: State | None = None
    is_skipped: bool | None = False
    is_deferred: bool | None = False
    pdrop: float | None = 0.0
    outcomes: list[Outcome] | None = None
    baselines: list[int] | None = None
    slot: str = ""
    proposed: Proposed | None = None
    held: Held | None = None
    skip: SkipReason | None = None
    dangling: object = None
    queued_at: object = None
    continuous: object = None


LINE: Final = msgspec.json.Decoder(Line)


def as_float(value: str | float) -> float | None:
    """Give a number, or the text of one, as a finite float; None for one that is too large. JSON has whole numbers of any length."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def refuse(what: str) -> NoReturn:
    """Raise `UnreadableError` with what is wrong with a line."""
    raise UnreadableError(what)
