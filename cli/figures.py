"""``python -m cli figures``: what a loop of the running service has shown, to whom, and which segment gains."""

import time
import uuid
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from cli import options
from cli.output import console, escape, print_json, print_table, spinner, table
from cli.service import Service
from shared.api.breakdowns import CROSSED, LARGEST_PAGE, MOST_CROSSED, PAGE
from shared.domain.clock import EPOCH, SystemClock
from shared.domain.errors import UnreadableError
from shared.domain.words import counted

app = typer.Typer(no_args_is_help=True, help="The shown actions, the segments that they are shown to, and the segments that gain.")


_UNDER_WAY: Final = ("NotSubmitted", "Running")
_LOOK_SECONDS: Final = 1.0


class Sort(StrEnum):
    """What rows can be ordered by."""

    EVENTS = "events"
    REWARD = "averageReward"
    FIRST = "firstSeen"
    LAST = "lastSeen"
    NAME = "id"


Since = Annotated[datetime | None, options.time_option("--since", "Only hours and days that begin at this time or later (ISO 8601, UTC).")]
Until = Annotated[datetime | None, options.time_option("--until", "Only hours and days that begin before.")]
Count = Annotated[
    str, typer.Option("--count", metavar="ID", help="Of a count of the log (`figures counted`), in place of what the trainer counted.")
]
Search = Annotated[str, typer.Option("--search", metavar="TEXT", help="Only those whose text holds this, in any case.")]
Sorted_ = Annotated[Sort, typer.Option("--sort", help="The order.")]
Ascending = Annotated[bool, typer.Option("--ascending", help="The least or earliest first.")]
Top = Annotated[int, typer.Option("--top", min=1, max=LARGEST_PAGE, help="At most so many rows.")]
Skip = Annotated[int, typer.Option("--skip", min=0, help="Leave out so many rows at the beginning.")]
Most = Annotated[int, typer.Option(min=1, max=MOST_CROSSED, help="At most so many, the most frequent ones.")]


def _rows(path: str, tell: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
    """Make the command that reads rows from this path, and tells them."""

    def command(
        since: Since = None,
        until: Until = None,
        count: Count = "",
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
        order = "asc" if ascending else "desc"
        chosen = {"search": search, "sort": sort.value, "order": order, "top": str(top), "skip": str(skip)}
        query = _range(since, until, count) | chosen
        found = Service.of_loop(endpoint, key, loop).beside(_path(path, count), query=query)
        if as_json:
            print_json(found)
        else:
            tell(found)

    return command


def _tell_actions(found: dict[str, Any]) -> None:
    numbers = ["events", "share", "average reward", "95% interval"]
    listed = table("action", *numbers, "first seen", "last seen", right=numbers)
    for each in found["value"]:
        listed.add_row(escape(each["id"]), *_cell(each), _minute(each["firstSeen"]), _minute(each["lastSeen"]))
    _print(found, listed, "action")


def _tell_segments(found: dict[str, Any]) -> None:
    if _is_without_feature(found):
        return
    numbers = ["events", "share", "average reward", "95% interval", "baseline"]
    listed = table(escape(found["feature"]), *numbers, "lift", right=numbers)
    for each in found["value"]:
        baseline = each["gain"]["baselineReward"]
        listed.add_row(_value(each["value"]), *_cell(each), _number(baseline), _lift(each["gain"]["lift"]))
    _print(found, listed, "value")


app.command("actions", help="Tell what is shown: each action with its share, average reward, and when it was seen first and last.")(
    _rows("actions", _tell_actions)
)
app.command(
    "segments", help="Tell which segment gains: reward and lift by the values of the chosen feature (`config set breakdownFeature=NAME`)."
)(_rows("segments", _tell_segments))


@app.command()
def experiment(
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Tell what the holdout has shown: the loop beside your own choice (`config set holdoutPercentage=0.05`)."""
    found = Service.of_loop(endpoint, key, loop).beside("figures", query={"interval": "1440"}).get("experiment")
    if as_json:
        print_json(found)
        return
    out = console()
    if found is None:
        out.print("No event of a holdout is learned yet. Choose the share to hold out: config set holdoutPercentage=0.05", markup=False)
        return
    numbers = ["events", "average reward", "95% interval"]
    listed = table("side", *numbers, right=numbers)
    for name, side in (("the loop's choice", found["learned"]), ("your own choice, held out", found["baseline"])):
        ends = side["confidenceInterval"]
        between = "" if ends is None else f"{_number(ends[0])} to {_number(ends[1])}"
        listed.add_row(name, f"{side['events']:,}", _number(side["expectedReward"]), between)
    out.print(listed)
    split, events = found["split"], counted(found["events"], "event")
    out.print(f"\nLift: {_lift(found['lift'])}", markup=False)
    out.print(f"Held out: {split['found']:.2%} of {events}; {split['asked']:.2%} was asked for (p = {split['pValue']:.3f})", markup=False)
    out.print(_proven(found), markup=False)


@app.command()
def crossed(
    since: Since = None,
    until: Until = None,
    count: Count = "",
    actions: Most = CROSSED,
    values: Most = CROSSED,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Tell what is shown to whom: the share of each action among the events of each value, and its average reward there."""
    query = _range(since, until, count) | {"actions": str(actions), "values": str(values)}
    found = Service.of_loop(endpoint, key, loop).beside(_path("crossed", count), query=query)
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


@app.command("count")
def count_(
    feature: Annotated[str, typer.Argument(metavar="FEATURE", help="A feature of the context, such as device or user.device.")],
    since: options.Since = None,
    until: options.Until = None,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What it is called in lists; the feature if it is left out.")] = "",
    job_id: Annotated[str, typer.Option("--id", metavar="ID", help="Its id; one is made if it is left out.")] = "",
    is_left: Annotated[bool, typer.Option("--no-wait", help="Do not wait for it; print its id.")] = False,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Count a range of the log by a feature that need not be the chosen one, and tell which segment gained. Ctrl-C cancels it."""
    service, job_id = Service.of_loop(endpoint, key, loop), job_id or str(uuid.uuid4())
    times = {"startTime": (since or EPOCH).isoformat(), "endTime": (until or SystemClock().now()).isoformat()}
    service.place("PUT", _one(job_id), {"name": name or feature, "feature": feature, **times})
    if is_left:
        print_json({"id": job_id}) if as_json else console().print(job_id, markup=False)
        return
    done = _waited_for(service, job_id)
    if done["status"] != "Succeeded":
        raise UnreadableError(done.get("description") or f"the count ended as {done['status']}")
    found = service.beside(f"{_one(job_id)}/segments", query={})
    if as_json:
        print_json(found)
        return
    _tell_segments(found)
    console().print(f"\n{done['description']} Its id: {job_id}", markup=False)


@app.command("counted")
def counted_(
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """List what was counted from the log, or is being counted, the newest first."""
    found = Service.of_loop(endpoint, key, loop).beside("breakdowns", query={})
    if as_json:
        print_json(found)
        return
    listed = table("id", "name", "feature", "from", "until", "status")
    for each in found["value"]:
        ends = [_minute(each[name]) for name in ("startTime", "endTime")]
        listed.add_row(*[escape(each[name]) for name in ("id", "name", "feature")], *ends, each["status"])
    print_table(listed, nothing="Nothing was counted from the log yet. `figures count FEATURE` does it.")


@app.command()
def forget(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a count.")],
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Delete what was counted from the log, or cancel a count that is under way."""
    Service.of_loop(endpoint, key, loop).place("DELETE", _one(job_id))
    if as_json:
        print_json({"id": job_id})
    else:
        console().print(f"{job_id} is deleted.", markup=False)


def _waited_for(service: Service, job_id: str) -> dict[str, Any]:
    """Wait until it is over; one that nobody waits for any more is cancelled."""
    try:
        with spinner("It waits for its turn.") as tell:
            while True:
                found: dict[str, Any] = service.beside(_one(job_id), query={})
                if found["status"] not in _UNDER_WAY:
                    return found
                tell(found.get("description") or "It waits for its turn.")
                time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        service.place("DELETE", _one(job_id))
        raise


def _one(job_id: str) -> str:
    return f"breakdowns/{quote(job_id, safe='')}"


def _path(name: str, count: str) -> str:
    return f"{_one(count)}/{name}" if count else f"figures/{name}"


def _range(since: datetime | None, until: datetime | None, count: str) -> dict[str, str]:
    if count and (since or until):
        raise typer.BadParameter("a count has a range of its own: leave out --since and --until")
    return {name: at.isoformat() for name, at in (("since", since), ("until", until)) if at is not None}


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


_PROVEN: Final = {
    "better": "The loop earns more than your own choice.",
    "worse": "The loop earns less than your own choice.",
    "notKnown": "It is not known yet which of the two earns more.",
}


def _proven(found: dict[str, Any]) -> str:
    if not found["split"]["isAsAsked"]:
        return "The split is not what was asked for, so no figure here is worth anything. Do events of one side get lost?"
    since = found["provenSince"]
    return _PROVEN[found["verdict"]] + (f" This has been proven since {_minute(since)}." if since else "")


def _value(value: str | None) -> str:
    return "(no value)" if value is None else escape(value) or '""'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _minute(time: str) -> str:
    return time[:16].replace("T", " ") + "Z"
