"""The options that several commands have."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from shared.domain.loop import DEFAULT_LOOP, LearningPolicy
from shared.joining.foreign.terms import Assumed

_STORAGE = "Storage"
_SERVICE = "Service"

Loop = Annotated[str, typer.Option("--loop", metavar="NAME", help="The loop.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Storage = Annotated[
    str,
    typer.Option(
        "--storage",
        "--connection-string",
        metavar="PLACE",
        rich_help_panel=_STORAGE,
        help="The storage: the folder of a store, a connection string, or the address of an account's Blob service; without it,"
        " that of the app's settings in the environment (PERSONALIZER_STORE, PERSONALIZER_STORAGE, AzureWebJobsStorage), or else of the"
        " service of this machine.",
    ),
]
Endpoint = Annotated[
    str,
    typer.Option(
        "--endpoint",
        metavar="URL",
        envvar="PERSONALIZER_ENDPOINT",
        rich_help_panel=_SERVICE,
        help="Address of the service; the one of this machine if left out.",
    ),
]
Key = Annotated[str, typer.Option("--key", metavar="KEY", envvar="PERSONALIZER_KEY", rich_help_panel=_SERVICE, help="A key of the loop.")]
AdminKey = Annotated[
    str,
    typer.Option("--admin-key", metavar="KEY", envvar="PERSONALIZER_ADMIN_KEY", rich_help_panel=_SERVICE, help="The administrator's key."),
]

THE_LOOP = DEFAULT_LOOP


def read_time(text: str) -> datetime:
    """Read a date or time in ISO 8601; without a zone it is UTC.

    >>> read_time("2026-05-17").isoformat(), read_time("2026-05-17T10:00+02:00").isoformat()
    ('2026-05-17T00:00:00+00:00', '2026-05-17T08:00:00+00:00')
    """
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as cause:
        raise typer.BadParameter(f"{text!r} is no date or time such as 2026-05-17 or 2026-05-17T12:00:00Z") from cause


def read_policy(text: str) -> LearningPolicy:
    """Read a policy with its name; whoever takes it checks its arguments.

    >>> read_policy("square=--cb_explore_adf --squarecb").arguments
    '--cb_explore_adf --squarecb'
    """
    name, equals, arguments = text.partition("=")
    if not equals or not name or name.startswith("-"):
        raise typer.BadParameter(f"{text!r} is not of the form NAME=ARGUMENTS")
    return LearningPolicy(name, arguments)


def read_probability(text: str) -> Assumed:
    """Read what is to be assumed of probabilities that a log does not tell.

    >>> read_probability("uniform"), read_probability("0.25")
    (Assumed(probability=None), Assumed(probability=0.25))
    """
    if text.strip().lower() == "uniform":
        return Assumed()
    try:
        probability = float(text)
    except ValueError:
        probability = 0.0
    if not 0.0 < probability <= 1.0:
        raise typer.BadParameter(f"{text!r} is neither uniform nor a probability, which is above 0 and at most 1")
    return Assumed(probability)


Probability = Annotated[
    Assumed | None,
    typer.Option(
        "--probability",
        metavar="uniform|VALUE",
        parser=read_probability,
        help="For lines without probabilities: the probability of the logged action, or `uniform` if all actions had the same.",
    ),
]


def time_option(name: str, what: str) -> Any:
    """Give an option that takes a time."""
    return typer.Option(name, metavar="TIME", parser=read_time, help=what)


Since = Annotated[datetime | None, time_option("--since", "Only events decided at this time or later (ISO 8601, UTC).")]
Until = Annotated[datetime | None, time_option("--until", "Only events decided before this time.")]
