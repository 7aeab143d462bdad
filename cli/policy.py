"""``python -m cli policy``: how a loop explores and learns."""

from typing import Annotated, Any

import typer

from cli import options
from cli.output import console, effects, facts, print_json
from cli.service import Service

app = typer.Typer(
    help="A loop's learning policy: read it, replace it, go back to the app's own, apply one of an evaluation.", no_args_is_help=True
)

_PATH = "configurations/policy"


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
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Replace the policy."""
    read = options.read_policy(policy)
    body = {"name": read.name, "arguments": read.arguments}
    _print(Service.of_loop(endpoint, key, loop).ask("PUT", _PATH, body), as_json=as_json)


@app.command()
def reset(
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Go back to the app's own policy."""
    _print(Service.of_loop(endpoint, key, loop).ask("DELETE", _PATH), as_json=as_json)


@app.command()
def apply(
    evaluation: Annotated[str, typer.Argument(metavar="EVALUATION", help="The evaluation's id.")],
    name: Annotated[str, typer.Argument(metavar="POLICY", help="One of its policies, or online for the one that the loop had then.")],
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Make a policy of an evaluation the loop's own."""
    service = Service.of_loop(endpoint, key, loop)
    service.ask("POST", "configurations/applyFromEvaluation", {"evaluationId": evaluation, "policyName": name})
    _print(service.ask("GET", _PATH), as_json=as_json)


def _print(policy: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(policy)
    else:
        console().print(facts(**policy, note=effects(policy["arguments"])), markup=False)
