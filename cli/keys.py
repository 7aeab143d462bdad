"""``python -m cli keys``: a loop's keys."""

from typing import Annotated
from urllib.parse import quote

import typer

from cli import options
from cli.output import console, facts, print_json
from cli.service import Service
from cli.storage import run, stored_loop
from shared.domain.loop import DEFAULT_LOOP

app = typer.Typer(help="A loop's two keys: which there are, and new ones in their place.", no_args_is_help=True)


@app.command("list")
def list_(loop: options.Loop = options.THE_LOOP, storage: options.Storage = "", as_json: options.Json = False) -> None:
    """Show the digests (SHA-256) of a loop's keys, from its storage: enough to tell which key is which, and of no other use."""
    digests, are_stored = run(_digests(loop, storage))
    source = "stored" if are_stored else "app settings"
    if as_json:
        print_json([{"number": number, "digest": digest, "source": source} for number, digest in enumerate(digests, start=1)])
        return
    if not digests:
        print(f"No key of the loop {loop} is known here: the app's own are in its settings (PERSONALIZER_KEYS).")
        return
    console().print(facts(loop=loop, **{f"key {number}, {source}": digest for number, digest in enumerate(digests, start=1)}))


async def _digests(loop: str, storage: str) -> tuple[list[str], bool]:
    async with stored_loop(loop, storage) as opened:
        return list(opened.services.key_digests), bool(opened.services.record.keys) or loop != DEFAULT_LOOP


@app.command()
def regenerate(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, max=2, help="Which of the two: 1 or 2.")],
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = options.DEFAULT_ENDPOINT,
    admin_key: options.AdminKey = "",
    as_json: options.Json = False,
) -> None:
    """Make a new first or second key in place of the old one, and print it, this once; the old one is refused from then on."""
    made = Service(endpoint, admin_key).root("POST", f"loops/{quote(loop, safe='')}/keys/{number}/regenerate")
    if as_json:
        print_json(made)
    else:
        print(made["key"])
