"""``python -m cli loops``: the loops of a deployment, made, changed, listed and deleted by its administrator."""

import sys
from typing import Annotated, Any, Final
from urllib.parse import quote

import orjson
import typer

from cli import options, previews
from cli.config import changes
from cli.output import console, facts, moment, print_json, table
from cli.service import Service
from shared.domain.loop import Tier

app = typer.Typer(help="The loops of a deployment: list, show, create, change and delete them, as its administrator.", no_args_is_help=True)

_SECRET: Final = frozenset({"logMirrorSasUri"})
"""Members that are not printed: whoever has the address may write there."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The loop.")]
TierOption = Annotated[Tier | None, typer.Option("--tier", case_sensitive=False, help="The loop's tier, which sets its defaults.")]
ChangesExisting = Annotated[bool, typer.Option("--change", help="Change the loop if it is there already.")]
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
        listed.add_row(each["name"], each["tier"], each["configuration"]["learningMode"], moment(each.get("createdAt")), each["endpoint"])
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
    changes_existing: ChangesExisting = False,
    is_sure: previews.IsSure = False,
    endpoint: options.Endpoint = "",
    admin_key: options.AdminKey = "",
    as_json: options.Json = False,
) -> None:
    """Create a loop, and print its two keys, which are told this once. One that is there stays as it is, unless --change is given.

    What differs is said: exit code 1 if something does and is not changed.
    """
    body: dict[str, Any] = {} if tier is None else {"tier": tier.value}
    if settings:
        body["configuration"] = changes(settings)
    service = Service.of_deployment(endpoint, admin_key)
    found = service.root("POST", f"{_path(name)}/preview", body)
    if found["isThere"]:
        _say_differences(name, found, changes_existing=changes_existing)
    if found["isThere"] and not (found["changes"] and changes_existing):
        _print(service.root("GET", _path(name)), as_json=as_json)
        raise typer.Exit(1 if found["changes"] else 0)
    if found["changes"] and previews.loses(found):
        previews.ask(is_sure=is_sure)
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


def _say_differences(name: str, found: dict[str, Any], *, changes_existing: bool) -> None:
    """Say on standard error what would be changed of a loop that is there, and what the model would know then."""
    if not found["changes"]:
        print(f"The loop {name} is there already, as it is asked for. Nothing is changed.", file=sys.stderr)
        return
    done = "It is changed:" if changes_existing else "Nothing is changed. With --change it would be:"
    print(f"The loop {name} is there already. {done}", file=sys.stderr)
    for each in found["changes"]:
        before, after = (_shown(each["member"], each.get(when)) for when in ("before", "after"))
        print(f"  {each['member']}: {before} -> {after}", file=sys.stderr)
    print(found["message"], file=sys.stderr)


def _shown(member: str, value: Any) -> str:
    if value is None or value == "":
        return "none"
    return "(an address that is not shown)" if member in _SECRET else orjson.dumps(value).decode().strip('"')


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
            created=moment(loop.get("createdAt")) or None,
            **{f"key {number}": key for number, key in enumerate(keys, start=1)},
            **loop["configuration"],
        )
    )
