"""HTTP: what was shown, to whom, and which segment gains."""

from typing import Any

import azure.functions as func

from shared.api.breakdowns import (
    ActionBody,
    ActionsResponse,
    CellBody,
    CrossedActionBody,
    CrossedResponse,
    CrossedValueBody,
    GainBody,
    SegmentBody,
    SegmentLiftBody,
    SegmentsResponse,
    SegmentSumBody,
    SumBody,
    TrendPointBody,
    read_crossed_query,
    read_rows_query,
)
from shared.runtime.http import MUCH, Call, Operation, answer
from shared.services.breakdowns.reading import Cell, Crossed, Gain, Listing, Query, Range, Row, Sort

_LIVE = "figures"
"""That the trainer counted it at its commits."""


async def actions(call: Call) -> func.HttpResponse:
    """Answer with what was shown."""
    return answer(200, actions_body(call, await call.services.breakdown.actions(rows_query(call)), _LIVE))


async def segments(call: Call) -> func.HttpResponse:
    """Answer with what was earned by the values of the feature, and how much of that was gained."""
    return answer(200, segments_body(call, await call.services.breakdown.segments(rows_query(call)), _LIVE))


async def crossed(call: Call) -> func.HttpResponse:
    """Answer with what was shown to whom."""
    asked = read_crossed_query(call.query)
    found = await call.services.breakdown.crossed(Range(asked.since, asked.until), actions=asked.actions, values=asked.values)
    return answer(200, crossed_body(call, found, _LIVE))


def actions_body(call: Call, found: Listing, source: str) -> ActionsResponse:
    """Write actions; ``source`` tells where they were counted."""
    return ActionsResponse(
        **_told(call, found, source),
        **_counts(found),
        total=SumBody(**_sum(found.total)),
        others=SumBody(**_sum(found.others)),
        value=[ActionBody(id=str(each.text), **_own(each)) for each in found.rows],
    )


def segments_body(call: Call, found: Listing, source: str) -> SegmentsResponse:
    """Write values of the feature."""
    total, others = ((_segment_sum(each) if found.feature else None) for each in (found.total, found.others))
    return SegmentsResponse(
        **_told(call, found, source),
        **_counts(found),
        feature=found.feature or None,
        total=total,
        others=others,
        value=[SegmentBody(value=each.text, gain=_gain(each.gain), **_own(each)) for each in found.rows],
    )


def crossed_body(call: Call, found: Crossed, source: str) -> CrossedResponse:
    """Write actions by values."""
    rows = zip(found.actions, found.cells, strict=True)
    return CrossedResponse(
        **_told(call, found, source),
        feature=found.feature or None,
        most_events_of_others=found.floor,
        values=[CrossedValueBody(value=each.text, events=each.cell.events) for each in found.values],
        actions=[
            CrossedActionBody(
                id=str(row.text), events=row.cell.events, cells=[None if each is None else CellBody(**_cell(each)) for each in cells]
            )
            for row, cells in rows
        ],
    )


def rows_query(call: Call) -> Query:
    """Read which rows are wanted; raises `InvalidRequestError`."""
    asked = read_rows_query(call.query)
    return Query(Range(asked.since, asked.until), asked.search, Sort(asked.sort), asked.is_ascending, asked.top, asked.skip)


def _told(call: Call, found: Listing | Crossed, source: str) -> dict[str, Any]:
    return {"loop": call.loop, "watermark": found.watermark, "since": found.since, "source": source}


def _counts(found: Listing) -> dict[str, Any]:
    return {
        "interval_in_minutes": found.minutes,
        "count": found.known,
        "matched": found.matched,
        "most_events_of_others": found.floor,
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "events": cell.events,
        "share": cell.share,
        "average_reward": cell.average_reward,
        "confidence_interval": cell.interval,
    }


def _sum(row: Row) -> dict[str, Any]:
    trend = [
        TrendPointBody(time_stamp=each.at, events=each.events, share=each.share, average_reward=each.average_reward) for each in row.trend
    ]
    return {**_cell(row.cell), "trend": trend}


def _own(row: Row) -> dict[str, Any]:
    return {**_sum(row), "events_missed": row.missed, "first_seen": row.first_seen, "last_seen": row.last_seen}


def _segment_sum(row: Row) -> SegmentSumBody:
    return SegmentSumBody(**_sum(row), gain=_gain(row.gain))


def _gain(gain: Gain | None) -> GainBody:
    found = gain or Gain()
    return GainBody(
        baseline_reward=found.baseline,
        baseline_interval=found.baseline_interval,
        effective_events=found.effective_events,
        lift=SegmentLiftBody(
            value=found.lift.value,
            confidence_interval=found.lift.interval,
            difference=found.lift.difference,
            difference_interval=found.lift.difference_interval,
            more_events=found.lift.more_events,
        ),
    )


OPERATIONS = (
    Operation("figures_actions", "GET", "figures/actions", actions, versioned=False, time=MUCH),
    Operation("figures_segments", "GET", "figures/segments", segments, versioned=False, time=MUCH),
    Operation("figures_crossed", "GET", "figures/crossed", crossed, versioned=False, time=MUCH),
)
