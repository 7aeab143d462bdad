"""The breakdown of a loop, ready to be shown: what was shown, to whom, and which segment gains."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import numpy as np

from shared.domain.clock import EPOCH
from shared.domain.ledger import Pointer
from shared.domain.ports import ModelStore
from shared.evaluation.buckets import merged
from shared.evaluation.estimators import ratio
from shared.evaluation.intervals import ALPHA, Interval, clopper_pearson, cressie_read
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Integers
from shared.evaluation.sums import Floats
from shared.services.breakdowns.files import Kept, load
from shared.services.breakdowns.keys import value_of
from shared.services.breakdowns.table import DAY, HOUR, HOURS_KEPT, OTHER, Compared, Earned, Table
from shared.services.breakdowns.window import split_pair
from shared.services.figures.latest import latest

LEAST_EFFECTIVE: Final = 50.0
"""Events that have to stand behind what the baseline would have earned before a gain is told."""

MOST_POINTS: Final = 100
"""Of a trend."""

Ends = tuple[float, float]


class Sort(StrEnum):
    """What rows can be ordered by."""

    EVENTS = "events"
    REWARD = "averageReward"
    FIRST = "firstSeen"
    LAST = "lastSeen"
    NAME = "id"


@dataclass(frozen=True, slots=True)
class Range:
    """Which hours and days are wanted: those that begin in ``[since, until)``, as far as these are given."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows are wanted: those whose text holds ``search``, whatever its case, in order, from the ``skip``-th on at most ``top``.

    ``minutes`` is how long the buckets of trends are (0: an hour or a day, as there are).
    """

    range: Range = Range()
    search: str = ""
    sort: Sort = Sort.EVENTS
    is_ascending: bool = False
    top: int = 50
    skip: int = 0
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """Of some events: how many, which ``share`` that is of all, and their average reward with its interval, None without any."""

    events: int
    share: float | None
    average_reward: float | None
    interval: Ends | None


NO_CELL: Final = Cell(0, None, None, None)


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """A bucket of a trend, which begins ``at`` a time."""

    at: datetime
    events: int
    share: float
    average_reward: float


@dataclass(frozen=True, slots=True)
class Lift:
    """How much more was earned than by the baseline: ``value`` is a share of what that earned, ``difference`` is an event's.

    Both are None as long as fewer than `LEAST_EFFECTIVE` events stand behind the baseline; then ``more_events`` tells about how many more
    are needed (None: that cannot be told). ``value`` is None too where the baseline's reward may be 0 or less.
    """

    value: float | None = None
    interval: Ends | None = None
    difference: float | None = None
    difference_interval: Ends | None = None
    more_events: int | None = None


@dataclass(frozen=True, slots=True)
class Gain:
    """What the baseline would have earned in the same events, on how many effective events that rests, and the lift over it."""

    baseline: float | None = None
    baseline_interval: Ends | None = None
    effective_events: float = 0.0
    lift: Lift = Lift()


@dataclass(frozen=True, slots=True)
class Row:
    """An action or a value (None: events without the feature), or all others together.

    Up to ``missed`` more of its events are among the others.
    """

    text: str | None
    cell: Cell
    missed: int
    first_seen: datetime | None
    last_seen: datetime | None
    trend: Sequence[TrendPoint]
    gain: Gain | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Some rows of a table, beside all of its events together and those that have no row of their own.

    ``known`` counts the rows of the range, ``matched`` those that were searched for. What has no row had at most ``floor`` events.
    """

    since: datetime | None
    watermark: datetime | None
    feature: str
    minutes: int
    known: int
    matched: int
    rows: Sequence[Row]
    total: Row
    others: Row
    floor: int


@dataclass(frozen=True, slots=True)
class Crossed:
    """Actions by values: a cell of each pair, in the order of ``actions`` and ``values``; None for a pair without events of its own.

    A pair that has none had at most ``floor`` events.
    """

    since: datetime | None
    watermark: datetime | None
    feature: str
    actions: Sequence[Row]
    values: Sequence[Row]
    cells: Sequence[Sequence[Cell | None]]
    floor: int


class LiveBreakdown:
    """Reads one loop's breakdown."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store

    async def actions(self, query: Query) -> Listing:
        """Tell what was shown; raises `StorageUnavailableError`, `NewerFormatError` or `UnreadableError`."""
        pointer, kept = await self._latest()
        return await asyncio.to_thread(listing_of_actions, kept, _watermark(pointer), query)

    async def segments(self, query: Query) -> Listing:
        """Tell what was earned by the values of the chosen feature; raises as `actions`."""
        pointer, kept = await self._latest()
        return await asyncio.to_thread(listing_of_segments, kept, _watermark(pointer), query)

    async def crossed(self, span: Range, *, actions: int, values: int) -> Crossed:
        """Tell what was shown to whom, of so many actions and values at most; raises as `actions`."""
        pointer, kept = await self._latest()
        return await asyncio.to_thread(crossing, kept, _watermark(pointer), span, actions=actions, values=values)

    async def _latest(self) -> tuple[Pointer | None, Kept | None]:
        return await latest(self._store, named=lambda pointer: pointer.breakdown, read=self._kept)

    async def _kept(self, name: str) -> Kept:
        """Read it each time: it may have megabytes, and there may be a hundred loops that somebody once looked at."""
        return await asyncio.to_thread(load, await self._store.breakdown(name))


def _watermark(pointer: Pointer | None) -> datetime | None:
    return None if pointer is None else pointer.watermark


def listing_of_actions(kept: Kept | None, watermark: datetime | None, query: Query) -> Listing:
    """List what was shown."""
    if kept is None:
        return _empty_listing(watermark, query)
    return _listing(kept.breakdown.actions, kept.since, watermark, query, feature="")


def listing_of_segments(kept: Kept | None, watermark: datetime | None, query: Query) -> Listing:
    """List what was earned by the values of the feature, and how much of that was gained."""
    if kept is None or not kept.breakdown.feature:
        return _empty_listing(watermark, query)
    return _listing(kept.breakdown.values, kept.feature_since, watermark, query, feature=kept.breakdown.feature)


def crossing(kept: Kept | None, watermark: datetime | None, span: Range, *, actions: int, values: int) -> Crossed:
    """Tell of the most frequent actions and values how often they met, and what was earned then."""
    query = Query(_whole_days(span))
    rows = listing_of_segments(kept, watermark, replace(query, top=values))
    if kept is None or not rows.feature:
        return Crossed(None, watermark, "", (), (), (), 0)
    columns = listing_of_actions(kept, watermark, replace(query, range=_from(query.range, kept.feature_since), top=actions))
    found = _view(kept.breakdown.pairs, query.range)
    pairs = {split_pair(text): place for place, text in enumerate(found.keys.texts)}
    sums, ends = _by_place(found), (found.lowest, found.highest)
    places = [[pairs.get((str(row.text), "" if value.text is None else f"={value.text}")) for value in rows.rows] for row in columns.rows]
    told = sorted({place for line in places for place in line if place is not None and sums.events[place]})
    by_place = dict(zip(told, _cells(sums.taken(np.array(told, dtype=np.int64)), np.nan, ends), strict=True))

    def cell(place: int | None, value: Row) -> Cell | None:
        found = by_place.get(-1 if place is None else place)
        return found and replace(found, share=found.events / value.cell.events if value.cell.events else None)

    cells = [[cell(place, value) for place, value in zip(line, rows.rows, strict=True)] for line in places]
    return Crossed(rows.since, watermark, rows.feature, columns.rows, rows.rows, cells, _floor(found))


def _whole_days(span: Range) -> Range:
    """Begin with the day that the range begins in: pairs are counted by days."""
    return replace(span, since=None if span.since is None else span.since.replace(hour=0, minute=0, second=0, microsecond=0))


def _from(span: Range, begin: datetime) -> Range:
    return replace(span, since=begin if span.since is None else max(span.since, begin))


def _empty_listing(watermark: datetime | None, query: Query) -> Listing:
    none = Row(None, NO_CELL, 0, None, None, ())
    return Listing(None, watermark, "", DAY, 0, 0, (), none, none, 0)


def _listing(table: Table[Any], since: datetime, watermark: datetime | None, query: Query, *, feature: str) -> Listing:
    found = _view(table, query.range)
    sums, minutes = _by_place(found), query.minutes or _trend_minutes(found, watermark)
    wanted = query.search.casefold()
    texts = [_text(key, is_value=bool(feature)) for key in found.keys.texts]
    there = np.flatnonzero(sums.events[: len(texts)] > 0.0)
    matched = [place for place in there.tolist() if wanted in _said(texts[place]).casefold()]
    chosen = _ordered(matched, found, sums, texts, query)[query.skip : query.skip + query.top]
    total = float(sums.events.sum())
    describe = _Describe(found, total, minutes, _whole_trend(found, minutes))
    rows = describe.rows(np.array(chosen, dtype=np.int64), [texts[place] for place in chosen], sums)
    all_at = merged(sums)
    (others,) = describe.rows(np.array([OTHER]), [None], sums)
    (everything,) = describe.rows(np.array([len(texts) + 1]), [None], _extended(sums, all_at))
    return Listing(since, watermark, feature, minutes, len(there), len(matched), rows, everything, others, _floor(found))


def _view(table: Table[Any], span: Range) -> Table[Any]:
    """Give the cells of a range."""
    first = -1.0 if span.since is None else (span.since - EPOCH) / timedelta(minutes=1)
    end = np.inf if span.until is None else (span.until - EPOCH) / timedelta(minutes=1)
    kept = (table.begins >= first) & (table.begins < end)
    return replace(table, places=table.places[kept], begins=table.begins[kept], sums=table.sums.taken(kept))


def _floor(table: Table[Any]) -> int:
    """Tell how many events of a range one that has no row can have had: none of them is not among the others."""
    return int(min(table.floor, float(table.sums.events[table.places == OTHER].sum())))


def _by_place(table: Table[Any]) -> Any:
    """Sum over the range, [K + 1]: the last one is `OTHER`'s."""
    size = len(table.keys) + 1
    places = table.places % size  # OTHER is the last

    def summed(merge: np.ufunc, values: Floats) -> Floats:
        found = np.zeros(size)
        merge.at(found, places, values)
        return found

    return table.sums.each(summed)


def _extended(sums: Any, more: Any) -> Any:
    return type(sums)(**{each.name: np.append(getattr(sums, each.name), getattr(more, each.name)) for each in fields(sums)})


def _ordered(places: Sequence[int], table: Table[Any], sums: Earned, texts: Sequence[str | None], query: Query) -> list[int]:
    """Put rows in order; those that are equal follow their number of events, and then their texts."""
    means = ratio(sums.rewards, sums.events)
    by: dict[Sort, Any] = {
        Sort.EVENTS: lambda place: sums.events[place],
        Sort.REWARD: lambda place: means[place],
        Sort.FIRST: lambda place: table.keys.first[place],
        Sort.LAST: lambda place: table.keys.last[place],
        Sort.NAME: lambda place: _said(texts[place]),
    }
    usual = sorted(places, key=lambda place: (-sums.events[place], place))
    return sorted(usual, key=by[query.sort], reverse=not query.is_ascending)


def _text(key: str, *, is_value: bool) -> str | None:
    return value_of(key) if is_value else key


def _said(text: str | None) -> str:
    return "" if text is None else text


def _trend_minutes(table: Table[Any], watermark: datetime | None) -> int:
    """Give how long the buckets of trends are: an hour where all that there is has hours, else a day."""
    if not len(table.begins) or watermark is None:
        return DAY
    yesterday = int((watermark - EPOCH).total_seconds()) // 60 // DAY - HOURS_KEPT
    return HOUR if table.begins.min() >= yesterday * DAY else DAY


def _whole_trend(table: Table[Any], minutes: int) -> dict[int, float]:
    starts, places = np.unique(table.begins // minutes * minutes, return_inverse=True)
    return dict(zip(starts.tolist(), np.bincount(places, weights=table.sums.events).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Describe:
    """Makes rows of a table's view."""

    table: Table[Any]
    total: float
    minutes: int
    whole: dict[int, float]

    def rows(self, places: Integers, texts: Sequence[str | None], sums: Any) -> list[Row]:
        """Describe what is at these places of the sums."""
        some = sums.taken(places)
        ends = self.table.lowest, self.table.highest
        cells = _cells(some, self.total, ends)
        gains = _gains(some, ends) if isinstance(some, Compared) else [None] * len(cells)
        return [self._row(*each) for each in zip(places.tolist(), texts, cells, gains, strict=True)]

    def _row(self, place: int, text: str | None, cell: Cell, gain: Gain | None) -> Row:
        keys = self.table.keys
        is_own = 0 <= place < len(keys)
        here = self.table.places == place if place < len(keys) else np.ones(len(self.table.places), dtype=np.bool_)
        return Row(
            text,
            cell,
            self._missed(place) if is_own else 0,
            _time(keys.first[place]) if is_own else None,
            _time(keys.last[place]) if is_own else None,
            self._trend(here),
            gain,
        )

    def _missed(self, place: int) -> int:
        """Tell how many events of the range may be among the others: no more than were there before it was taken in."""
        table = self.table
        before = (table.places == OTHER) & (table.begins <= table.keys.since[place])
        return int(min(table.keys.missed[place], float(table.sums.events[before].sum())))

    def _trend(self, here: Any) -> list[TrendPoint]:
        starts, places = np.unique(self.table.begins[here] // self.minutes * self.minutes, return_inverse=True)
        events, rewards = (
            np.bincount(places, weights=column[here], minlength=len(starts)) for column in (self.table.sums.events, self.table.sums.rewards)
        )
        points = zip(starts.tolist(), events.tolist(), rewards.tolist(), strict=True)
        return [TrendPoint(_time(at), int(n), n / self.whole[at], reward / n) for at, n, reward in points if n][-MOST_POINTS:]


def _cells(sums: Earned, total: float, ends: Ends) -> list[Cell]:
    means, interval = ratio(sums.rewards, sums.events), clopper_pearson(_own(sums, ends))
    return [
        Cell(round(n), n / total if total else None, _number(means[place]), _ends(interval, place))
        for place, n in enumerate(sums.events.tolist())
    ]


def _gains(sums: Compared, ends: Ends) -> list[Gain]:
    """Compare what was earned with what the baseline would have; each of the two intervals may miss half as often, so that both hold."""
    other = _moments(sums.known, (sums.w, sums.ww, sums.wr, sums.wwr, sums.wwrr), ends)
    mean, baseline = ratio(sums.rewards, sums.events), ratio(sums.wr, sums.w)
    mine = clopper_pearson(_own(sums, ends), alpha=ALPHA / 2.0)
    theirs = _around(cressie_read(other, largest_weight=sums.bound, alpha=ALPHA / 2.0), baseline)
    told = _around(cressie_read(other, largest_weight=sums.bound), baseline)
    effective = np.nan_to_num(ratio(sums.w**2, sums.ww))
    difference = Interval(mine.lower - theirs.upper, mine.upper - theirs.lower)
    least = np.where(mine.lower < 0.0, theirs.lower, theirs.upper)
    lift = Interval(ratio(mine.lower, least) - 1.0, ratio(mine.upper, theirs.lower) - 1.0)

    def lift_at(place: int) -> Lift:
        if effective[place] < LEAST_EFFECTIVE:
            return Lift(more_events=_missing(float(sums.events[place]), float(effective[place])))
        told_difference = _number(mean[place] - baseline[place]), _ends(difference, place)
        if theirs.lower[place] <= 0.0:
            return Lift(None, None, *told_difference)
        return Lift(_number(mean[place] / baseline[place] - 1.0), _ends(lift, place), *told_difference)

    places = range(len(effective))
    return [Gain(_number(baseline[place]), _ends(told, place), float(effective[place]), lift_at(place)) for place in places]


def _missing(events: float, effective: float) -> int | None:
    """Tell about how many more events make `LEAST_EFFECTIVE`, if it goes on as it went.

    >>> _missing(500.0, 25.0), _missing(500.0, 0.0)
    (500, None)
    """
    return None if effective < 1.0 else round(events * (LEAST_EFFECTIVE / effective - 1.0))


def _own(sums: Earned, ends: Ends) -> Moments:
    """Give the moments of what was earned itself: every weight is 1."""
    n, r = sums.events, sums.rewards
    return replace(_moments(n, (n, n, r, r, sums.squares), ends), largest_weight=np.minimum(n, 1.0))


def _moments(rounds: Floats, sums: Sequence[Floats], ends: Ends) -> Moments:
    """Give moments that tell what intervals of means without predictions ask for; ``sums`` are those of w, ww, wr, wwr and wwrr."""
    none = dict.fromkeys(Moments.__dataclass_fields__, np.zeros(rounds.shape))
    low, high = (np.full(rounds.shape, end) for end in ends)
    given = {**dict(zip(("w", "ww", "wr", "wwr", "wwrr"), sums, strict=True)), "lowest_reward": low, "highest_reward": high}
    return Moments(**{**none, "rounds": rounds, **given})


def _around(interval: Interval, value: Floats) -> Interval:
    return Interval(np.minimum(interval.lower, value), np.maximum(interval.upper, value))


def _ends(interval: Interval, place: int) -> Ends | None:
    lower, upper = _number(interval.lower[place]), _number(interval.upper[place])
    return None if lower is None or upper is None else (lower, upper)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _time(minutes: int) -> datetime:
    return EPOCH + timedelta(minutes=int(minutes))
