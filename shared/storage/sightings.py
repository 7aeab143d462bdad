"""Whose decisions a row holds, told beside them: two columns that are read without opening the row."""

import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.domain.clock import to_micros
from shared.domain.errors import UnreadableError
from shared.domain.events import Decision
from shared.domain.identity import fingerprint

COLUMNS = ["Sightings", "Events"]
"""Where they are. The latter is there for decisions of slots only."""

_CHECKSUM_BYTES = 4
_NUMBER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Sightings:
    """Fingerprints and times (microseconds) of a segment's decisions, in its order, and the fingerprints of its events that have slots."""

    fingerprints: "array[int]"
    micros: "array[int]"
    events: "array[int]"

    @staticmethod
    def of(decisions: Sequence[Decision]) -> "Sightings":
        """Tell of these decisions.

        The fingerprints of the events that have slots are those which the fingerprints of their slots do not tell.
        """
        events = dict.fromkeys(decision.event_id for decision in decisions if decision.slot)
        return Sightings(
            array("Q", [fingerprint(decision.key) for decision in decisions]),
            array("Q", [to_micros(decision.decided_at) for decision in decisions]),
            array("Q", map(fingerprint, events)),
        )

    def packed(self) -> dict[str, bytes]:
        """Write the columns: 16 bytes a decision and 8 an event, and a checksum over both behind the former."""
        decisions = _packed(self.fingerprints) + _packed(self.micros)
        events = _packed(self.events)
        columns = {"Sightings": decisions + _checksum(decisions, events)}
        return columns | {"Events": events} if events else columns

    @staticmethod
    def unpack(row: Mapping[str, Any], *, version: int, count: int, latest: int) -> "Sightings":
        """Read the columns of a row with so many decisions, none made later than ``latest`` (microseconds).

        Before version 2 there was no checksum: what has the right length, and no time that cannot be, is taken as it is. Raises
        `UnreadableError`.
        """
        decisions, events = row.get("Sightings"), row.get("Events")
        events = b"" if events is None else events
        if decisions is None and not count:
            decisions = _checksum(b"", b"") if version > 1 else b""
        if not isinstance(decisions, bytes) or not isinstance(events, bytes):
            raise UnreadableError("the sightings are missing, or no bytes")
        if version > 1:
            decisions, checksum = decisions[:-_CHECKSUM_BYTES], decisions[-_CHECKSUM_BYTES:]
            if checksum != _checksum(decisions, events):
                raise UnreadableError("the sightings' checksum is wrong")
        if len(decisions) != 2 * count * _NUMBER_BYTES or len(events) % _NUMBER_BYTES:
            raise UnreadableError("the sightings are not as long as they should be")
        numbers = _unpacked(decisions)
        if max(numbers[count:], default=0) > latest:
            raise UnreadableError("the sightings tell of a decision later than its row")
        return Sightings(numbers[:count], numbers[count:], _unpacked(events))


def _checksum(decisions: bytes, events: bytes) -> bytes:
    return zlib.crc32(events, zlib.crc32(decisions)).to_bytes(_CHECKSUM_BYTES, "little")


def _packed(numbers: "array[int]") -> bytes:
    return _little_endian(numbers[:]).tobytes()


def _unpacked(packed: bytes) -> "array[int]":
    numbers = array("Q")
    numbers.frombytes(packed)
    return _little_endian(numbers)


def _little_endian(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
