"""``python -m cli figures``: what a loop of the running service has shown, to whom, and which segment gains."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli import options
from cli.output import console, print_json, table
from cli.service import Service
from shared.api.breakdowns import CROSSED, LARGEST_PAGE, MOST_CROSSED, PAGE
from shared.domain.words import counted

app = typer.Typer(no_args_is_help=True, help="The shown actions, the segments that they are shown to, and the segments that gain.")


class Sort(StrEnum):
    """What rows can be ordered by."""

    EVENTS = "events"
    REWARD = "averageReward"
    FIRST = "firstSeen"
    LAST = "lastSeen"
    NAME = "id"


Since = Annotated[datetime | None, options.time_option("--since", "Only hours and days that begin at this time or later (ISO 8601, UTC).")]
Until = Annotated[datetime | None, options.time_option("--until", "Only hours and days that begin before.")]
Search = Annotated[str, typer.Option("--search", metavar="TEXT", help="Only those whose text holds this, in any case.")]
Sorted_ = Annotated[Sort, typer.Option("--sort", help="The order.")]
Ascending = Annotated[bool, typer.Option("--ascending", help="The least or earliest first.")]
Top = Annotated[int, typer.Option("--top", min=1, max=LARGEST_PAGE, help="At most so many rows.")]
Skip = Annotated[int, typer.Option("--skip", min=0, help="Leave out so many rows at the beginning.")]
Most = Annotated[int, typer.Option(min=1, max=MOST_CROSSED, help="At most so many, the most frequent ones.")]


@app.command()
def actions(
    since: Since = None,
    until: Until = None,
    search: Search = "",
    sort: Sorted_ = Sort.EVENTS,
    ascending: Ascending = False,
    top: Top = PAGE,
    skip: Skip = 0,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Tell what is shown: each action with its share, average reward, and when it was seen first and last."""
    query = _range(since, until) | _rows(search, sort, ascending, top, skip)
    found = Service.of_loop(endpoint, key, loop).beside("figures/actions", query=query)
    if as_json:
        print_json(found)
        return
    numbers = ["events", "share", "average reward", "95% interval"]
    listed = table("action", *numbers, "first seen", "last seen", right=numbers)
    for each in found["value"]:
        listed.add_row(escape(each["id"]), *_cell(each), _minute(each["firstSeen"]), _minute(each["lastSeen"]))
    _print(found, listed, "action")


@app.command()
def segments(
    since: Since = None,
    until: Until = None,
    search: Search = "",
    sort: Sorted_ = Sort.EVENTS,
    ascending: Ascending = False,
    top: Top = PAGE,
    skip: Skip = 0,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Tell which segment gains: reward and lift by the values of the chosen feature (`config set breakdownFeature=NAME`)."""
    query = _range(since, until) | _rows(search, sort, ascending, top, skip)
    found = Service.of_loop(endpoint, key, loop).beside("figures/segments", query=query)
    if as_json:
        print_json(found)
        return
    if _is_without_feature(found):
        return
    numbers = ["events", "share", "average reward", "95% interval", "baseline"]
    listed = table(escape(found["feature"]), *numbers, "lift", right=numbers)
    for each in found["value"]:
        baseline = each["gain"]["baselineReward"]
        listed.add_row(_value(each["value"]), *_cell(each), _number(baseline), _lift(each["gain"]["lift"]))
    _print(found, listed, "value")


@app.command()
def crossed(
    since: Since = None,
    until: Until = None,
    actions: Most = CROSSED,
    values: Most = CROSSED,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Tell what is shown to whom: the share of each action among the events of each value, and its average reward there."""
    query = _range(since, until) | {"actions": str(actions), "values": str(values)}
    found = Service.of_loop(endpoint, key, loop).beside("figures/crossed", query=query)
    if as_json:
        print_json(found)
        return
    if _is_without_feature(found):
        return
    names = [_value(each["value"]) for each in found["values"]]
    listed = table("action", *names, right=names)
    for each in found["actions"]:
        listed.add_row(escape(each["id"]), *[_crossing(cell) for cell in each["cells"]])
    console().print(listed)


def _range(since: datetime | None, until: datetime | None) -> dict[str, str]:
    return {name: time.isoformat() for name, time in (("since", since), ("until", until)) if time is not None}


def _rows(search: str, sort: Sort, ascending: bool, top: int, skip: int) -> dict[str, str]:
    return {"search": search, "sort": sort.value, "order": "asc" if ascending else "desc", "top": str(top), "skip": str(skip)}


def _is_without_feature(found: dict[str, Any]) -> bool:
    if found["feature"] is None:
        console().print("No values are counted yet. Choose a feature of the context: config set breakdownFeature=NAME", markup=False)
    return found["feature"] is None


def _print(found: dict[str, Any], listed: Any, what: str) -> None:
    out, others = console(), found["others"]
    out.print(listed)
    shown = len(found["value"])
    if shown < found["matched"]:
        out.print(f"\n{shown:,} of {counted(found['matched'], what)}", markup=False)
    if others and others["events"]:
        out.print(
            f"\nAll others together: {counted(others['events'], 'event')}, average reward {_number(others['averageReward'])}.", markup=False
        )


def _cell(each: dict[str, Any]) -> list[str]:
    ends = each["confidenceInterval"]
    between = "" if ends is None else f"{_number(ends[0])} to {_number(ends[1])}"
    share = "" if each["share"] is None else f"{each['share']:.1%}"
    return [f"{each['events']:,}", share, _number(each["averageReward"]), between]


def _crossing(cell: dict[str, Any] | None) -> str:
    return "–" if cell is None else f"{cell['share']:.0%}, {_number(cell['averageReward'])}"


def _lift(lift: dict[str, Any]) -> str:
    if lift["value"] is not None:
        return f"{lift['value']:+.0%}" + _between(lift["confidenceInterval"], "+.0%")
    if lift["difference"] is not None:
        return f"{lift['difference']:+.3f} an event" + _between(lift["differenceInterval"], "+.3f")
    missing = lift["moreEvents"]
    return "not known yet" + ("" if missing is None else f", about {missing:,} more events")


def _between(ends: list[float | None] | None, form: str) -> str:
    """Tell an interval, whose ends may be unknown."""
    low, high = ("?" if end is None else format(end, form) for end in ends or (None, None))
    return f" ({low} to {high})"


def _value(value: str | None) -> str:
    return "(no value)" if value is None else escape(value) or '""'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _minute(time: str) -> str:
    return time[:16].replace("T", " ") + "Z"
