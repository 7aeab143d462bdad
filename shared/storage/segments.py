"""A segment as a table row: many events compressed together, with a count, a checksum and a format version.

Azure allows 64 KiB a property, 1 MiB a row and 252 own properties, and the emulator 1 MiB of JSON text, in which binary
properties take a third more: the payload is kept well below.
"""

import struct
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import orjson
from isal import isal_zlib

from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import EventTooLargeError, NewerFormatError, UnreadableError
from shared.domain.events import Decision, LearningMode, Observation
from shared.domain.identity import fingerprint

FORMAT = 1
MAX_EVENTS = 4_000
"""A decision's fingerprint and time take 16 bytes of one property."""
_PROPERTY_BYTES = 64 * 1024
_MAX_PAYLOAD = 10 * _PROPERTY_BYTES
_MAX_INFLATED = 64 * 1024 * 1024
_LEVEL = 1
_LENGTH = struct.Struct("<I")

Row = Mapping[str, Any]
Event = TypeVar("Event")


class TooLargeError(Exception):
    """These events do not fit in one row together."""


def check_size(event: Decision | Observation) -> None:
    """Raise `EventTooLargeError` if the event would not fit in a row of its own."""
    if approximate_bytes(event) < _MAX_PAYLOAD // 2:
        return
    try:
        encode([event])
    except TooLargeError as cause:
        raise EventTooLargeError("the event is too large to be logged: send fewer or shorter features") from cause


def approximate_bytes(event: Decision | Observation) -> int:
    """Estimate the event's size before compression."""
    if isinstance(event, Decision):
        return len(event.situation) + len(event.encoded) + 4 * len(event.event_id) + 24 * len(event.probabilities) + 100
    return 4 * len(event.event_id) + 50


def encode(events: Sequence[Decision | Observation]) -> dict[str, Any]:
    """Make the row's own properties from at least one and at most `MAX_EVENTS` events of one kind.

    Raises `TooLargeError`.
    """
    decisions = [event for event in events if isinstance(event, Decision)]
    observations = [event for event in events if isinstance(event, Observation)]
    payload = isal_zlib.compress(_pack_decisions(decisions) if decisions else _pack_observations(observations), _LEVEL)
    if len(payload) > _MAX_PAYLOAD or len(events) > MAX_EVENTS:
        raise TooLargeError
    row: dict[str, Any] = {"Format": FORMAT, "Count": len(events), "Checksum": zlib.crc32(payload) - 2**31}
    if decisions:
        row["Sightings"] = pack_sightings(decisions)
    else:
        row["Rewards"] = sum(not observation.is_activation for observation in observations)
    parts = range(0, len(payload), _PROPERTY_BYTES)
    return row | {f"Payload{number:02d}": payload[start : start + _PROPERTY_BYTES] for number, start in enumerate(parts)}


def check_format(row: Row) -> None:
    """Raise `NewerFormatError` for a row that a later release wrote."""
    found = int(row.get("Format", 0))
    if found > FORMAT:
        raise NewerFormatError("a segment of the log", found=found, known=FORMAT)


def decode_decisions(row: Row) -> list[Decision]:
    """Inverse of `encode`; raises `UnreadableError`."""
    try:
        raw = _payload(row)
        columns, rest = _head(raw)
        count = len(columns["id"])
        situations, rest = _cut(raw, rest, count)
        encoded, _ = _cut(raw, rest, count)
        versions, modes = columns["versions"], [LearningMode(mode) for mode in columns["modes"]]
        events = [
            Decision(  # by position: keywords would take a third longer, for every event that is ever read
                event_id,
                from_micros(at),
                versions[version],
                modes[mode],
                tuple(probabilities),
                chosen,
                deferred,
                situation,
                features,
            )
            for event_id, at, version, mode, probabilities, chosen, deferred, situation, features in zip(
                *(columns[name] for name in ("id", "at", "version", "mode", "probabilities", "chosen", "deferred")),
                situations,
                encoded,
                strict=True,
            )
        ]
    except _DAMAGE as cause:
        raise UnreadableError(f"a segment of decisions does not verify: {cause}") from cause
    return _counted(events, row)


def decode_observations(row: Row) -> list[Observation]:
    """Inverse of `encode`; raises `UnreadableError`."""
    try:
        columns, _ = _head(_payload(row))
        events = [
            Observation(event_id, from_micros(at), reward)
            for event_id, at, reward in zip(columns["id"], columns["at"], columns["reward"], strict=True)
        ]
    except _DAMAGE as cause:
        raise UnreadableError(f"a segment of observations does not verify: {cause}") from cause
    return _counted(events, row)


def pack_sightings(decisions: Sequence[Decision]) -> bytes:
    """Write fingerprint and time of each decision, 8 bytes each."""
    packed = array("Q", (fingerprint(decision.event_id) for decision in decisions))
    packed.extend(to_micros(decision.decided_at) for decision in decisions)
    return _little_endian(packed).tobytes()


def unpack_sightings(packed: bytes) -> tuple["array[int]", "array[int]"]:
    """Give the fingerprints and the times (microseconds) of a segment's decisions, in its order."""
    numbers = array("Q")
    numbers.frombytes(packed[: len(packed) // 16 * 16])
    numbers = _little_endian(numbers)
    half = len(numbers) // 2
    return numbers[:half], numbers[half:]


_DAMAGE: tuple[type[Exception], ...] = (
    LookupError,
    TypeError,
    ValueError,
    OverflowError,
    struct.error,
    isal_zlib.error,  # type: ignore[assignment]  # an exception class; its stub says an exception
)


def _pack_decisions(decisions: Sequence[Decision]) -> bytes:
    versions = list(dict.fromkeys(decision.model_version for decision in decisions))
    modes = list(dict.fromkeys(decision.mode for decision in decisions))
    columns = {
        "versions": versions,
        "modes": modes,
        "id": [decision.event_id for decision in decisions],
        "at": [to_micros(decision.decided_at) for decision in decisions],
        "version": [versions.index(decision.model_version) for decision in decisions],
        "mode": [modes.index(decision.mode) for decision in decisions],
        "probabilities": [decision.probabilities for decision in decisions],
        "chosen": [decision.chosen for decision in decisions],
        "deferred": [decision.deferred for decision in decisions],
    }
    situations = [decision.situation for decision in decisions]
    encoded = [decision.encoded for decision in decisions]
    return b"".join([*_framed(columns), _lengths(situations), *situations, _lengths(encoded), *encoded])


def _pack_observations(observations: Sequence[Observation]) -> bytes:
    columns = {
        "id": [observation.event_id for observation in observations],
        "at": [to_micros(observation.observed_at) for observation in observations],
        "reward": [observation.reward for observation in observations],
    }
    return b"".join(_framed(columns))


def _framed(columns: Mapping[str, object]) -> tuple[bytes, bytes]:
    head = orjson.dumps(columns)
    return _LENGTH.pack(len(head)), head


def _lengths(texts: Sequence[bytes]) -> bytes:
    return _little_endian(array("I", map(len, texts))).tobytes()


def _payload(row: Row) -> bytes:
    parts: list[bytes] = []
    while (part := row.get(f"Payload{len(parts):02d}")) is not None:
        parts.append(part)
    payload = b"".join(parts)
    if zlib.crc32(payload) - 2**31 != row["Checksum"]:
        raise ValueError("wrong checksum")
    inflate = isal_zlib.decompressobj()
    raw = bytes(inflate.decompress(payload, _MAX_INFLATED))
    if not inflate.eof:
        raise ValueError("cut short, or larger than any segment")
    return raw


def _head(raw: bytes) -> tuple[dict[str, Any], int]:
    end = _LENGTH.size + _LENGTH.unpack_from(raw)[0]
    return orjson.loads(raw[_LENGTH.size : end]), end


def _cut(raw: bytes, start: int, count: int) -> tuple[list[bytes], int]:
    lengths = array("I")
    at = start + count * lengths.itemsize
    lengths.frombytes(raw[start:at])
    parts = []
    for length in _little_endian(lengths):
        parts.append(raw[at : at + length])
        at += length
    if at > len(raw):
        raise ValueError("cut short")
    return parts, at


def _counted(events: list[Event], row: Row) -> list[Event]:
    if len(events) != row["Count"]:
        raise UnreadableError("a segment does not hold as many events as it says")
    return events


def _little_endian(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
