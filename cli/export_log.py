"""``python -m cli export``: a loop's joined log, or a part of it, as dsjson, CSV or Parquet files."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer
from isal import igzip

from cli import options
from cli.output import console, print_json, steps_progress
from cli.storage import run, stored_loop
from cli.table_files import ParquetFiles
from shared.domain.clock import EPOCH, LATEST
from shared.joining.csv_rows import CsvText
from shared.services.log.exporting import Exported, Exporter


class Format(StrEnum):
    """What an event becomes."""

    DSJSON = "dsjson"
    CSV = "csv"
    PARQUET = "parquet"


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
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="dsjson: one line for each event, which `vw --dsjson` and `import` read. csv and parquet: one row for each event or slot."
            " By default the file's name decides, or else it is dsjson.",
        ),
    ] = None,
    for_spreadsheets: Annotated[
        bool, typer.Option("--spreadsheet", help="In CSV, put an apostrophe before texts that a spreadsheet would take for a formula.")
    ] = False,
    loop: options.Loop = options.THE_LOOP,
    since: options.Since = None,
    until: options.Until = None,
    is_packed: Annotated[
        bool, typer.Option("--gzip/--no-gzip", help="Gzip the files in a folder, or do not. Parquet is packed in its own way.")
    ] = True,
    storage: options.Storage = "",
    as_json: options.Json = False,
) -> None:
    """Write the joined log as dsjson, a line each event, or as a table with a row each event or slot.

    Files appear whole or not at all, whatever ends the command.
    """
    if as_json and out == "-":
        raise typer.BadParameter("--json and the log cannot both go to standard output: give --out")
    wanted = format_ or _format_of(out)
    if wanted is Format.PARQUET and (out == "-" or out.lower().endswith(".gz")):
        raise typer.BadParameter("Parquet goes to a file or a folder, and is packed already: give --out, without .gz")
    if for_spreadsheets and wanted is not Format.CSV:
        raise typer.BadParameter(f"--spreadsheet is for CSV, not for {wanted.value}")
    shape = _Shape(wanted, is_packed=is_packed, for_spreadsheets=for_spreadsheets)
    done = run(_export(out, loop, (since or EPOCH, until or LATEST), storage, shape))
    if as_json:
        print_json({"events": done.events, "files": sorted(done.files)})
    elif out != "-":
        console().print(f"{done.events:,} events in {len(done.files)} files: {out}", markup=False)


_ENDINGS: Final = {".csv": Format.CSV, ".csv.gz": Format.CSV, ".parquet": Format.PARQUET, ".parquet.gz": Format.PARQUET}


def _format_of(out: str) -> Format:
    """Tell what a file's name asks for.

    >>> _format_of("log.csv.gz").value, _format_of("log.parquet").value, _format_of("log/").value, _format_of("-").value
    ('csv', 'parquet', 'dsjson', 'dsjson')
    """
    return next((found for ending, found in _ENDINGS.items() if out.lower().endswith(ending)), Format.DSJSON)


@dataclass(frozen=True, slots=True)
class _Shape:
    format: Format
    is_packed: bool
    for_spreadsheets: bool

    @property
    def suffix(self) -> str:
        """What the names of a folder's files end in."""
        return f".{self.format.value}{'.gz' if self.is_packed and self.format is not Format.PARQUET else ''}"

    @property
    def text(self) -> "Text":
        """How events become text."""
        return CsvText(for_spreadsheets=self.for_spreadsheets) if self.format is Format.CSV else _Lines()


@dataclass(slots=True)
class _Done:
    events: int = 0
    files: set[str] = field(default_factory=set)


async def _export(out: str, loop: str, between: tuple[datetime, datetime], storage: str, shape: _Shape) -> _Done:
    async with stored_loop(loop, storage) as opened:
        exporter, done = Exporter(opened.joined), _Done()
        chunks = await exporter.chunks(*between)
        with _target(out, shape) as target, steps_progress("Exporting chunks", len(chunks)) as progress:
            for chunk in chunks:
                async for part in exporter.lines(chunk, *between):
                    target.write(part)
                    done.events += part.lines
                progress.advance(progress.task_ids[0])
            done.files = target.files
        return done


class Text(Protocol):
    """How events become text: what a file begins with, and what lines of the log become."""

    @property
    def head(self) -> bytes:
        """What stands once at the beginning of a file."""
        ...

    def body(self, text: bytes) -> Iterable[bytes]:
        """Give what these lines become, some at a time."""
        ...


class _Lines:
    head = b""

    def body(self, text: bytes) -> Iterable[bytes]:
        return (text,)


class Target(Protocol):
    """Where events go."""

    @property
    def files(self) -> set[str]:
        """Which files are written, one without events included."""
        ...

    def write(self, part: Exported) -> None:
        """Write these."""
        ...


@contextmanager
def _target(out: str, shape: _Shape) -> Iterator[Target]:
    """Open what the events go to: what is written appears at the end, and not at all if that does not come."""
    if out == "-":
        yield _StandardOutput(shape.text)
        return
    path = Path(out)
    places = _Places(path if out.endswith("/") or path.is_dir() else None, path, shape.suffix)
    files = _ParquetFiles(places) if shape.format is Format.PARQUET else _TextFiles(places, shape.text)
    try:
        yield files
        files.end()
        places.publish()
    finally:
        places.drop()


class _StandardOutput:
    files: Final = {"-"}

    def __init__(self, text: Text) -> None:
        self._text = text
        sys.stdout.buffer.write(text.head)

    def write(self, part: Exported) -> None:
        for each in self._text.body(part.text):
            sys.stdout.buffer.write(each)


class _Places:
    """One file, or some for each day in a folder; each is written beside its place first."""

    def __init__(self, folder: Path | None, path: Path, suffix: str) -> None:
        self._folder = folder
        self._path = path
        self._suffix = suffix
        self._begun: dict[Path, Path] = {}

    @property
    def only(self) -> Path | None:
        """The one file, which is written even if there are no events."""
        return self._path if self._folder is None else None

    @property
    def files(self) -> set[str]:
        """The places of all files that are begun."""
        return set(map(str, self._begun))

    def of(self, day: str, *, number: int = 1) -> Path:
        """Give the place of a day's events, or of those that go to the day's further file."""
        return self._path if self._folder is None else self._folder / f"{day}{f'-{number}' if number > 1 else ''}{self._suffix}"

    def begun(self, path: Path) -> Path | None:
        """Give where the file of this place is written, if it is begun."""
        return self._begun.get(path)

    def begin(self, path: Path) -> Path:
        """Begin the file of this place, and give where it is written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(b"")
        self._begun[path] = part
        return part

    def publish(self) -> None:
        """Put the files in their places."""
        for path, part in self._begun.items():
            part.replace(path)

    def drop(self) -> None:
        """Remove what was not published."""
        for part in self._begun.values():
            part.unlink(missing_ok=True)


class _TextFiles:
    """Files of text; a gzip file may consist of several streams."""

    def __init__(self, places: _Places, text: Text) -> None:
        self._places = places
        self._text = text
        if places.only is not None:
            self._begin(places.only)

    @property
    def files(self) -> set[str]:
        return self._places.files

    def write(self, part: Exported) -> None:
        path = self._places.of(part.day)
        file = self._places.begun(path) or self._begin(path)
        for each in self._text.body(part.text):
            _append(file, path, each)

    def _begin(self, path: Path) -> Path:
        file = self._places.begin(path)
        _append(file, path, self._text.head)
        return file

    def end(self) -> None:
        pass


def _append(file: Path, path: Path, text: bytes) -> None:
    with file.open("ab") as opened:
        opened.write(igzip.compress(text, mtime=0) if text and path.name.lower().endswith(".gz") else text)


class _ParquetFiles:
    """Parquet files. To one that was closed nothing can be added: later events of its day go to a further file."""

    def __init__(self, places: _Places) -> None:
        self._places = places
        self._files = ParquetFiles()
        self._numbers: dict[str, int] = {}
        if places.only is not None:
            self._files.begin(places.begin(places.only))

    @property
    def files(self) -> set[str]:
        return self._places.files

    def write(self, part: Exported) -> None:
        path = self._places.of(part.day, number=self._numbers.setdefault(part.day, 1))
        file = self._places.begun(path)
        if file is not None and not self._files.is_open(file):
            self._numbers[part.day] += 1
            path, file = self._places.of(part.day, number=self._numbers[part.day]), None
        if file is None:
            file = self._places.begin(path)
            self._files.begin(file)
        self._files.write(file, part.text)

    def end(self) -> None:
        self._files.close()
