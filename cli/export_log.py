"""``python -m cli export``: a loop's joined log, or a part of it, as dsjson files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Protocol

import typer
from isal import igzip

from cli import options
from cli.output import console, print_json, steps_progress
from cli.storage import run, stored_loop
from shared.domain.clock import EPOCH, LATEST
from shared.services.exporting import Exported, Exporter


def export(
    out: Annotated[
        str,
        typer.Option(
            "--out",
            metavar="PATH",
            help="A file, gzipped if its name ends in .gz; or a folder (that exists, or whose name ends in /), which gets a file a day;"
            " or - for standard output.",
        ),
    ] = "-",
    loop: options.Loop = options.THE_LOOP,
    since: options.Since = None,
    until: options.Until = None,
    is_packed: Annotated[bool, typer.Option("--gzip/--no-gzip", help="Whether the files in a folder are gzipped.")] = True,
    storage: options.Storage = "",
    as_json: options.Json = False,
) -> None:
    """Write the joined log as dsjson, a line each event: `vw --dsjson` learns from it, and `import` takes it back.

    Files appear whole or not at all, whatever ends the command.
    """
    if as_json and out == "-":
        raise typer.BadParameter("--json and the log cannot both go to standard output: give --out")
    done = run(_export(out, loop, (since or EPOCH, until or LATEST), storage, is_packed=is_packed))
    if as_json:
        print_json({"events": done.events, "files": sorted(done.files)})
    elif out != "-":
        console().print(f"{done.events:,} events in {len(done.files)} files: {out}", markup=False)


@dataclass(slots=True)
class _Done:
    events: int = 0
    files: set[str] = field(default_factory=set)


async def _export(out: str, loop: str, between: tuple[datetime, datetime], storage: str, *, is_packed: bool) -> _Done:
    async with stored_loop(loop, storage) as opened:
        exporter, done = Exporter(opened.joined), _Done()
        chunks = await exporter.chunks(*between)
        with _target(out, is_packed=is_packed) as target, steps_progress("Exporting chunks", len(chunks)) as progress:
            for chunk in chunks:
                async for part in exporter.lines(chunk, *between):
                    done.files.add(target.write(part))
                    done.events += part.lines
                progress.advance(progress.task_ids[0])
        return done


class Target(Protocol):
    """Where events go."""

    def write(self, part: Exported) -> str:
        """Write these, and tell which file they are in."""
        ...


@contextmanager
def _target(out: str, *, is_packed: bool) -> Iterator[Target]:
    """Open what the events go to: what is written appears at the end, and not at all if that does not come."""
    if out == "-":
        yield _StandardOutput()
        return
    path = Path(out)
    files = _Files(path if out.endswith("/") or path.is_dir() else None, path, ".dsjson.gz" if is_packed else ".dsjson")
    try:
        yield files
        files.publish()
    finally:
        files.drop()


class _StandardOutput:
    def write(self, part: Exported) -> str:
        sys.stdout.buffer.write(part.text)
        return "-"


class _Files:
    """One file, or one for each day in a folder; each is written beside its place first."""

    def __init__(self, folder: Path | None, path: Path, suffix: str) -> None:
        self._folder = folder
        self._path = path
        self._suffix = suffix
        self._begun: dict[Path, Path] = {}
        if folder is None:
            self._part(path)

    def write(self, part: Exported) -> str:
        """Append these events; a gzip file may consist of several streams."""
        path = self._path if self._folder is None else self._folder / f"{part.day}{self._suffix}"
        text = igzip.compress(part.text, mtime=0) if path.name.endswith(".gz") else part.text
        with self._part(path).open("ab") as file:
            file.write(text)
        return str(path)

    def publish(self) -> None:
        """Put the files in their places."""
        for path, part in self._begun.items():
            part.replace(path)

    def drop(self) -> None:
        """Remove what was not published."""
        for part in self._begun.values():
            part.unlink(missing_ok=True)

    def _part(self, path: Path) -> Path:
        if path not in self._begun:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(b"")
            self._begun[path] = part
        return self._begun[path]
