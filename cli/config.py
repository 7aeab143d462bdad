"""``python -m cli config``: a loop's service configuration."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import orjson
import typer

from cli import options, previews
from cli.output import console, escape, facts, moment, print_json, print_table, table
from cli.service import Service
from shared.api.configuration import ConfigurationRequest
from shared.domain.changes import MOST_TOLD

app = typer.Typer(help="A loop's configuration: read it, and change parts of it.", no_args_is_help=True)

_PATH = "configurations/service"
_MEMBERS: Final = [str(member.alias) for member in ConfigurationRequest.model_fields.values()]


@app.command()
def get(
    member: Annotated[str, typer.Argument(metavar="[MEMBER]", help="One member only, such as rewardWaitTime.")] = "",
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Print the configuration in force."""
    found = Service.of_loop(endpoint, key, loop).ask("GET", _PATH)
    if not member:
        _print(found, as_json=as_json)
        return
    if member not in found:
        raise typer.BadParameter(f"the configuration has no member {member!r}: there are {', '.join(found)}")
    if as_json:
        print_json(found[member])
    else:
        print(found[member])


@app.command("set")
def set_(
    settings: Annotated[list[str], typer.Argument(metavar="MEMBER=VALUE...", help="Such as rewardWaitTime=PT1H.")],
    is_sure: previews.IsSure = False,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Set members of the configuration; the others stay as they are. What becomes of the model and the log is said before."""
    changed, service = changes(settings), Service.of_loop(endpoint, key, loop)
    previews.say(service, is_sure=is_sure, configuration=changed, ownsUnchanged=True)
    _print(service.ask("POST", "configurations/set", {"configuration": changed}), as_json=as_json)


@app.command()
def unset(
    members: Annotated[
        list[str], typer.Argument(metavar="MEMBER...", help="The members that follow the app again, such as rewardWaitTime.")
    ],
    is_sure: previews.IsSure = False,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Go back to the app's settings for members that were set once. What becomes of the model and the log is said before."""
    service = Service.of_loop(endpoint, key, loop)
    previews.say(service, is_sure=is_sure, unset=members)
    _print(service.ask("POST", "configurations/unset", {"members": members}), as_json=as_json)


@app.command()
def history(
    top: Annotated[int, typer.Option("--top", min=1, max=MOST_TOLD, help="How many changes.")] = 50,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """List what was changed in settings, policy, keys and models, by whom and when, newest first."""
    found = Service.of_loop(endpoint, key, loop).beside("changes", query={"top": str(top)})["value"]
    if as_json:
        print_json(found)
        return
    listed = table("when", "by", "kind", "what", "from", "to", "")
    for each in found:
        doubt = "" if each["isCertain"] else "begun; not seen to be stored"
        for member in each["members"] or [{"name": "", "old": None, "new": None}]:
            texts = (member["name"], member["old"] or "", member["new"] or "")
            listed.add_row(moment(each["changedAt"]), each["by"], each["kind"], *map(escape, texts), doubt)
    print_table(listed, nothing="Nothing was changed yet.")


def changes(settings: Sequence[str]) -> dict[str, Any]:
    """Read members and values; a value that is JSON is that, any other a string. The service checks what a value may be.

    >>> changes(["rewardWaitTime=PT1H", "defaultReward=-0.5", "logMirrorEnabled=true"])
    {'rewardWaitTime': 'PT1H', 'defaultReward': -0.5, 'logMirrorEnabled': True}
    """
    found: dict[str, Any] = {}
    for setting in settings:
        member, equals, value = setting.partition("=")
        if not equals or not member:
            raise typer.BadParameter(f"{setting!r} is not of the form MEMBER=VALUE")
        if member not in _MEMBERS:
            raise typer.BadParameter(f"the configuration has no member {member!r} to set: there are {', '.join(_MEMBERS)}")
        try:
            found[member] = orjson.loads(value)
        except orjson.JSONDecodeError:
            found[member] = value
    return found


def _print(configuration: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(configuration)
    else:
        console().print(facts(**configuration))
