"""``python -m cli events``: what became of an event."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import options
from cli.output import console, facts, print_json, table
from cli.service import Service

app = typer.Typer(help="Look up an event of a loop.", no_args_is_help=True)


@app.callback()
def events() -> None:
    """Keep the name of the only command."""


@app.command()
def show(
    event: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The event's id.")],
    around: Annotated[
        datetime | None, options.time_option("--around", "About when it was ranked. Only the hour before and after is searched.")
    ] = None,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Show the decisions and rewards of an event, and what became of them."""
    query = {} if around is None else {"around": around.isoformat()}
    found = Service.of_loop(endpoint, key, loop).ask("GET", f"events/{quote(event, safe='')}", query=query)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(receipt: dict[str, Any]) -> None:
    out = console()
    for decision in receipt["decisions"]:
        reward = decision.get("reward")
        by_default = " (the default reward)" if decision.get("defaultRewardUsed") else ""
        out.print(
            facts(
                ranked_at=decision["rankedAt"],
                slot=decision.get("slotId"),
                chosen=decision["rewardActionId"],
                probability=f"{decision['probability']:.4g}",
                model=decision.get("modelVersion") or "none yet",
                learning_mode=decision["learningMode"],
                activated_at=decision.get("activatedAt"),
                fate=decision["fate"],
                reason=decision.get("reason"),
                waits_until=decision.get("pendingUntil"),
                learned_in=decision.get("learnedIn"),
                reward=None if reward is None else f"{reward:g}{by_default}",
            ),
            markup=False,
        )
        _print_rewards(decision["rewards"])
    _print_rewards(receipt["rewards"])


def _print_rewards(rewards: list[dict[str, Any]]) -> None:
    if not rewards:
        return
    listed = table("reward", "observed", "slot", "outcome", "reason", right=["reward"])
    for each in rewards:
        listed.add_row(f"{each['value']:g}", each["observedAt"], each.get("slotId") or "", each["outcome"], each.get("reason") or "")
    console().print(listed, markup=False)
