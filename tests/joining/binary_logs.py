"""Writes binary joined logs as the client libraries' joiner does, by field numbers of the schema: an own writer, to read against."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final

import flatbuffers
import numpy as np
import orjson
import zstandard

MAGIC: Final = b"VWFB\1\0\0\0"
HEADER, CHECKPOINT, EVENTS, END = 0x55555555, 0x11111111, 0xFFFFFFFF, 0xAAAAAAAA
ONLINE, APPRENTICE, LOGGING_ONLY = range(3)
EARLIEST, AVERAGE, MEDIAN, SUM, MIN, MAX = range(6)
T0: Final = datetime(2023, 5, 17, 8, 30, tzinfo=UTC)

PASTA, ICE = {"i": {"id": "pasta"}, "j": [{"taste": "salty"}]}, {"i": {"id": "ice"}, "j": [{"taste": "sweet"}]}
CONTEXT: Final = {"FromUrl": [{"sky": "blue"}], "_multi": [PASTA, ICE]}
SLOTS: Final = {**CONTEXT, "_slots": [{"_id": "top", "j": [{"size": "large"}]}, {"_id": "side", "j": [{"size": "small"}]}]}


class Kind(IntEnum):
    CB, CCB, SLATES, OUTCOME, CA, DEDUP, MULTI_STEP, EPISODE = range(8)


@dataclass(frozen=True)
class Byte:
    value: int


@dataclass(frozen=True)
class Real:
    value: float


@dataclass(frozen=True)
class Table:
    """Fields by number: a byte, a real, a time, text, bytes, numbers, a table, or a list of tables or texts."""

    fields: Mapping[int, Any]

    def written(self) -> bytes:
        builder = flatbuffers.Builder()
        builder.Finish(self.put(builder))
        return bytes(builder.Output())

    def put(self, to: flatbuffers.Builder) -> Any:
        made = {number: _reference(to, value) for number, value in self.fields.items()}
        to.StartObject(max(self.fields, default=-1) + 1)
        for number, value in self.fields.items():
            if isinstance(value, Byte):
                to.PrependUint8Slot(number, value.value, 0)
            elif isinstance(value, int):
                to.PrependInt32Slot(number, value, 0)
            elif isinstance(value, Real):
                to.PrependFloat32Slot(number, value.value, 0.0)
            elif isinstance(value, datetime):
                to.PrependStructSlot(number, _time(to, value), 0)
            else:
                to.PrependUOffsetTRelativeSlot(number, made[number], 0)
        return to.EndObject()


@dataclass(frozen=True)
class Repeated:
    """A vector that names the same part again and again."""

    part: Any
    count: int


def _reference(to: flatbuffers.Builder, value: Any) -> Any:
    if isinstance(value, str):
        return to.CreateString(value)
    if isinstance(value, bytes):
        return to.CreateByteVector(value)
    if isinstance(value, np.ndarray):
        return to.CreateNumpyVector(value)
    if isinstance(value, Table):
        return value.put(to)
    if isinstance(value, list | Repeated):
        parts = [_reference(to, each) for each in value] if isinstance(value, list) else [_reference(to, value.part)] * value.count
        to.StartVector(4, len(parts), 4)
        for part in reversed(parts):
            to.PrependUOffsetTRelative(part)
        return to.EndVector()
    return 0


def _time(to: flatbuffers.Builder, at: datetime) -> Any:
    to.Prep(4, 12)
    to.PrependUint32(at.microsecond * 10)
    to.Pad(1)
    for value in (at.second, at.minute, at.hour, at.day, at.month):
        to.PrependUint8(value)
    to.PrependUint16(at.year)
    return to.Offset()


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack("<II", kind, len(payload)) + payload + bytes(len(payload) % 8)


def checkpoint(*, aggregation: int = EARLIEST, default_reward: float = 0.0, is_by_client_time: bool = False) -> bytes:
    fields = {0: Byte(aggregation), 1: Real(default_reward), 4: Byte(is_by_client_time)}
    return message(CHECKPOINT, Table(fields).written())


def event(
    event_id: str,
    kind: int,
    payload: Table | bytes,
    *,
    passed: float = 1.0,
    packs: bool = False,
    arrived: datetime | None = T0,
    sent: datetime | None = None,
) -> Table:
    """An event that arrived, or one without its time; ``packs`` it by Zstandard."""
    content = payload.written() if isinstance(payload, Table) else payload
    meta = {0: event_id, 2: "app", 3: Byte(kind), 4: Real(passed), 5: Byte(packs)} | ({} if sent is None else {1: sent})
    inner = Table({0: Table(meta), 1: zstandard.compress(content) if packs else content})
    return Table({0: inner.written()} | ({} if arrived is None else {1: arrived}))


def events(*arrived: Table) -> bytes:
    """A message of events that belong together."""
    return message(EVENTS, Table({0: list(arrived)}).written())


def log(*messages: bytes, how: bytes | None = None) -> bytes:
    """A whole file."""
    header = message(HEADER, Table({0: T0, 1: [Table({0: "joiner", 1: "test"})]}).written())
    return b"".join((MAGIC, header, checkpoint() if how is None else how, *messages, message(END, b"")))


def cb(
    event_id: str = "e",
    *,
    context: object = CONTEXT,
    actions: Sequence[int] = (2, 1),
    chances: Sequence[float] = (0.8, 0.2),
    mode: int = ONLINE,
    is_deferred: bool = False,
    **others: Any,
) -> Table:
    """A decision: actions count from 1, the chosen one first."""
    fields = {
        0: Byte(is_deferred),
        1: np.array(actions, "<u8"),
        2: _text(context),
        3: np.array(chances, "<f4"),
        4: "model-1",
        5: Byte(mode),
    }
    return event(event_id, Kind.CB, Table(fields), **others)


def slot(actions: Sequence[int], chances: Sequence[float], slot_id: str) -> Table:
    return Table({0: np.array(actions, "<u4"), 1: np.array(chances, "<f4"), 2: slot_id})


BOTH: Final = (slot((1, 0), (0.75, 0.25), "top"), slot((0,), (1.0,), "side"))


def ccb(
    event_id: str = "e",
    *,
    context: object = SLOTS,
    slots: Sequence[Table] | Repeated = BOTH,
    baselines: Sequence[int] = (),
    mode: int = ONLINE,
    is_deferred: bool = False,
    **others: Any,
) -> Table:
    """A decision with slots, whose actions count from 0."""
    fields = {
        0: _text(context),
        1: slots if isinstance(slots, Repeated) else list(slots),
        2: "model-1",
        3: Byte(is_deferred),
        4: np.array(baselines, "<i4"),
        5: Byte(mode),
    }
    return event(event_id, Kind.CCB, Table(fields), **others)


def reward(value: float | str, event_id: str = "e", *, of: int | str | None = None, **others: Any) -> Table:
    """A reward, a number or a text, of a slot by place or by id."""
    fields: dict[int, Any] = {0: Byte(2), 1: value} if isinstance(value, str) else {0: Byte(1), 1: Table({0: Real(value)})}
    if of is not None:
        fields |= {2: Byte(2), 3: of} if isinstance(of, str) else {2: Byte(1), 3: Table({0: of})}
    return event(event_id, Kind.OUTCOME, Table(fields), **others)


def activation(event_id: str = "e", **others: Any) -> Table:
    return event(event_id, Kind.OUTCOME, Table({4: Byte(1)}), **others)


def dictionary(texts: Mapping[int, object], **others: Any) -> Table:
    """Actions that contexts refer to as ``{"__aid": number}``."""
    values = [orjson.dumps(each).decode() for each in texts.values()]
    return event("dictionary", Kind.DEDUP, Table({0: np.array(list(texts), "<u8"), 1: values}), **others)


def _text(context: object) -> bytes:
    return context if isinstance(context, bytes) else orjson.dumps(context)
