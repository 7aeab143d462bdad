"""``python -m cli import``: a log of Personalizer or Vowpal Wabbit into a loop's joined log, and its model warmed up by it."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated

import typer

from cli import options
from cli.output import bytes_progress, console, facts, malformed_lines, print_json
from cli.sources import log_files
from cli.storage import run, stored_loop
from shared.services.importing import Imported, Importer


def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Files, folders, addresses of containers (https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX?SAS) or az://CONTAINER/PREFIX"
            " for one of the app's own account. Gzip or not, mixed.",
        ),
    ],
    loop: options.Loop = options.THE_LOOP,
    connection_string: options.ConnectionString = "",
    as_json: options.Json = False,
) -> None:
    """Take a dsjson log of Azure Personalizer or Vowpal Wabbit into a loop's joined log, and have the loop's model learn from it.

    The loop must not have learned from events of its own yet. Lines that cannot be read are counted and listed, and stop nothing. Stopped
    half-way, run it again: what is there already is left out.
    """
    done, days = run(_import(sources, loop, connection_string))
    if as_json:
        print_json(
            {
                **{key: value for key, value in asdict(done).items() if key != "read"},
                **asdict(done.read),
                "events": done.events,
                "expiresAfterDays": days,
            }
        )
    else:
        _print(done, loop, days)
    raise typer.Exit(1 if done.read.malformed and not done.events and not done.repeated else 0)


async def _import(sources: list[str], loop: str, connection_string: str) -> tuple[Imported, int | None]:
    async with stored_loop(loop, connection_string) as opened, AsyncExitStack() as stack:
        services = opened.services
        files = await log_files(sources, connection_string, stack)
        importer = Importer(services.log, opened.joined, services.store, services.configuration, clock=opened.clock)
        with bytes_progress(f"Importing {len(files)} files", sum(file.size for file in files)) as progress:

            def tell(done: Imported) -> None:
                counted = f"{done.events:,} events" + (f", {done.read.malformed:,} lines could not be read" if done.read.malformed else "")
                progress.update(progress.task_ids[0], completed=done.read.bytes, description=counted)

            done = await importer.run(files, tell=tell)
        settings = await asyncio.to_thread(services.configuration.read)
        return done, _days_left(done, settings.log_retention_days, opened.clock.now())


def _days_left(done: Imported, days: int, now: datetime) -> int | None:
    """Give the days that the log is kept if some of what was imported is older than that, and will be deleted soon."""
    return days if days >= 0 and done.since is not None and done.since < now - timedelta(days=days) else None


def _print(done: Imported, loop: str, days: int | None) -> None:
    out = console()
    out.print(f"{done.events:,} events of {done.read.lines:,} lines are new in the joined log of the loop {loop}.")
    out.print(
        facts(
            learned=done.learned,
            kept_without_learning=done.skipped or None,
            there_already=done.repeated or None,
            thinned_by_pdrop=done.read.thinned or None,
            could_not_be_read=done.read.malformed or None,
            model=done.version or None,
            since=done.since,
            until=done.until,
        )
    )
    if done.read.told:
        out.print(malformed_lines(done.read))
    if days is not None:
        out.print(
            f"The log of this loop is kept for {days} days (logRetentionDays): what is older is deleted within the hour, the model stays."
        )
    if done.read.thinned:
        out.print("Thinned events stand for more than themselves (pdrop); each was learned once.")
