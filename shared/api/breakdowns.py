"""GET figures/actions, figures/segments and figures/crossed on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.api.figures import Ends, read_range
from shared.api.paging import read_number, refuse
from shared.api.times import Time
from shared.api.wire import WireModel

LARGEST_PAGE: Final = 500
PAGE: Final = 50
MOST_CROSSED: Final = 100
CROSSED: Final = 20
LONGEST_SEARCH: Final = 256
SORTS: Final = ("events", "averageReward", "firstSeen", "lastSeen", "id")
ORDERS: Final = ("asc", "desc")


class TrendPointBody(WireModel):
    """A bucket of a trend; buckets without events are left out."""

    time_stamp: Time
    events: int
    share: float
    average_reward: float


class CellBody(WireModel):
    """Of some events: how many, their share of all, and their average reward; null where there are none."""

    events: int
    share: float | None
    average_reward: float | None
    confidence_interval: Ends | None


class SumBody(CellBody):
    """All events together, or those that have no row of their own."""

    trend: list[TrendPointBody]


class ActionBody(SumBody):
    """An action; up to ``eventsMissed`` more of its events are among the others."""

    id: str
    events_missed: int
    first_seen: Time
    last_seen: Time


class SegmentLiftBody(WireModel):
    """How much more was earned than by the baseline; null as long as too few events tell of it.

    ``value`` is a share of what the baseline earns, ``difference`` is in rewards.
    """

    value: float | None
    confidence_interval: Ends | None
    difference: float | None
    difference_interval: Ends | None
    more_events: int | None


class GainBody(WireModel):
    """The reward that the baseline would have earned in the same events, and the lift over that."""

    baseline_reward: float | None
    baseline_interval: Ends | None
    effective_events: float
    lift: SegmentLiftBody


class SegmentSumBody(SumBody):
    """All events together, or those of other values."""

    gain: GainBody


class SegmentBody(SegmentSumBody):
    """A value of the feature; null stands for events without the feature."""

    value: str | None
    events_missed: int
    first_seen: Time
    last_seen: Time


class _Told(WireModel):
    loop: str
    watermark: Time | None
    since: Time | None
    source: str

    def to_wire(self) -> bytes:
        """Write as JSON; what is not known is null."""
        return self.model_dump_json(by_alias=True).encode()


class ActionsResponse(_Told):
    """The shown actions."""

    interval_in_minutes: int
    count: int
    matched: int
    most_events_of_others: int
    total: SumBody
    others: SumBody
    value: list[ActionBody]


class SegmentsResponse(_Told):
    """Which segment gains; without a feature there are none."""

    feature: str | None
    interval_in_minutes: int
    count: int
    matched: int
    most_events_of_others: int
    total: SegmentSumBody | None
    others: SegmentSumBody | None
    value: list[SegmentBody]


class CrossedActionBody(WireModel):
    """An action with a cell for each value, null for a pair that has no sums of its own; its share is of the value's events."""

    id: str
    events: int
    cells: list[CellBody | None]


class CrossedValueBody(WireModel):
    """A value of the feature, null for events without it."""

    value: str | None
    events: int


class CrossedResponse(_Told):
    """The shown actions by segment."""

    feature: str | None
    most_events_of_others: int
    values: list[CrossedValueBody]
    actions: list[CrossedActionBody]


@dataclass(frozen=True, slots=True)
class RowsQuery:
    """Which rows are wanted."""

    since: datetime | None
    until: datetime | None
    search: str
    sort: str
    is_ascending: bool
    top: int
    skip: int


@dataclass(frozen=True, slots=True)
class CrossedQuery:
    """Which part of the table of actions by values is wanted."""

    since: datetime | None
    until: datetime | None
    actions: int
    values: int


def read_rows_query(params: Mapping[str, str]) -> RowsQuery:
    """Read the query; raises `InvalidRequestError`, naming the parameter."""
    since, until = read_range(params)
    search = params.get("search", "")
    if len(search) > LONGEST_SEARCH:
        refuse("search", f"must have at most {LONGEST_SEARCH} characters")
    sort = _one_of(params, "sort", SORTS)
    order = _one_of(params, "order", ORDERS) if "order" in params else ("asc" if sort == "id" else "desc")
    return RowsQuery(
        since,
        until,
        search,
        sort,
        order == "asc",
        read_number(params, "top", PAGE, lowest=1, largest=LARGEST_PAGE),
        read_number(params, "skip", 0, lowest=0),
    )


def read_crossed_query(params: Mapping[str, str]) -> CrossedQuery:
    """Read the query; raises `InvalidRequestError`, naming the parameter."""
    actions, values = (read_number(params, name, CROSSED, lowest=1, largest=MOST_CROSSED) for name in ("actions", "values"))
    return CrossedQuery(*read_range(params), actions, values)


def _one_of(params: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    """Read a word in any case; the first one is meant where there is none."""
    found = {word.lower(): word for word in words}.get(params.get(name, words[0]).lower())
    return found or refuse(name, f"must be {', '.join(words[:-1])} or {words[-1]}")
