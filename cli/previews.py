"""What a change would do to the model and the log: asked from the service and said before the change is made."""

import sys
from typing import Annotated, Any, Final

import typer

from cli.service import Service

_RETRAIN_DAYS: Final = "modelRetrainDays"
"""What it limits is a later change, so that nothing is lost yet."""

IsSure = Annotated[bool, typer.Option("--yes", help="Do not ask, even if the next model will know less.")]


def say(service: Service, *, is_sure: bool, **change: Any) -> None:
    """Say on standard error what a change would do: a part of a ``configuration``, a ``policy``, or ``resetsPolicy``.

    Where something would be lost, whoever sits at a terminal is asked. Raises `typer.Abort` for a "no", and as `Service.ask`.
    """
    found = service.ask("POST", "configurations/preview", change)
    lost = loses(found)
    if not lost and not (found["isLearnedAgain"] and found["ofEvents"]) and _RETRAIN_DAYS not in (change.get("configuration") or ()):
        return
    print(found["message"], file=sys.stderr)
    if lost:
        ask(is_sure=is_sure)


def loses(found: dict[str, Any]) -> bool:
    """Tell whether the service says that something is lost; one of an earlier release says only what is lost at once."""
    return bool(found.get("isLossy") or found["events"] < found["ofEvents"] or found["eventsDeleted"] > 0)


def ask(*, is_sure: bool) -> None:
    """Ask whoever sits at a terminal whether to go on; raises `typer.Abort` for a "no"."""
    if not is_sure and sys.stdin.isatty():
        typer.confirm("Go on?", abort=True, err=True)


def known(service: Service) -> int:
    """Tell how many events the published model has learned, 0 if there is none."""
    return int(service.ask("POST", "configurations/preview", {})["ofEvents"])
