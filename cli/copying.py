"""``python -m cli copy``: a whole deployment from one storage to another."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli import options
from cli.output import console, escape, facts, print_json, spinner
from cli.places import Place, opened, read_place
from cli.storage import run
from shared.domain.errors import SettingsError
from shared.storage.copying.copying import Copier
from shared.storage.copying.counts import Copied
from shared.storage.settings import FolderSettings

_MOST_FOREIGN = 5
_CLOCKS_DIFFER = 1.0


def copy(
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="PLACE", help="The source: a connection string, the address of an account's Blob service, or a folder."
        ),
    ] = "",
    target: Annotated[
        str, typer.Option("--to", metavar="PLACE", help="The target, in the same form: an empty place, or an earlier copy.")
    ] = "",
    is_thorough: Annotated[
        bool, typer.Option("--check", help="Compare every file with its copy, byte by byte, whatever earlier runs have found.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Copy a whole deployment from one storage to another: loops, keys, logs, models, evaluations. --from or --to may be left out: the
    storage of the app's settings in the environment.

    It can be stopped at any time, and run again: it does what is left. Run it while the service works, stop the service, run it once more,
    and start the service at the new place. A place that holds anything else is refused.
    """  # noqa: D205
    if not source and not target:
        raise typer.BadParameter("give --from or --to, or both")
    done, (here, there) = run(_copy(source, target, is_thorough=is_thorough))
    if as_json:
        print_json(document(done, here, there))
    else:
        tell(done, here, there)
        console().print(_how_to_go_on(target, there), markup=False)


async def _copy(source: str, target: str, *, is_thorough: bool) -> tuple[Copied, tuple[str, str]]:
    async with opened(read_place(source), to_write=False) as here, opened(read_place(target), to_write=True) as there:
        return await copied(here, there, is_thorough=is_thorough), (here.name, there.name)


async def copied(here: Place, there: Place, *, is_thorough: bool = False) -> Copied:
    """Copy one place to another, and show how far it is."""
    if here.id == there.id:
        raise SettingsError(f"both places are the same: {here.name}")
    with spinner("Copying") as show:
        copier = Copier(here.storage, there.storage, source_id=here.id, is_thorough=is_thorough, told=lambda done: show(_progress(done)))
        return await copier.run()


def _progress(done: Copied) -> str:
    return f"Copying: {done.files + done.replaced:,} files, {done.bytes / 1e6:,.0f} MB, {done.rows:,} rows"


def document(done: Copied, here: str, there: str) -> dict[str, Any]:
    """Give what was done as JSON has it."""
    told = asdict(done)
    return {
        "from": here,
        "to": there,
        "isNothingNew": done.is_nothing_new,
        "files": {"copied": told["files"], "replaced": told["replaced"], "removed": told["removed"], "bytes": told["bytes"]},
        "rows": {"copied": told["rows"], "tablesDropped": told["dropped"]},
        "equal": {"files": told["all_files"], "rows": told["all_rows"]},
        "leftOut": list(done.foreign),
        "clockBehindSeconds": round(done.behind, 3),
    }


def tell(done: Copied, here: str, there: str) -> None:
    """Print what was done."""
    out = console()
    out.print(
        facts(
            **{
                "from": escape(here),
                "to": escape(there),
                "files copied": done.files,
                "files replaced": done.replaced,
                "files removed": done.removed or None,
                "bytes of files": done.bytes,
                "rows copied": done.rows,
                "tables dropped": done.dropped or None,
                "files there now": done.all_files,
                "rows there now": done.all_rows,
            }
        )
    )
    for name in list(done.foreign)[:_MOST_FOREIGN]:
        out.print(f"Left out, since no service wrote it: the row {name}", markup=False)
    if done.behind > _CLOCKS_DIFFER:
        out.print(
            f"The clock of the target is {done.behind:.1f} s behind the source's: start the service there only when it has caught up,"
            " or its new events count as older than the learned ones."
        )
    if done.is_nothing_new:
        out.print("Nothing was new: both were equal already.")


def _how_to_go_on(text: str, name: str) -> str:
    settings = read_place(text)
    setting = f"PERSONALIZER_STORE={name}" if isinstance(settings, FolderSettings) else "PERSONALIZER_STORAGE, which names that account,"
    return (
        "The changes that the service made meanwhile are not in it: stop the service, run this once more, and start the service with"
        f" {setting} and the other settings as they were."
    )
