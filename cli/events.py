"""``python -m cli events``: the latest events, and what became of one."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import options
from cli.output import console, escape, facts, moment, print_json, table
from cli.service import Service
from shared.api.events import MOST

app = typer.Typer(help="Look up an event of a loop, or list the latest ones.", no_args_is_help=True)


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
    """Show the decisions and rewards of an event, and their results."""
    query = {} if around is None else {"around": around.isoformat()}
    found = Service.of_loop(endpoint, key, loop).ask("GET", f"events/{quote(event, safe='')}", query=query)
    if as_json:
        print_json(found)
    else:
        _print(found)


@app.command("list")
def list_(
    action: Annotated[str, typer.Option("--action", metavar="ID", help="Only events that showed this action.")] = "",
    rewarded: Annotated[bool | None, typer.Option("--rewarded/--not-rewarded", help="Only events with, or without, a reward.")] = None,
    late: Annotated[bool | None, typer.Option("--late/--not-late", help="Only events with, or without, a late reward.")] = None,
    explored: Annotated[
        bool | None,
        typer.Option("--explored/--not-explored", help="Only events where chance chose, or those that showed the likeliest action."),
    ] = None,
    since: Annotated[datetime | None, options.time_option("--since", "Only events that were ranked from then on.")] = None,
    until: Annotated[datetime | None, options.time_option("--until", "Only events that were ranked before.")] = None,
    top: Annotated[int, typer.Option("--top", min=1, max=MOST, help="How many events.")] = 20,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """List the latest events, newest first, and how rewards and their delays are spread."""
    flags = {"rewarded": rewarded, "late": late, "explored": explored}
    times = {"since": since, "until": until}
    query = {
        "top": str(top),
        **({"action": action} if action else {}),
        **{name: str(value).lower() for name, value in flags.items() if value is not None},
        **{name: value.isoformat() for name, value in times.items() if value is not None},
    }
    found = Service.of_loop(endpoint, key, loop).beside("events", query=query)
    if as_json:
        print_json(found)
    else:
        _print_list(found)


def _print_list(found: dict[str, Any]) -> None:
    out = console()
    listed = table(
        "ranked", "event", "shown", "probability", "fate", "reward", "rewards", "late", right=["probability", "reward", "rewards", "late"]
    )
    for each in found["value"]:
        reward = "" if each["reward"] is None else f"{each['reward']:g}"
        mark = " (explored)" if each["isExplored"] else ""
        listed.add_row(
            moment(each["rankedAt"]),
            escape(each["eventId"]),
            escape(each["rewardActionId"]),
            f"{each['probability']:.3g}{mark}",
            each["fate"],
            reward,
            str(each["rewards"]),
            str(each["lateRewards"]),
        )
    out.print(listed)
    looked = found["lookedAt"]
    more = "; there are more, which were not looked at" if looked["isCut"] else ""
    out.print(f"{looked['events']:,} events were looked at{more}.", markup=False)
    for title, name in (("reward", "rewards"), ("seconds to the first reward", "delays")):
        if not found[name]:
            continue
        spread = table(title, "events", right=["events"])
        for each in found[name]:
            high = "more" if each["high"] is None else f"{each['high']:g}"
            spread.add_row(f"{each['low']:g}" if each["low"] == each["high"] else f"{each['low']:g} to {high}", f"{each['count']:,}")
        out.print(spread)


def _print(receipt: dict[str, Any]) -> None:
    out = console()
    for decision in receipt["decisions"]:
        reward = decision.get("reward")
        by_default = " (the default reward)" if decision.get("defaultRewardUsed") else ""
        out.print(
            facts(
                ranked_at=moment(decision["rankedAt"]),
                slot=decision.get("slotId"),
                chosen=decision["rewardActionId"],
                probability=f"{decision['probability']:.4g}",
                model=decision.get("modelVersion") or "none yet",
                learning_mode=decision["learningMode"],
                held_out={None: None, True: "yes: your own choice was shown", False: "no"}[decision.get("isHeldOut")],
                activated_at=moment(decision.get("activatedAt")) or None,
                fate=decision["fate"],
                reason=decision.get("reason"),
                waits_until=moment(decision.get("pendingUntil")) or None,
                learned_in=decision.get("learnedIn"),
                reward=None if reward is None else f"{reward:g}{by_default}",
            ),
            markup=False,
        )
        _print_actions(decision.get("actions") or [])
        _print_rewards(decision["rewards"])
    _print_rewards(receipt["rewards"])


def _print_actions(actions: list[dict[str, Any]]) -> None:
    """Print what could be shown, the likeliest first, with the reasons that the model had."""
    if not actions:
        return
    listed = table("action", "probability", "score", "why", "", right=["probability", "score"])
    for each in sorted(actions, key=lambda action: -float(action["probability"])):
        why = ", ".join(f"{part['name']} {part['score']:+.3f}" for part in (each.get("reasons") or [])[:3])
        score = "" if each.get("score") is None else f"{each['score']:.4f}"
        listed.add_row(escape(each["id"]), f"{each['probability']:.4g}", score, escape(why), "shown" if each["isChosen"] else "")
    console().print(listed)


def _print_rewards(rewards: list[dict[str, Any]]) -> None:
    if not rewards:
        return
    listed = table("reward", "observed", "slot", "outcome", "reason", right=["reward"])
    for each in rewards:
        listed.add_row(
            f"{each['value']:g}", moment(each["observedAt"]), each.get("slotId") or "", each["outcome"], each.get("reason") or ""
        )
    console().print(listed, markup=False)
