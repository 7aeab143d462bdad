"""``python -m cli config``: a loop's service configuration."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import orjson
import typer

from cli import options, previews
from cli.output import console, facts, print_json
from cli.service import Service
from shared.api.configuration import ConfigurationRequest

app = typer.Typer(help="A loop's configuration: read it, and change parts of it.", no_args_is_help=True)

_PATH = "configurations/service"
_RETRAIN_DAYS: Final = "modelRetrainDays"
_MEMBERS: Final = {str(member.alias): member.is_required() for member in ConfigurationRequest.model_fields.values()}
_REQUIRED: Final = [name for name, is_required in _MEMBERS.items() if is_required]
"""A PUT has to name these; a caller who wants to change another sends them as they are."""


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
    """Change members of the configuration; what is not named stays. What becomes of the model and the log is said before."""
    changed, service = changes(settings), Service.of_loop(endpoint, key, loop)
    present = service.ask("GET", _PATH)
    is_kept = changed.get(_RETRAIN_DAYS) == present[_RETRAIN_DAYS]
    previews.say(service, is_sure=is_sure, configuration=changed, keepsRetrainDays=is_kept)
    body = {**{name: present[name] for name in _REQUIRED}, **changed}
    if is_kept:  # sent as it is it would not count as set
        service.ask("PUT", _PATH, {**{name: present[name] for name in _REQUIRED}, _RETRAIN_DAYS: 0 if present[_RETRAIN_DAYS] else 1})
    _print(service.ask("PUT", _PATH, body), as_json=as_json)


@app.command()
def unset(
    members: Annotated[list[str], typer.Argument(metavar="MEMBER...", help="What is to follow the app again, such as rewardWaitTime.")],
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
