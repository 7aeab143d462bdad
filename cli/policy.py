"""``python -m cli policy``: how a loop explores and learns."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import options, previews
from cli.gate import read_rules
from cli.output import console, effects, facts, print_json
from cli.service import Service
from shared.domain.errors import GateNotPassedError
from shared.domain.gates import KEPT

app = typer.Typer(
    help="A loop's learning policy: read it, replace it, go back to the app's own, apply one of an evaluation.", no_args_is_help=True
)

_PATH = "configurations/policy"
_WHOLE = {"startTime": "0001-01-01T00:00:00Z", "endTime": "9999-12-31T23:59:59Z", "intervalInMinutes": "1440", "window": "Rolling"}


@app.command()
def get(
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Print the policy in force."""
    _print(Service.of_loop(endpoint, key, loop).ask("GET", _PATH), as_json=as_json)


@app.command("set")
def set_(
    policy: Annotated[
        str, typer.Argument(metavar="NAME=ARGUMENTS", help="In Vowpal Wabbit's syntax, such as 'square=--cb_explore_adf --squarecb'.")
    ],
    is_sure: previews.IsSure = False,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Replace the policy."""
    read = options.read_policy(policy)
    body = {"name": read.name, "arguments": read.arguments}
    service = Service.of_loop(endpoint, key, loop)
    previews.say(service, is_sure=is_sure, policy=body)
    _print(service.ask("PUT", _PATH, body), as_json=as_json)


@app.command()
def reset(
    is_sure: previews.IsSure = False,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Go back to the app's own policy."""
    service = Service.of_loop(endpoint, key, loop)
    previews.say(service, is_sure=is_sure, resetsPolicy=True)
    _print(service.ask("DELETE", _PATH), as_json=as_json)


@app.command()
def apply(
    evaluation: Annotated[str, typer.Argument(metavar="EVALUATION", help="The evaluation's id.")],
    name: Annotated[str, typer.Argument(metavar="POLICY", help="One of its policies, or online for the policy that the loop had then.")],
    gate: Annotated[
        str | None,
        typer.Option(
            "--gate",
            metavar="RULES|FILE",
            help="Exit with 1 and change nothing unless it keeps the rules: 'lift>0, events>=1000, weight<=50', or a JSON file with more.",
        ),
    ] = None,
    is_sure: previews.IsSure = False,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Make a policy of an evaluation the loop's own, if it passes the gate that you give."""
    rules = {} if gate is None else {"gate": read_rules(gate).model_dump(by_alias=True, exclude_none=True)}
    service = Service.of_loop(endpoint, key, loop)
    found = service.ask("GET", f"evaluations/{quote(evaluation, safe='')}", query=_WHOLE)["content"]["value"]
    arguments = next((each["arguments"] for each in found if each["name"] == name and each.get("arguments")), None)
    if arguments is not None:  # or else the service says that there is no such policy
        previews.say(service, is_sure=is_sure, policy={"name": name, "arguments": arguments})
    try:
        service.ask("POST", "configurations/applyFromEvaluation", {"evaluationId": evaluation, "policyName": name} | rules)
    except GateNotPassedError as error:
        _print_refusal(name, error, as_json=as_json)
        raise typer.Exit(1) from error
    _print(service.ask("GET", _PATH), as_json=as_json)


def _print_refusal(name: str, error: GateNotPassedError, *, as_json: bool) -> None:
    if as_json:
        checks = [{"isKept": code == KEPT, "message": text} for code, text in error.checks]
        print_json({"gate": [{"policyName": name, "isPassed": False, "checks": checks}]})
    else:
        console().print(str(error), markup=False)


def _print(policy: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(policy)
    else:
        console().print(facts(**policy, note=effects(policy["arguments"])), markup=False)
