"""``python -m cli import``: a log of Personalizer or Vowpal Wabbit into a loop's joined log, and its model warmed up by it."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Annotated

import typer

from cli import options
from cli.output import apprentice_figures, bytes_progress, console, facts, imitation, print_json, what_was_read
from cli.sources import log_files
from cli.storage import run, stored_loop
from shared.domain.events import LearningMode
from shared.joining.foreign.terms import Terms
from shared.services.importing.importer import Imported, Importer


def _read_mode(text: str) -> LearningMode:
    if text.strip().lower() != LearningMode.LOGGING_ONLY.lower():
        raise typer.BadParameter(
            f"{text!r}: a whole log can be taken to be of the mode LoggingOnly only; other modes are told by its lines"
        )
    return LearningMode.LOGGING_ONLY


def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Files, folders, addresses of containers (https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX?SAS) or az://CONTAINER/PREFIX"
            " for one of the app's own account. Gzip or not, mixed.",
        ),
    ],
    probability: options.Probability = None,
    mode: Annotated[
        LearningMode | None,
        typer.Option("--mode", metavar="LoggingOnly", parser=_read_mode, help="Keep all events and learn none, whatever the lines say."),
    ] = None,
    loop: options.Loop = options.THE_LOOP,
    storage: options.Storage = "",
    as_json: options.Json = False,
) -> None:
    """Take a log of Azure Personalizer or Vowpal Wabbit (dsjson, binary) into a loop's joined log, and have the loop's model learn from it.

    The loop must not have learned from events of its own yet. Lines that cannot be read are counted and listed, and stop nothing. Stopped
    half-way, run it again: what is there already is left out.
    """
    done = run(import_logs(sources, Terms(assumed=probability, is_logging_only=mode is not None), loop, storage))
    if as_json:
        told = {name: value for name, value in asdict(done).items() if name not in ("read", "apprentice")}
        print_json({**told, **asdict(done.read), "events": done.events, "imitation": imitation(done.apprentice)})
    else:
        _print(done, loop)
    is_nothing = not done.events and not done.repeated
    raise typer.Exit(1 if is_nothing and (done.read.malformed or done.read.passed_over) else 0)


async def import_logs(sources: Sequence[str], terms: Terms, loop: str, storage: str) -> Imported:
    """Take logs into a loop in storage; progress is shown. Raises as `Importer.run` and `log_files`."""
    async with stored_loop(loop, storage) as opened, AsyncExitStack() as stack:
        services = opened.services
        files = await log_files(sources, storage, stack)
        importer = Importer(services.log, opened.joined, services.store, services.configuration, clock=opened.clock)
        with bytes_progress(f"Importing {len(files)} files", sum(file.size for file in files)) as progress:

            def tell(done: Imported) -> None:
                counted = f"{done.events:,} events" + (f", {done.read.malformed:,} lines could not be read" if done.read.malformed else "")
                progress.update(progress.task_ids[0], completed=done.read.bytes, description=counted)

            return await importer.run(files, terms=terms, tell=tell)


def _print(done: Imported, loop: str) -> None:
    out = console()
    out.print(f"{done.events:,} events of {done.read.lines:,} lines are new in the joined log of the loop {loop}.")
    out.print(
        facts(
            learned=done.learned,
            kept_without_learning=done.skipped or None,
            there_already=done.repeated or None,
            of_apprentice_mode=done.read.apprentice or None,
            thinned_by_pdrop=done.read.thinned or None,
            could_not_be_read=done.read.malformed or None,
            passed_over=done.read.passed_over or None,
            model=done.version or None,
            since=done.since,
            until=done.until,
        )
    )
    if done.apprentice.rewards:
        out.print(apprentice_figures(done.apprentice), markup=False)
    if done.read.thinned:
        once = " The figures of Apprentice mode count each once." if done.apprentice.rewards else ""
        out.print(f"Thinned events stand for others as well: each is learned, and counts in evaluations, 1 / (1 - pdrop) times.{once}")
    out.print()
    out.print(what_was_read(done.read))
