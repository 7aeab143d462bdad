"""What the messages of a binary joined log hold: version 2 of the client libraries' schema."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared.domain.errors import UnreadableError
from shared.domain.events import LearningMode
from shared.domain.loop import RewardAggregation
from shared.joining.binary.packed import Unpacking
from shared.joining.binary.tables import Table, damage_told

_T = TypeVar("_T")

MOST_SLOTS: Final = 1_000
MOST_ACTIONS: Final = 1_000

_TIME: Final = struct.Struct("<HBBBBBxI")
_ACTION: Final = np.dtype("<u8")
_SLOT_ACTION: Final = np.dtype("<u4")
_PROBABILITY: Final = np.dtype("<f4")
_BASELINE: Final = np.dtype("<i4")
_ID: Final = np.dtype("<u8")

_LEAST_EVENT: Final = 64
"""Bytes that any event takes in a message, its id and envelope included."""

_MODES: Final = (LearningMode.ONLINE, LearningMode.APPRENTICE, LearningMode.LOGGING_ONLY)
_AGGREGATIONS: Final = (
    RewardAggregation.EARLIEST,
    RewardAggregation.AVERAGE,
    RewardAggregation.MEDIAN,
    RewardAggregation.SUM,
    RewardAggregation.MIN,
    RewardAggregation.MAX,
)


class Kind(IntEnum):
    """What an event is about."""

    SINGLE = 0
    MULTI_SLOT = 1
    SLATES = 2
    OUTCOME = 3
    CONTINUOUS = 4
    DICTIONARY = 5
    MULTI_STEP = 6
    EPISODE = 7


class _Union(IntEnum):
    NOTHING = 0
    NUMBER = 1
    TEXT = 2


_KINDS: Final = tuple(Kind)
_UNIONS: Final = tuple(_Union)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How the events that follow become rewards."""

    aggregation: RewardAggregation = RewardAggregation.EARLIEST
    default_reward: float = 0.0
    is_by_client_time: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it was sent; ``passed`` is the chance that it was not left out of the log."""

    id: str
    kind: Kind
    at: datetime | None
    passed: float
    packed: bytes
    encoding: int
    unpacking: Unpacking

    @property
    def payload(self) -> bytes:
        """What is in it; raises `UnreadableError` where that cannot be unpacked."""
        return self.unpacking.unpacked(self.packed, self.encoding)


@dataclass(frozen=True, slots=True)
class Choice:
    """The actions of one slot, the chosen one first, and their probabilities, in single precision."""

    actions: NDArray[Any]
    probabilities: NDArray[np.float32]
    slot_id: str = ""


@dataclass(frozen=True, slots=True)
class Interaction:
    """A decision: the context is JSON text. Actions count from 1, those of slots and baselines from 0."""

    context: bytes
    choices: tuple[Choice, ...]
    model: str
    mode: LearningMode
    is_deferred: bool
    baselines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """A reward, of one slot if ``slot`` says so by place or id, or an activation: that has no value."""

    value: float | None
    slot: int | str | None
    is_activation: bool


def read_checkpoint(data: bytes) -> Checkpoint:
    """Read a checkpoint message; raises `UnreadableError`."""
    with damage_told("a checkpoint message"):
        table = Table.root(data)
        return Checkpoint(_named(_AGGREGATIONS, table.byte(0), "a reward function"), table.real(1), bool(table.byte(4)))


def arrivals(data: bytes) -> Iterator[tuple[bytes, datetime | None]]:
    """Give the events of a regular message, as bytes, and when they arrived; raises `UnreadableError`.

    Together they are no longer than the message, whatever it says.
    """
    left = len(data)
    with damage_told("a message"):
        for each in Table.root(data).tables(0):
            event = each.content(0)
            left -= max(len(event), _LEAST_EVENT)
            if left < 0:
                raise UnreadableError("a message is damaged: its events overlap")
            yield event, _time(each.members(1, _TIME))


def read_event(data: bytes, arrived: datetime | None, unpacking: Unpacking, *, is_by_client_time: bool) -> Event:
    """Read an event's envelope; raises `UnreadableError`."""
    with damage_told("an event"):
        event = Table.root(data)
        meta = event.table(0)
        if meta is None or not meta.has(0):
            raise UnreadableError("an event has no id")
        own = _time(meta.members(1, _TIME)) if is_by_client_time else None
        kind = _named(_KINDS, meta.byte(3), "a kind of events")
        return Event(meta.text(0), kind, own or arrived, meta.real(4), event.content(1), meta.byte(5), unpacking)


def read_interaction(event: Event) -> Interaction:
    """Read a decision with one slot or several; raises `UnreadableError`."""
    with damage_told(f"the event {event.id}"):
        payload = event.payload
        table = Table.root(payload)
        return _multi_slot(table, len(payload)) if event.kind is Kind.MULTI_SLOT else _single(table)


def read_outcome(event: Event) -> Outcome:
    """Read a reward or an activation; raises `UnreadableError`."""
    with damage_told(f"an observation of the event {event.id}"):
        table = Table.root(event.payload)
        value, slot = _union(table, 0), _union(table, 2)
        is_activation = bool(table.byte(4))
        number = None if is_activation or value is None else value.real(0) if isinstance(value, Table) else _number(value)
        return Outcome(number, slot.integer(0) if isinstance(slot, Table) else slot, is_activation)


def read_dictionary(event: Event) -> list[tuple[int, bytes]]:
    """Read the actions that events refer to by number, as JSON text; raises `UnreadableError`."""
    payload = event.payload
    left = len(payload)
    values: list[bytes] = []
    with damage_told("a dictionary of actions"):
        table = Table.root(payload)
        ids = table.array(0, _ID)
        for value in table.texts(1):
            left -= len(value) + 1
            if left < 0:
                raise UnreadableError("a dictionary of actions is damaged: its texts overlap")
            values.append(value)
        if len(ids) != len(values):
            raise UnreadableError(f"a dictionary of actions has {len(ids)} numbers but {len(values)} texts")
    return list(zip(ids.tolist(), values, strict=True))


def _single(table: Table) -> Interaction:
    choice = Choice(table.array(1, _ACTION), table.array(3, _PROBABILITY))
    mode = _named(_MODES, table.byte(5), "a learning mode")
    return Interaction(table.content(2), (_checked(choice),), table.text(4), mode, bool(table.byte(0)))


def _multi_slot(table: Table, size: int) -> Interaction:
    choices: list[Choice] = []
    for slot in table.tables(1):
        if len(choices) == MOST_SLOTS:
            raise UnreadableError(f"there are more than {MOST_SLOTS} slots")
        choices.append(_checked(Choice(slot.array(0, _SLOT_ACTION), slot.array(1, _PROBABILITY), slot.text(2))))
        size -= len(choices[-1].slot_id)
        if size < 0:
            raise UnreadableError("an event is damaged: the ids of its slots overlap")
    return Interaction(
        context=table.content(0),
        choices=tuple(choices),
        model=table.text(2),
        mode=_named(_MODES, table.byte(5), "a learning mode"),
        is_deferred=bool(table.byte(3)),
        baselines=tuple(table.array(4, _BASELINE)[:MOST_SLOTS].tolist()),
    )


def _checked(choice: Choice) -> Choice:
    if max(len(choice.actions), len(choice.probabilities)) > MOST_ACTIONS:
        raise UnreadableError(f"there are more than {MOST_ACTIONS} actions")
    if not np.isfinite(choice.probabilities).all():
        raise UnreadableError("a probability is NaN or infinite")
    return choice


def _union(table: Table, field: int) -> Table | str | None:
    """Give a number, still in its table, a text, or nothing; the field before names which."""
    which = _named(_UNIONS, table.byte(field), "a kind of values")
    if which is _Union.NUMBER:
        return table.table(field + 1)
    return table.text(field + 1) if which is _Union.TEXT else None


def _number(text: str) -> float | None:
    """Read a reward that was sent as text; None if it is no number: it is no reward then."""
    try:
        return float(text)
    except ValueError:
        return None


def _named(names: tuple[_T, ...], number: int, what: str) -> _T:
    if number >= len(names):
        raise UnreadableError(f"{what} has the number {number}, which is not known")
    return names[number]


def _time(told: tuple[int, ...] | None) -> datetime | None:
    """Give a time to the second, as the libraries' own joiner does; None for one that is not told."""
    if told is None or not any(told[:6]):
        return None
    year, month, day, hour, minute, second, _ = told
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
