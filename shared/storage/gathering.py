"""From the rows of the log, block by block, to what a window's join asks for: no more than that is kept."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import numpy as np

from shared.domain.clock import from_micros, to_micros
from shared.domain.events import Decision, EventKey, Observation
from shared.domain.identity import fingerprint, report_id, report_tag
from shared.domain.ledger import Due, Opened, Report, Reports, Segment, SegmentHead, Sighting
from shared.storage.columns import OBSERVED, SIGHTED, Block, Columns, Keys, Part, Wanted, blocks, observation, observed, sighted
from shared.storage.tail import Piece


@dataclass(slots=True)
class Gathering:
    """Goes over blocks for the observations of ``keys``, the rewards of the segments that are ``due``, and those ``counted`` before."""

    keys: Keys
    due: Sequence[SegmentHead]
    counted: AbstractSet[str]
    _found: dict[EventKey, dict[str, Report]] = field(default_factory=dict)
    _due: dict[str, Due] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _asked: AbstractSet[str] = field(init=False)
    _moments: Columns = field(init=False)

    def __post_init__(self) -> None:
        self._asked = self.counted | {name for head in self.due for name in _ids(head)}
        moments = [*[to_micros(head.key.sealed_at) for head in self.due], *[int(each.partition("#")[0]) for each in self.counted]]
        self._moments = np.unique(np.array(moments, dtype=np.int64))

    def add(self, block: Block) -> None:
        """Keep what is asked for of a block; the same rows again change nothing."""
        for key, place in self.keys.found(block):
            sealed_at, name = _named(block, place)
            self._found.setdefault(key, {})[name] = Report(name, sealed_at, observation(block, place, key))
        if len(self._moments):
            self._add_due(block.between(from_micros(int(self._moments[0])), from_micros(int(self._moments[-1]) + 1)))

    def _add_due(self, block: Block) -> None:
        marks, times, rewards = (block.rows[name] for name in ("mark", "at", "reward"))
        for place in np.flatnonzero(_is_in(block.sealed(slice(None)), self._moments)).tolist():
            sealed_at, name = _named(block, place)
            if name in self._asked:
                self._seen.add(name)
                if not np.isnan(rewards[place]):
                    self._due[name] = Due(name, sealed_at, from_micros(int(times[place])), int(marks[place]))

    def missing(self) -> list[SegmentHead]:
        """Give the segments that are due and were not among the blocks: they do not verify, or turned up when those had been read."""
        return [head for head in self.due if not self._seen.issuperset(_ids(head))]

    def reports(self, missing: Sequence[Segment[Observation]]) -> Reports:
        """Give all that was asked for, with what was `missing`."""
        for block in blocks([observed(segment) for segment in missing], OBSERVED):
            self.add(block)
        return Reports(
            of={key: sorted(reports.values(), key=_arrival) for key, reports in self._found.items()},
            due=[*self._due.values()],
            rewards=sum(head.rewards for head in self.due),
            lost=sum(segment.head.rewards for segment in missing if segment.events is None),
        )


class Sighted:
    """Goes over blocks for the decisions of the events with these ``marks``, those that are ``opened`` already among them."""

    def __init__(self, marks: AbstractSet[int], opened: Opened[Decision] | None) -> None:
        self._wanted = Wanted(marks)
        self._found: dict[int, dict[Sighting, None]] = {}
        whole = [segment for segment in opened.segments if segment.events is not None] if opened else []
        self._own = blocks([_part_of(segment) for segment in whole], SIGHTED)
        is_all = opened is not None and len(whole) == len(opened.segments)
        self.given = _pieces(self._own, opened.since, opened.until) if opened is not None and is_all else []

    def add(self, block: Block) -> None:
        """Keep what is wanted of a block; the same rows again change nothing."""
        places = self._wanted.places(block.rows["mark"])
        columns = [block.rows[name][places].tolist() for name in ("mark", "at", "tag", "position")]
        for sealed, mark, at, tag, position in zip(block.sealed(places).tolist(), *columns, strict=True):
            self._found.setdefault(mark, {})[Sighting(from_micros(at), from_micros(sealed), tag, position)] = None

    def turned_up(self) -> datetime | None:
        """Add what was opened; if not all of it was among the blocks, tell from when on they are to be read again."""
        before = sum(map(len, self._found.values()))
        for block in self._own:
            self.add(block)
        return from_micros(self._own[0].base) if sum(map(len, self._found.values())) > before else None

    def found(self) -> dict[int, list[Sighting]]:
        """Give all that was added."""
        return {mark: [*each] for mark, each in self._found.items()}


def _part_of(segment: Segment[Decision]) -> Part:
    """Give what the log's row holds besides the events, of a segment that is open."""
    events, key = segment.events or (), segment.head.key
    return sighted(key, [fingerprint(event.key) for event in events], [to_micros(event.decided_at) for event in events])


def _pieces(own: Sequence[Block], since: datetime, until: datetime) -> list[Piece]:
    """Part ``[since, until)`` so that each piece has one of the blocks; of what was sealed earlier they need not hold all."""
    begins = [since, *[max(since, from_micros(block.base)) for block in own[1:]]]
    return [Piece(*span, block) for span, block in zip(pairwise([*begins, until]), own, strict=False)]


def _ids(head: SegmentHead) -> list[str]:
    return [report_id(head.key.sealed_at, report_tag(head.key.name, index)) for index in range(head.count)]


def _named(block: Block, place: int) -> tuple[datetime, str]:
    sealed_at = from_micros(block.base + int(block.rows["sealed"][place]))
    return sealed_at, report_id(sealed_at, int(block.rows["tag"][place]))


def _is_in(values: Columns, ordered: Columns) -> Columns:
    """Tell which of the values are among others, in order."""
    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    at = np.searchsorted(ordered, values)
    at[at == len(ordered)] = 0
    found: Columns = ordered[at] == values
    return found


def _arrival(report: Report) -> tuple[datetime, datetime]:
    return report.observation.observed_at, report.sealed_at
