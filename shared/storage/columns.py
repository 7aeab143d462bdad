"""What is remembered of a log's rows: some bytes an event, in columns, instead of its objects.

Rows of a block are in the order in which they were sealed. Within one, times of sealing count from the block's own beginning.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from math import isnan
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from shared.domain.clock import from_micros, to_micros
from shared.domain.events import EventKey, Observation
from shared.domain.identity import fingerprint, report_tag, second_fingerprint, segment_tag
from shared.domain.ledger import Segment, SegmentKey

OBSERVED: Final = np.dtype(
    [("mark", "<u8"), ("check", "<u8"), ("at", "<i8"), ("reward", "<f8"), ("own", "<u8"), ("sealed", "<u4"), ("tag", "<u4")]
)
"""48 bytes an observation: two fingerprints of its event, when it was made, its reward (not a number: an activation), and its own mark."""

SIGHTED: Final = np.dtype([("mark", "<u8"), ("at", "<i8"), ("sealed", "<u4"), ("tag", "<u4"), ("position", "<u2")])
"""26 bytes a decision."""

LONGEST: Final = timedelta(hours=1)
"""Of a block: 32 bits count no more than 71 minutes of microseconds."""

Columns = npt.NDArray[Any]
_BITS: Final = 20
_NOTHING: Final = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows sealed from ``base`` on (microseconds since 1970), in columns of one of the types above."""

    base: int
    rows: Columns

    @staticmethod
    def of(parts: Sequence["Part"], kind: np.dtype[Any]) -> "Block":
        """Put segments' rows together, in sealed order; they span at most `LONGEST`."""
        ordered = sorted(parts, key=lambda part: part.key)
        base = to_micros(ordered[0].key.sealed_at) if ordered else 0
        rows = np.zeros(sum(len(part.columns[0]) for part in ordered), kind)
        for place, name in enumerate(_TOLD[kind]):
            values = chain.from_iterable([part.columns[place] for part in ordered])
            rows[name] = np.fromiter(values, kind[name], len(rows))
        sealed = [to_micros(part.key.sealed_at) - base for part in ordered]
        rows["sealed"] = np.repeat(np.array(sealed, dtype=np.uint32), [len(part.columns[0]) for part in ordered])
        return Block(base, rows)

    def __len__(self) -> int:
        return len(self.rows)

    def between(self, since: datetime, until: datetime) -> "Block":
        """Give the rows sealed in ``[since, until)``."""
        first, last = (min(max(to_micros(at) - self.base, 0), 2**32 - 1) for at in (since, until))
        begin, end = np.searchsorted(self.rows["sealed"], [first, last])
        return self if begin == 0 and end == len(self.rows) else Block(self.base, self.rows[begin:end])

    def copy(self) -> "Block":
        """Give a block that keeps nothing but its own rows."""
        return Block(self.base, self.rows.copy())

    def sealed(self, places: Columns | slice) -> Columns:
        """Tell when these rows were sealed, in microseconds since 1970."""
        return self.rows["sealed"][places].astype(np.int64) + self.base

    def joins(self, other: "Block") -> bool:
        """Whether a later block's rows can be told by this one's base."""
        return other.base + int(other.rows["sealed"][-1]) - self.base < LONGEST // timedelta(microseconds=1)

    def plus(self, other: "Block") -> "Block":
        """Put a later block behind this one, which it joins."""
        moved = other.rows.copy()
        moved["sealed"] = other.sealed(slice(None)) - self.base
        return Block(self.base, np.concatenate([self.rows, moved]))


def blocks(parts: Sequence["Part"], kind: np.dtype[Any]) -> list[Block]:
    """Put any segments' rows together, into as few blocks as may be; in sealed order."""
    found: list[list[Part]] = []
    for part in sorted(parts, key=lambda each: each.key):
        if not found or part.key.sealed_at - found[-1][0].key.sealed_at >= LONGEST:
            found.append([])
        found[-1].append(part)
    return [Block.of(each, kind) for each in found]


class Wanted:
    """Marks to look for in many rows."""

    def __init__(self, marks: AbstractSet[int]) -> None:
        self._sorted = np.sort(np.fromiter(marks, np.uint64, len(marks)))
        self._seen = np.zeros(1 << _BITS, dtype=bool)
        self._seen[_low(self._sorted)] = True

    def places(self, marks: Columns) -> Columns:
        """Tell where one of them stands: looked up by some of its bits first, which nearly all others do not share."""
        places = np.flatnonzero(self._seen[_low(marks)])
        if not len(places):
            return places
        candidates = marks[places]
        at = np.searchsorted(self._sorted, candidates)
        at[at == len(self._sorted)] = 0
        found: Columns = places[self._sorted[at] == candidates]
        return found


def _low(marks: Columns) -> Columns:
    low: Columns = (marks & np.uint64((1 << _BITS) - 1)).astype(np.intp)
    return low


class Part(NamedTuple):
    """What a segment gives to a block: the values of each column that `_TOLD` names, by its rows."""

    key: SegmentKey
    columns: tuple[Sequence[Any], ...]


_TOLD: Final = {OBSERVED: ("mark", "check", "at", "reward", "own", "tag"), SIGHTED: ("mark", "at", "tag", "position")}


def observed(segment: Segment[Observation]) -> Part:
    """Give the rows of an opened segment; none of one that did not verify."""
    events, name = segment.events or (), segment.head.key.name
    keys = [event.key for event in events]
    return Part(
        segment.head.key,
        (
            [fingerprint(key) for key in keys],
            [second_fingerprint(key) for key in keys],
            [to_micros(event.observed_at) for event in events],
            [_NOTHING if event.reward is None else event.reward for event in events],
            [event.mark for event in events],
            [report_tag(name, index) for index in range(len(events))],
        ),
    )


def sighted(key: SegmentKey, marks: Sequence[int], micros: Sequence[int]) -> Part:
    """Give the rows of a segment of decisions: fingerprints and times of each."""
    return Part(key, (marks, micros, [segment_tag(key.name)] * len(marks), range(len(marks))))


class Keys:
    """Events asked for, by both of their fingerprints."""

    def __init__(self, keys: AbstractSet[EventKey]) -> None:
        self._of: Mapping[tuple[int, int], EventKey] = {(fingerprint(key), second_fingerprint(key)): key for key in keys}
        self._wanted = Wanted({mark for mark, _ in self._of})

    def found(self, block: Block) -> Iterator[tuple[EventKey, int]]:
        """Tell which observations of a block are of which of them."""
        places = self._wanted.places(block.rows["mark"])
        for place, mark, check in zip(places.tolist(), *(block.rows[name][places].tolist() for name in ("mark", "check")), strict=True):
            key = self._of.get((mark, check))
            if key is not None:
                yield key, place


def observation(block: Block, place: int, key: EventKey) -> Observation:
    """Read an observation of this event back."""
    event_id, slot = (key, "") if isinstance(key, str) else key
    at, reward, mark = (block.rows[name][place].item() for name in ("at", "reward", "own"))
    return Observation(event_id, from_micros(at), None if isnan(reward) else reward, slot, mark)
