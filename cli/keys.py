"""``python -m cli keys``: a loop's keys."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import typer

from cli import options
from cli.output import console, facts, print_json
from cli.service import Service
from cli.storage import run, stored_loop
from shared.domain.loop import DEFAULT_LOOP

app = typer.Typer(help="A loop's keys: list them, and replace them.", no_args_is_help=True)


class Which(StrEnum):
    """The keys of a loop."""

    ONE = "1"
    TWO = "2"
    CLIENT = "client"


@app.command("list")
def list_(loop: options.Loop = options.THE_LOOP, storage: options.Storage = "", as_json: options.Json = False) -> None:
    """Show the digests (SHA-256) of a loop's keys, from its storage: enough to tell which key is which, and of no other use."""
    found = run(_digests(loop, storage))
    if as_json:
        print_json(found)
        return
    if not found:
        print(f"No key of the loop {loop} is stored: it uses those of the app (PERSONALIZER_KEYS; after `make run`, .local/keys).")
        return
    console().print(facts(loop=loop, **{f"key {each['number']}, {each['source']}": str(each["digest"]) for each in found}))


async def _digests(loop: str, storage: str) -> list[dict[str, int | str]]:
    async with stored_loop(loop, storage) as opened:
        services = opened.services
        own = "stored" if services.record.keys or loop != DEFAULT_LOOP else "app settings"
        of_client = "stored" if services.record.client_keys or loop != DEFAULT_LOOP else "app settings"
        keys: list[dict[str, int | str]] = [
            {"number": number, "digest": digest, "source": own} for number, digest in enumerate(services.key_digests, start=1)
        ]
        return keys + [{"number": "client", "digest": digest, "source": of_client} for digest in services.client_digests]


@app.command()
def regenerate(
    which: Annotated[Which, typer.Argument(metavar="NUMBER", help="The key to replace: 1, 2 or client.")],
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    admin_key: options.AdminKey = "",
    as_json: options.Json = False,
) -> None:
    """Make a new first, second or client key in place of the old one, and print it, this once; the old one is refused from then on."""
    made = Service.of_deployment(endpoint, admin_key).root("POST", f"loops/{quote(loop, safe='')}/keys/{which.value}/regenerate")
    if as_json:
        print_json(made)
    else:
        print(made["key"])
