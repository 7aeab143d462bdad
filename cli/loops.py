"""``python -m cli loops``: the loops of a deployment, made, changed, listed and deleted by its administrator."""

import sys
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from cli import options, previews
from cli.config import changes
from cli.output import console, facts, print_json, table
from cli.service import Service
from shared.domain.loop import Tier

app = typer.Typer(help="The loops of a deployment: list, show, create, change and delete them, as its administrator.", no_args_is_help=True)

_LEARNED_AGAIN: Final = ("rewardWaitTime", "defaultReward", "rewardAggregation")
_RETENTION: Final = "logRetentionDays"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The loop.")]
TierOption = Annotated[Tier | None, typer.Option("--tier", case_sensitive=False, help="What the loop is for.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="MEMBER=VALUE", help="A member of its configuration, such as rewardWaitTime=PT1H; repeatable."),
]


@app.command("list")
def list_(endpoint: options.Endpoint = "", admin_key: options.AdminKey = "", as_json: options.Json = False) -> None:
    """List the loops."""
    found = Service.of_deployment(endpoint, admin_key).root("GET", "loops")["value"]
    if as_json:
        print_json(found)
        return
    listed = table("loop", "tier", "mode", "created", "endpoint")
    for each in found:
        listed.add_row(each["name"], each["tier"], each["configuration"]["learningMode"], each.get("createdAt", ""), each["endpoint"])
    console().print(listed)


@app.command()
def show(name: Name, endpoint: options.Endpoint = "", admin_key: options.AdminKey = "", as_json: options.Json = False) -> None:
    """Show one loop with its configuration."""
    _print(Service.of_deployment(endpoint, admin_key).root("GET", _path(name)), as_json=as_json)


@app.command()
def create(
    name: Name,
    tier: TierOption = None,
    settings: Settings = None,
    is_sure: previews.IsSure = False,
    endpoint: options.Endpoint = "",
    admin_key: options.AdminKey = "",
    as_json: options.Json = False,
) -> None:
    """Create a loop, and print its two keys, which are told this once; one that is there is changed, and what that may lose is said."""
    body: dict[str, Any] = {} if tier is None else {"tier": tier.value}
    service = Service.of_deployment(endpoint, admin_key)
    if settings:
        body["configuration"] = changes(settings)
        _say(service, name, body["configuration"], is_sure=is_sure)
    _print(service.root("PUT", _path(name), body), as_json=as_json)


@app.command()
def delete(
    name: Name,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    endpoint: options.Endpoint = "",
    admin_key: options.AdminKey = "",
    as_json: options.Json = False,
) -> None:
    """Delete a loop: its log, its models and its settings."""
    if not is_sure:
        typer.confirm(f"Delete the loop {name} with its log and models?", abort=True, err=True)
    Service.of_deployment(endpoint, admin_key).root("DELETE", _path(name))
    if as_json:
        print_json({"deleted": name})
    else:
        print(f"The loop {name} is deleted.")


def _say(service: Service, name: str, wanted: dict[str, Any], *, is_sure: bool) -> None:
    """Say on standard error what a change may do to a loop that is there; how much of it only a key of the loop can ask."""
    there = next((each["configuration"] for each in service.root("GET", "loops")["value"] if each["name"] == name), None)
    if there is None:
        return
    changed = [member for member, value in wanted.items() if there.get(member) != value]
    told = []
    if again := [member for member in changed if member in _LEARNED_AGAIN]:
        told.append(f"its model is learned again from what the log still holds ({', '.join(again)})")
    if _RETENTION in changed and wanted[_RETENTION] != -1:
        told.append(f"what is older than {wanted[_RETENTION]} days is deleted from the log, for good ({_RETENTION})")
    if not told:
        return
    print(f"The loop {name} is there: {', and '.join(told)}. `config set --loop {name}` tells the events before.", file=sys.stderr)
    if not is_sure and sys.stdin.isatty():
        typer.confirm("Go on?", abort=True, err=True)


def _path(name: str) -> str:
    return f"loops/{quote(name, safe='')}"


def _print(loop: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(loop)
        return
    keys = loop.get("keys") or []
    console().print(
        facts(
            loop=loop["name"],
            tier=loop["tier"],
            endpoint=loop["endpoint"],
            created=loop.get("createdAt"),
            **{f"key {number}": key for number, key in enumerate(keys, start=1)},
            **loop["configuration"],
        )
    )
