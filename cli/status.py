"""``python -m cli status``: how far a loop of the running service has come, and what keeps it from learning."""

from typing import Any

import typer

from cli import options
from cli.output import console, facts, print_json
from cli.service import Service
from shared.domain.words import counted

_COUNTERS = {"lateRewards": "late rewards", "unknownRewards": "unknown rewards", "forgottenRewards": "forgotten rewards"}


def status(
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Tell how far the loop has come, and what keeps it from learning; exit code 1 if something does."""
    found = Service.of_loop(endpoint, key, loop).ask("GET", "status")
    if as_json:
        print_json(found)
    else:
        _print(found["loop"])
    if found["loop"]["error"] or found["loop"]["advice"]:
        raise typer.Exit(1)


def _print(loop: dict[str, Any]) -> None:
    out = console()
    counters: dict[str, Any] = dict(loop["counters"])
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
            learned_up_to=loop["watermark"],
            lag_in_seconds=None if loop["lagSeconds"] is None else round(loop["lagSeconds"], 1),
            **told,
            error=loop["error"],
        ),
        markup=False,
    )
    for each in loop["advice"] or ():
        out.print(f"\n{each['message']}", markup=False)
