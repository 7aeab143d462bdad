"""A segment as a table row: many events compressed together, behind a checksum.

Azure allows 64 KiB a property, 1 MiB a row and 252 own properties, and the emulator 1 MiB of JSON text, in which binary
properties take a third more: the payload is kept well below. Each property costs time to send and to store, so there are few.
"""

import re
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import orjson
from isal import isal_zlib

from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import EventTooLargeError, InvalidRequestError, UnreadableError
from shared.domain.events import Decision, Holdout, LearningMode, Observation, Proposal
from shared.storage.sightings import Sightings

MAX_EVENTS = 4_000
"""A decision's fingerprint and time take 16 bytes of one property."""
MAX_BYTES = 4 * 1024 * 1024
"""Before compression: what a row holds is handled as a whole."""
_PROPERTY_BYTES = 64 * 1024
_MAX_PAYLOAD = 10 * _PROPERTY_BYTES
_MAX_INFLATED = 64 * 1024 * 1024
_DECISION_BYTES = 700
_OBSERVATION_BYTES = 320
"""What an event takes in memory besides the contents of its texts: objects, their headers and their places in lists."""
_MARK_BYTES = 64
"""What a mark takes: 36 bytes in memory, or 21 as text."""
_SMALL_BYTES = _MAX_PAYLOAD // 2
"""Compressed, this is below `_MAX_PAYLOAD` even when nothing can be compressed: deflate adds a hundredth then."""
_HALVES = re.compile("[\ud800-\udfff]")
_LEVEL = 1
_NUMBER = struct.Struct("<I")
"""A length or a checksum."""

Row = Mapping[str, Any]


class TooLargeError(Exception):
    """These events do not fit in one row together."""


def check_size(events: Sequence[Decision | Observation]) -> None:
    """Raise `EventTooLargeError` if the events, which have to be stored together, would not fit in a row of their own.

    Whatever passes, `encode` takes. It raises `InvalidRequestError` for a text that is no Unicode. What is not `always_fits` is encoded to
    see, which takes long enough to be done in a thread.
    """
    if not events:
        raise ValueError("there is nothing to store")
    _check_texts(events)
    if always_fits(events):
        return
    try:
        if sum(map(approximate_bytes, events)) > MAX_BYTES:
            raise TooLargeError
        encode(events)
    except TooLargeError as cause:
        raise too_large(len(events)) from cause


def always_fits(events: Sequence[Decision | Observation]) -> bool:
    """Whether these are so few and so small that they fit in a row whatever they hold; true of nearly all."""
    return len(events) <= MAX_EVENTS and sum(map(approximate_bytes, events)) < _SMALL_BYTES


def too_large(count: int) -> EventTooLargeError:
    """Make the error for events that do not fit in a row of their own."""
    if count == 1:
        return EventTooLargeError("the event is too large to be logged: send fewer or shorter features")
    return EventTooLargeError(f"these {count} events are too large to be logged together: send fewer at a time, or shorter features")


def _check_texts(events: Sequence[Decision | Observation]) -> None:
    """Raise `InvalidRequestError` for half a character, which no row can hold; the doors let none in."""
    for event in events:
        version = event.model_version if isinstance(event, Decision) else ""
        for text in (event.event_id, event.slot, version):
            if not text.isascii() and _HALVES.search(text):
                raise InvalidRequestError("an event id, a slot id or a model version is not valid Unicode")


def approximate_bytes(event: Decision | Observation) -> int:
    """Give at least what the event takes, both in memory and in its row before compression, and not much more.

    A probability takes 32 bytes in memory and up to 25 as text. The rest is what the objects take (measured: up to 660 and 300 bytes
    without the texts), or the columns' numbers.
    """
    names = _text_bytes(event.event_id) + _text_bytes(event.slot)
    if isinstance(event, Decision):
        texts = len(event.situation) + len(event.encoded) + _text_bytes(event.model_version)
        return _DECISION_BYTES + names + texts + 32 * len(event.probabilities)
    return _OBSERVATION_BYTES + names + (_MARK_BYTES if event.mark else 0)


def _text_bytes(text: str) -> int:
    """Bound a text's bytes: 2 a character as JSON (a quote), but 6 of a control character, or 4 in memory beyond Latin-1."""
    return len(text) * (2 if text.isascii() and text.isprintable() else 6)


def encode(events: Sequence[Decision | Observation]) -> dict[str, Any]:
    """Make the row's own properties from at least one and at most `MAX_EVENTS` events of one kind.

    Raises `TooLargeError`, and `ValueError` for no event: an empty row would be read as a damaged one.
    """
    if not events:
        raise ValueError("a row holds at least one event")
    decisions = [event for event in events if isinstance(event, Decision)]
    observations = [event for event in events if isinstance(event, Observation)]
    compressed = isal_zlib.compress(_pack_decisions(decisions) if decisions else _pack_observations(observations), _LEVEL)
    payload = _NUMBER.pack(zlib.crc32(compressed)) + compressed
    if len(payload) > _MAX_PAYLOAD or len(events) > MAX_EVENTS:
        raise TooLargeError
    parts = range(0, len(payload), _PROPERTY_BYTES)
    row: dict[str, Any] = {f"Payload{number:02d}": payload[start : start + _PROPERTY_BYTES] for number, start in enumerate(parts)}
    if decisions:
        row |= Sightings.of(decisions).packed()
    return row


def decode_decisions(row: Row) -> list[Decision]:
    """Inverse of `encode`; raises `UnreadableError`."""
    try:
        raw = _payload(row)
        columns, rest = _head(raw)
        count = len(columns["id"])
        if not count:  # as a fault of earlier releases wrote
            return []
        _check_indexes(columns)
        situations, rest = _cut(raw, rest, count)
        if "shared" in columns:
            situations = _with_ends(situations, columns["shared"])
        encoded, _ = _cut(raw, rest, count)
        versions, modes = columns["versions"], [LearningMode(mode) for mode in columns["modes"]]
        return [
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
                slot,
                proposal,
                holdout,
            )
            for event_id, at, version, mode, probabilities, chosen, deferred, situation, features, slot, proposal, holdout in zip(
                *(columns[name] for name in ("id", "at", "version", "mode", "probabilities", "chosen", "deferred")),
                situations,
                encoded,
                _slots(columns),
                _proposals(columns),
                _holdouts(columns),
                strict=True,
            )
        ]
    except _DAMAGE as cause:
        raise UnreadableError(f"a segment of decisions does not verify: {cause}") from cause


def decode_observations(row: Row) -> list[Observation]:
    """Inverse of `encode`; raises `UnreadableError`."""
    try:
        columns, _ = _head(_payload(row))
        return [
            Observation(event_id, from_micros(at), reward, slot, mark)
            for event_id, at, reward, slot, mark in zip(
                columns["id"], columns["at"], columns["reward"], _slots(columns), _marks(columns), strict=True
            )
        ]
    except _DAMAGE as cause:
        raise UnreadableError(f"a segment of observations does not verify: {cause}") from cause


_DAMAGE: tuple[type[Exception], ...] = (
    LookupError,
    TypeError,
    ValueError,
    OverflowError,
    struct.error,
    isal_zlib.error,  # type: ignore[assignment]  # an exception class; its stub says an exception
)


_KINDS: Mapping[str, frozenset[type]] = {
    "id": frozenset({str}),
    "slot": frozenset({str}),
    "versions": frozenset({str}),
    "at": frozenset({int}),
    "version": frozenset({int}),
    "mode": frozenset({int}),
    "chosen": frozenset({int}),
    "shared": frozenset({int}),
    "deferred": frozenset({bool}),
    "probabilities": frozenset({list}),
    "mark": frozenset({int}),
    "reward": frozenset({float, int, type(None)}),
    "proposal": frozenset({list, type(None)}),
    "holdout": frozenset({list, type(None)}),
}
"""What a column may hold: a checksum says that a row is as it was written, not who wrote it."""


def _pack_decisions(decisions: Sequence[Decision]) -> bytes:
    versions = _numbered(decision.model_version for decision in decisions)
    modes = _numbered(decision.mode for decision in decisions)
    columns: dict[str, object] = {
        "versions": list(versions),
        "modes": list(modes),
        "id": [decision.event_id for decision in decisions],
        "at": [to_micros(decision.decided_at) for decision in decisions],
        "version": [versions[decision.model_version] for decision in decisions],
        "mode": [modes[decision.mode] for decision in decisions],
        "probabilities": [decision.probabilities for decision in decisions],
        "chosen": [decision.chosen for decision in decisions],
        "deferred": [decision.deferred for decision in decisions],
        **_slot_column(decisions),
        **_proposal_column(decisions),
        **_holdout_column(decisions),
    }
    situations = [decision.situation for decision in decisions]
    if "slot" in columns:
        columns["shared"], situations = _without_ends(decisions)
    encoded = [decision.encoded for decision in decisions]
    return b"".join([*_framed(columns), _lengths(situations), *situations, _lengths(encoded), *encoded])


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    """Give what is different its number: by look-up, since every event may have a model version of its own."""
    numbers: dict[str, int] = {}
    for text in texts:
        numbers.setdefault(text, len(numbers))
    return numbers


def _pack_observations(observations: Sequence[Observation]) -> bytes:
    columns = {
        "id": [observation.event_id for observation in observations],
        "at": [to_micros(observation.observed_at) for observation in observations],
        "reward": [observation.reward for observation in observations],
        **_slot_column(observations),
        **_mark_column(observations),
    }
    return b"".join(_framed(columns))


def _slot_column(events: Sequence[Decision] | Sequence[Observation]) -> dict[str, list[str]]:
    """Give the column of slots: none where there are none, which is nearly always."""
    slots = [event.slot for event in events]
    return {"slot": slots} if any(slots) else {}


def _slots(columns: Mapping[str, Any]) -> Sequence[str]:
    return columns["slot"] if "slot" in columns else [""] * len(columns["id"])


def _mark_column(observations: Sequence[Observation]) -> dict[str, list[int]]:
    """Give the column of marks: none where no reward has an id. A release that does not know it reads the rest."""
    marks = [observation.mark for observation in observations]
    return {"mark": marks} if any(marks) else {}


def _marks(columns: Mapping[str, Any]) -> Sequence[int]:
    marks: Sequence[int] = columns.get("mark", [0] * len(columns["id"]))
    if min(marks, default=0) < 0:
        raise ValueError("a mark is negative")
    return marks


def _proposal_column(decisions: Sequence[Decision]) -> dict[str, object]:
    """Give the column of proposals: none outside Apprentice mode."""
    proposals = [each and (each.action, each.probability, each.is_lesson) for each in [decision.proposal for decision in decisions]]
    return {"proposal": proposals} if any(proposals) else {}


def _proposals(columns: Mapping[str, Any]) -> Sequence[Proposal | None]:
    if "proposal" not in columns:
        return [None] * len(columns["id"])
    return [_proposal(*each) if each else None for each in columns["proposal"]]


def _proposal(action: object, probability: object, is_lesson: object) -> Proposal:
    if not (isinstance(action, int) and isinstance(probability, float | int) and isinstance(is_lesson, bool)):
        raise TypeError("a proposal is not valid")
    return Proposal(action, probability, is_lesson)


def _holdout_column(decisions: Sequence[Decision]) -> dict[str, object]:
    """Give the column of holdouts: none where there are none. A release that does not know it reads the rest."""
    holdouts = [each and (each.share, each.chance, each.is_held_out) for each in [decision.holdout for decision in decisions]]
    return {"holdout": holdouts} if any(holdouts) else {}


def _holdouts(columns: Mapping[str, Any]) -> Sequence[Holdout | None]:
    if "holdout" not in columns:
        return [None] * len(columns["id"])
    return [_holdout(*each) if each else None for each in columns["holdout"]]


def _holdout(share: object, chance: object, is_held_out: object) -> Holdout:
    if not (isinstance(share, float | int) and isinstance(chance, float | int) and isinstance(is_held_out, bool)):
        raise TypeError("a holdout is not valid")
    if not (0.0 < share < 1.0 and 0.0 <= chance <= 1.0):
        raise ValueError("a holdout's shares are not valid")
    return Holdout(share, chance, is_held_out)


def _without_ends(decisions: Sequence[Decision]) -> tuple[list[int], list[bytes]]:
    """Leave out what a slot's situation ends in just as that of the slot before: the actions, which may be most of it.

    Gives how many bytes that is for each, and what is left.
    """
    pairs = zip([None, *decisions], decisions, strict=False)
    shared = [_same_end(one.situation, other.situation) if one and one.event_id == other.event_id else 0 for one, other in pairs]
    return shared, [each.situation[: len(each.situation) - count] for each, count in zip(decisions, shared, strict=True)]


def _with_ends(situations: Sequence[bytes], shared: Sequence[int]) -> list[bytes]:
    """Inverse of `_without_ends`."""
    whole: list[bytes] = []
    size, last = 0, b""
    for situation, count in zip(situations, shared, strict=True):
        if not 0 <= count <= len(last):
            raise ValueError("a situation is cut short")
        last = situation + last[len(last) - count :]
        size += len(last)
        if size > _MAX_INFLATED:
            raise ValueError("larger than any segment")
        whole.append(last)
    return whole


def _same_end(one: bytes, other: bytes) -> int:
    """Count the bytes at the end that are the same in both."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # halving: comparing bytes one by one would take long for what may be a megabyte
        middle = (low + high + 1) // 2
        is_same = one[len(one) - middle : len(one) - low] == other[len(other) - middle : len(other) - low]
        low, high = (middle, high) if is_same else (low, middle - 1)
    return low


def _framed(columns: Mapping[str, object]) -> tuple[bytes, bytes]:
    head = orjson.dumps(columns)
    return _NUMBER.pack(len(head)), head


def _lengths(texts: Sequence[bytes]) -> bytes:
    return _little_endian(array("I", map(len, texts))).tobytes()


def _payload(row: Row) -> bytes:
    parts: list[bytes] = []
    while (part := row.get(f"Payload{len(parts):02d}")) is not None:
        parts.append(part)
    payload = b"".join(parts)
    checksum, compressed = _NUMBER.unpack_from(payload)[0], payload[_NUMBER.size :]
    if zlib.crc32(compressed) != checksum:
        raise ValueError("wrong checksum")
    inflate = isal_zlib.decompressobj()
    raw = bytes(inflate.decompress(compressed, _MAX_INFLATED))
    if not inflate.eof:
        raise ValueError("cut short, or larger than any segment")
    return raw


def _head(raw: bytes) -> tuple[dict[str, Any], int]:
    end = _NUMBER.size + _NUMBER.unpack_from(raw)[0]
    columns = orjson.loads(raw[_NUMBER.size : end])
    for name, kinds in _KINDS.items():
        if name in columns and not kinds.issuperset(map(type, columns[name])):
            raise ValueError(f"the column {name} has an unexpected content")
    return columns, end


def _check_indexes(columns: Mapping[str, Any]) -> None:
    """Raise `ValueError` for an index that points nowhere, or would count from the end."""
    chances = columns["probabilities"]
    if not {int, float}.issuperset(map(type, chain.from_iterable(chances))):
        raise ValueError("a probability is no number")
    if not all(0 <= chosen < len(each) for chosen, each in zip(columns["chosen"], chances, strict=True)):
        raise ValueError("an action was chosen that was not there")
    if min(*columns["version"], *columns["mode"]) < 0:
        raise ValueError("a version or mode is not there")


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


def _little_endian(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
