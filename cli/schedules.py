"""``python -m cli schedules``: evaluations that a loop of the running service does again and again."""

from datetime import datetime
from math import isfinite
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from cli import options
from cli.output import console, escape, facts, number, print_json, print_table, span, table
from cli.service import Service
from shared.domain.evaluation import BASELINE, PRESENT
from shared.domain.schedules import MOST_EVERY, MOST_OVER, RIVALS

app = typer.Typer(no_args_is_help=True, help="Evaluations that are done again and again, with a series of their figures and alerts.")

_PATH: Final = "evaluations/schedules"

ScheduleId = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id.")]


@app.command("set")
def set_(
    schedule_id: ScheduleId,
    every: Annotated[int, typer.Option("--every", metavar="DAYS", min=1, max=MOST_EVERY, help="The days from one run to the next.")] = 7,
    over: Annotated[int, typer.Option("--over", metavar="DAYS", min=1, max=MOST_OVER, help="How many days of the log a run looks at.")] = 7,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What it is called in lists; the id if it is left out.")] = "",
    start: Annotated[datetime | None, options.time_option("--start", "When the first run is due (ISO 8601, UTC); now if left out.")] = None,
    policies: Annotated[
        list[str] | None, typer.Option("--policy", metavar="NAME=ARGUMENTS", help="A policy to compare as well; again for more.")
    ] = None,
    compared_with: Annotated[
        str, typer.Option("--compared-with", metavar="POLICY", help=f"The policy that lifts are over: {', '.join(RIVALS)}.")
    ] = BASELINE,
    least_lifts: Annotated[
        list[str] | None,
        typer.Option(
            "--least-lift", metavar="[NAME=]NUMBER", help=f"An alert tells of a lower lift of this policy, or of {PRESENT}; again for more."
        ),
    ] = None,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Schedule an evaluation, or change a schedule; its series stays. A first run that is due begins at once."""
    read = [options.read_policy(each) for each in policies or ()]
    body = {
        "name": name or schedule_id,
        "everyDays": every,
        "overDays": over,
        "policies": [{"name": each.name, "arguments": each.arguments} for each in read],
        "comparedWith": compared_with,
        "leastLifts": dict(read_least_lift(each) for each in least_lifts or ()),
    }
    if start is not None:
        body["startTime"] = start.isoformat()
    found = Service.of_loop(endpoint, key, loop).place("PUT", _one(schedule_id), body)
    _tell(found, as_json=as_json)


@app.command("list")
def list_(
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """List the schedules, the oldest first."""
    found = Service.of_loop(endpoint, key, loop).beside(_PATH, query={})
    if as_json:
        print_json(found)
        return
    numbers = ["every", "over", "runs"]
    listed = table("id", "name", *numbers, "last run", "status", "next", right=numbers)
    for each in found["value"]:
        last = each.get("lastRun")
        told = ("", "") if last is None else (_minute(last["dueTime"]), last["status"])
        days = [f"{each[name]} d" for name in ("everyDays", "overDays")]
        listed.add_row(escape(each["id"]), escape(each["name"]), *days, f"{each['numberOfRuns']}", *told, _minute(each["nextTime"]))
    print_table(listed, nothing="There is no schedule. `schedules set ID` makes one.")


@app.command()
def show(
    schedule_id: ScheduleId,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Tell what each run of a schedule has found."""
    _tell(Service.of_loop(endpoint, key, loop).beside(_one(schedule_id), query={}), as_json=as_json)


@app.command()
def delete(
    schedule_id: ScheduleId,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Delete a schedule and its series; evaluations that it has asked for stay."""
    Service.of_loop(endpoint, key, loop).place("DELETE", _one(schedule_id))
    if as_json:
        print_json({"id": schedule_id})
    else:
        console().print(f"{schedule_id} is deleted.", markup=False)


def read_least_lift(text: str) -> tuple[str, float]:
    """Read a least lift and the policy that it is of.

    >>> read_least_lift("0.02"), read_least_lift("a=b=-1")
    (('present policy', 0.02), ('a=b', -1.0))
    """
    name, _, value = text.rpartition("=")
    try:
        least = float(value)
    except ValueError as cause:
        raise typer.BadParameter(f"--least-lift: {text!r} is not of the form [NAME=]NUMBER") from cause
    if not isfinite(least):
        raise typer.BadParameter(f"--least-lift: {text!r} has no finite number")
    return name or PRESENT, least


def _tell(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    out, least = console(), ", ".join([f"{name} {value:+g}" for name, value in found["leastLifts"].items()])
    told = facts(
        id=found["id"],
        name=found["name"],
        runs=f"every {found['everyDays']} days, over {found['overDays']} days",
        next_run=_minute(found["nextTime"]),
        alert_below=least or None,
    )
    out.print(told, markup=False)
    numbers = ["events", "estimate", "95 % interval", "lift", "95 % interval of the lift"]
    listed = table("run", "policy", *numbers, "", right=numbers)
    for run in found["runs"]:
        at, shown = _minute(run["dueTime"]), run["value"]
        if not shown:
            listed.add_row(at, escape(run["status"]), f"{run['events']:,}", "", "", "", "", escape(run.get("description", "")))
        for each in shown:
            listed.add_row(at, escape(each["name"]), f"{run['events']:,}", *_figures(each), "below" if each.get("isBelow") else "")
            at = ""
    if found["runs"]:
        out.print()
        out.print(listed)


def _figures(each: dict[str, Any]) -> list[str]:
    value = [number(each.get("expectedReward"), ".4f"), span(each["confidenceInterval"], ".4f")]
    if "lift" not in each:
        return [*value, "", ""]
    return [*value, number(each["lift"], "+.4f"), span(each["liftInterval"], "+.4f")]


def _one(schedule_id: str) -> str:
    return f"{_PATH}/{quote(schedule_id, safe='')}"


def _minute(time: str) -> str:
    return time[:16].replace("T", " ") + "Z"
