"""``python -m cli models``: a loop's models, listed, gone back to, taken away and brought back."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import options, previews
from cli.output import console, escape, facts, print_json, table
from cli.service import Service
from shared.api.model import MOST_MOVED

app = typer.Typer(help="A loop's models: list them, go back to one, export, import or delete the published one.", no_args_is_help=True)


@app.command("list")
def list_(
    loop: options.Loop = options.THE_LOOP, endpoint: options.Endpoint = "", key: options.Key = "", as_json: options.Json = False
) -> None:
    """List the versions that are kept, newest first."""
    found = Service.of_loop(endpoint, key, loop).ask("GET", "model/versions")["value"]
    if as_json:
        print_json(found)
        return
    listed = table("model", "kind", "published", "events learned", "", right=["events learned"])
    for each in found:
        served = "published" if each["isServed"] else ""
        listed.add_row(each["version"], each["kind"], each.get("publishedAt") or "", f"{each['learned']:,}", served)
    console().print(listed)


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="FROM", help="A version that `models list` shows.")],
    after: Annotated[str, typer.Argument(metavar="TO", help="Another one.")],
    top: Annotated[int, typer.Option("--top", min=1, max=MOST_MOVED, help="How many features.")] = 20,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Put two versions side by side: what each feature adds to the estimates of what was shown, by the one and by the other."""
    found = Service.of_loop(endpoint, key, loop).beside("models/compare", query={"from": before, "to": after, "top": str(top)})
    if as_json:
        print_json(found)
        return
    out = console()
    versions = table("model", "kind", "published", "events learned", right=["events learned"])
    for each in (found["from"], found["to"]):
        versions.add_row(each["version"], each["kind"], each.get("publishedAt") or "", f"{each['learned']:,}")
    out.print(versions)
    moved = table("feature", "before", "after", "change", "events", right=["before", "after", "change", "events"])
    for each in found["moved"]:
        change = each["after"] - each["before"]
        moved.add_row(escape(each["name"]), f"{each['before']:+.4f}", f"{each['after']:+.4f}", f"{change:+.4f}", f"{each['events']:,}")
    out.print(moved)
    out.print(f"By the newest {found['events']:,} events that were learned.", markup=False)


@app.command()
def restore(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version that `models list` shows.")],
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Go back to a version: a copy of it is published, and learns from there."""
    made = Service.of_loop(endpoint, key, loop).ask("POST", f"model/versions/{quote(version, safe='')}/restore")
    _print_version(made, as_json=as_json)


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write: a zip, which `models import` reads.")],
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Write the published model, signed, into a file, which appears whole or not at all."""
    service = Service.of_loop(endpoint, key, loop)
    content = service.content("model", query={"signed": "true"})
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(file)
    if as_json:
        print_json({"file": str(file), "bytes": len(content)})
    else:
        known = previews.known(service)
        print(f"The model is in {file} ({len(content):,} bytes)." + ("" if known else " It knows no event yet."))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `models export` wrote.")],
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Publish the model of a file whose signer the service trusts; doing so again changes nothing."""
    service = Service.of_loop(endpoint, key, loop)
    service.ask("PUT", "model", file.read_bytes())
    made = next((each for each in service.ask("GET", "model/versions")["value"] if each["isServed"]), None)
    if made is not None:
        _print_version(made, as_json=as_json)


@app.command()
def reset(
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Begin without a model; the log stays, and the versions that are kept can be gone back to."""
    service = Service.of_loop(endpoint, key, loop)
    if not is_sure:
        known = previews.known(service)
        typer.confirm(
            f"Begin without a model in the loop {loop}? The present one knows {known:,} events, the next 0.", abort=True, err=True
        )
    service.ask("DELETE", "model")
    if as_json:
        print_json({"reset": loop})
    else:
        print(f"The loop {loop} begins without a model.")


def _print_version(version: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(version)
        return
    shown = facts(
        model=version["version"],
        kind=version["kind"],
        of=version.get("parent"),
        published=version.get("publishedAt"),
        events_learned=version["learned"],
    )
    console().print(shown, markup=False)
