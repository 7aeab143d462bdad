"""``python -m cli models``: a loop's models, listed, gone back to, taken away and brought back."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import options, previews
from cli.output import check_folder, console, escape, facts, moment, print_json, print_table, table
from cli.service import Service
from shared.api.model import MOST_MOVED
from shared.domain.words import counted

app = typer.Typer(help="A loop's models: list them, go back to one, export, import or delete the published one.", no_args_is_help=True)


@app.command("list")
def list_(
    loop: options.Loop = options.THE_LOOP, endpoint: options.Endpoint = "", key: options.Key = "", as_json: options.Json = False
) -> None:
    """List the versions that are kept, newest first."""
    found = _versions(Service.of_loop(endpoint, key, loop))
    if as_json:
        print_json(found)
        return
    listed = table("model", "kind", "published", "events learned", "", right=["events learned"])
    for each in found:
        served = "published" if each["isServed"] else ""
        listed.add_row(each["version"], each["kind"], moment(each.get("publishedAt")), f"{each['learned']:,}", served)
    print_table(listed, nothing="There is no model yet. `status` shows how far the loop is.")


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
        versions.add_row(each["version"], each["kind"], moment(each.get("publishedAt")), f"{each['learned']:,}")
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
    is_sure: previews.IsSure = False,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Go back to a version: a copy of it is published, and learns from there. What the present model knows more is said first."""
    service = Service.of_loop(endpoint, key, loop)
    kept = {each["version"]: each for each in _versions(service)}
    wanted, served = kept.get(version), _served(kept.values())
    if wanted is not None and served is not None and wanted["learned"] < served["learned"]:
        said = f"{version} knows {counted(wanted['learned'], 'event')}, the present model {served['learned']:,}."
        print(f"{said} The later events are not in it. {_way_back(served)}", file=sys.stderr)
        previews.ask(is_sure=is_sure)
    made = service.ask("POST", f"model/versions/{quote(version, safe='')}/restore")
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
    check_folder(file)
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
    is_sure: previews.IsSure = False,
    loop: options.Loop = options.THE_LOOP,
    endpoint: options.Endpoint = "",
    key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Publish the model of a file whose signer the service trusts; doing so again changes nothing."""
    service, content = Service.of_loop(endpoint, key, loop), file.read_bytes()
    served = _served(_versions(service))
    if served is not None and served["learned"]:
        said = f"The model in {file} takes the place of the present one, which knows {counted(served['learned'], 'event')}."
        print(f"{said} {_way_back(served)}", file=sys.stderr)
        previews.ask(is_sure=is_sure)
    service.ask("PUT", "model", content)
    made = _served(_versions(service))
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
        knows = f"The present one knows {counted(known, 'event')}, the next one 0."
        typer.confirm(f"Begin without a model in the loop {loop}? {knows}", abort=True, err=True)
    service.ask("DELETE", "model")
    if as_json:
        print_json({"reset": loop})
    else:
        print(f"The loop {loop} begins without a model.")


def _versions(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.ask("GET", "model/versions")["value"]
    return found


def _served(versions: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    return next((each for each in versions if each["isServed"]), None)


def _way_back(served: dict[str, Any]) -> str:
    return f"To undo this while that version is kept: python -m cli models restore {served['version']}"


def _print_version(version: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(version)
        return
    shown = facts(
        model=version["version"],
        kind=version["kind"],
        of=version.get("parent"),
        published=moment(version.get("publishedAt")) or None,
        events_learned=version["learned"],
    )
    console().print(shown, markup=False)
