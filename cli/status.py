"""``python -m cli status``: how far a loop of the running service has come, and what keeps it from learning."""

from typing import Annotated, Any, Final

import typer

from cli import options
from cli.output import console, facts, moment, print_json
from cli.service import Service
from shared.advice.advice import PASSING
from shared.domain.words import counted

_WELL: Final = "Valid"
_COUNTERS = {
    "lateRewards": "late rewards",
    "unknownRewards": "unknown rewards",
    "forgottenRewards": "forgotten rewards",
    "repeatedRewards": "repeated rewards",
}


def status(
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
    is_strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 also for a loop that is only young.")] = False,
) -> None:
    """Tell how far the loop has come, and what keeps it from learning; exit code 1 for a fault, 0 for a loop that is only young."""
    found = Service.of_loop(endpoint, key, loop).ask("GET", "status")
    if as_json:
        print_json(found)
    else:
        _print(found)
    if is_wrong(found, is_strict=is_strict):
        raise typer.Exit(1)


def is_wrong(found: dict[str, Any], *, is_strict: bool = False) -> bool:
    """Tell whether a status says that something is wrong; where it is ``is_strict``, all that the checklist says is.

    What the checklist of a later release says, and is not known here, is wrong too.
    """
    codes = {each["code"] for each in found["loop"]["advice"] or ()}
    return found["apiStatus"] != _WELL or bool(found["loop"]["error"] or (codes if is_strict else codes - PASSING))


def _print(found: dict[str, Any]) -> None:
    out, loop = console(), found["loop"]
    counters: dict[str, Any] = dict(loop["counters"] or {})
    skipped = counters.pop("skipped", None) or {}
    told = {_COUNTERS.get(name, name): value for name, value in counters.items()} | {f"skipped, {why}": n for why, n in skipped.items()}
    published = loop["publishedModelVersion"]
    out.print(
        facts(
            loop=loop["name"],
            learning_mode=loop["learningMode"],
            reward_wait_time=loop["rewardWaitTime"],
            model=published or "none yet",
            the_model_knows=None if loop.get("publishedModelLearned") is None else counted(loop["publishedModelLearned"], "event"),
            imported=counted(loop["importedEvents"], "event") if loop.get("importedEvents") else None,
            served=None if loop["modelVersion"] == published else loop["modelVersion"] or "none yet",
            learned_up_to=moment(loop["watermark"]) or None,
            lag_in_seconds=None if loop["lagSeconds"] is None else round(loop["lagSeconds"], 1),
            **told,
            **_uploads(loop.get("uploads")),
            error=loop["error"] or (None if found["apiStatus"] == _WELL else found["apiStatusMessage"]),
        ),
        markup=False,
    )
    for each in loop["advice"] or ():
        out.print(f"\n{each['message']}", markup=False)


def _uploads(found: dict[str, Any] | None) -> dict[str, int]:
    """Tell of decisions that clients made by themselves, if any were sent to the process that answers."""
    if found is None:
        return {}
    return {"verified": found["stored"]} | {f"refused, {code}": count for code, count in found["refused"].items()}
