"""The joined log's rows as CSV text and as Parquet files."""

import csv
import io
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import orjson

from cli.rows import COLUMNS, Kind, Row, rows
from shared.domain.errors import SettingsError

_BYTES: Final = 8 * 1024 * 1024
_ROWS: Final = 5_000
"""How much of the log's text, and how many rows, become one piece of a file: bounds the memory."""

_OPEN_FILES: Final = 32
_STARTS_A_FORMULA: Final = (*"=+-@＝＋－＠", "\t", "\r", "\n")
"""Also as characters of full width, which some programs take for the others."""


# --- CSV -------------------------------------------------------------------------------------------------------------------


class CsvText:
    """Rows as CSV (RFC 4180, UTF-8, with a header): lists are JSON, and what is missing is empty.

    With ``for_spreadsheets``, a text that a spreadsheet program would take for a formula begins with an apostrophe.
    """

    def __init__(self, *, for_spreadsheets: bool) -> None:
        self._for_spreadsheets = for_spreadsheets

    @property
    def head(self) -> bytes:
        """The header's line."""
        return _csv([[column.name for column in COLUMNS]])

    def body(self, text: bytes) -> Iterator[bytes]:
        """Give lines of the joined log as rows, some at a time; raises `UnreadableError`."""
        for piece in _pieces(text):
            yield _csv([self._cell(kind, value) for kind, value in zip(_KINDS, row, strict=True)] for row in rows(piece))

    def _cell(self, kind: Kind, value: Any) -> str:
        written = _written(kind, value)
        if self._for_spreadsheets and kind is Kind.TEXT and written.startswith(_STARTS_A_FORMULA):
            return f"'{written}"
        return written


_KINDS: Final = [column.kind for column in COLUMNS]


def _written(kind: Kind, value: Any) -> str:
    if value is None:
        return ""
    match kind:
        case Kind.TIME:
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        case Kind.FLAG:
            return "true" if value else "false"
        case Kind.TEXTS | Kind.NUMBERS:
            return orjson.dumps(value).decode()
        case _:
            return str(value)


def _csv(lines: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue().encode()


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut lines into pieces of so many rows and bytes, and of at least one line."""
    lines: list[bytes] = []
    size = 0
    for line in text.splitlines(keepends=True):
        lines.append(line)
        size += len(line)
        if len(lines) >= _ROWS or size >= _BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines)


# --- Parquet ---------------------------------------------------------------------------------------------------------------


class ParquetFiles:
    """Parquet files that are being written, by the name that they are to have; few are open at a time.

    Raises `SettingsError` where pyarrow is not installed.
    """

    def __init__(self) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as cause:
            raise SettingsError("Parquet files need pyarrow: .venv/bin/pip install -r requirements/parquet.txt") from cause
        self._arrow = pyarrow
        self._schema = pyarrow.schema([pyarrow.field(column.name, self._type(column.kind)) for column in COLUMNS])
        self._open: OrderedDict[Path, Any] = OrderedDict()

    def begin(self, file: Path) -> None:
        """Open a file, and close the one that waited longest where too many are open."""
        if len(self._open) >= _OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        self._open[file] = self._arrow.parquet.ParquetWriter(file, self._schema, compression="zstd")

    def is_open(self, file: Path) -> bool:
        """Whether more can be written to a file."""
        return file in self._open

    def write(self, file: Path, text: bytes) -> None:
        """Append lines of the joined log to an open file; raises `UnreadableError`."""
        self._open.move_to_end(file)
        for piece in _pieces(text):
            self._open[file].write_batch(self._batch(list(rows(piece))))

    def close(self) -> None:
        """Write the ends of all files."""
        while self._open:
            self._open.popitem()[1].close()

    def _batch(self, found: list[Row]) -> Any:
        columns = [self._arrow.array(values, type=field.type) for values, field in zip(zip(*found, strict=True), self._schema, strict=True)]
        return self._arrow.RecordBatch.from_arrays(columns, schema=self._schema)

    def _type(self, kind: Kind) -> Any:
        arrow = self._arrow
        match kind:
            case Kind.TIME:
                return arrow.timestamp("us", tz="UTC")
            case Kind.NUMBER:
                return arrow.float64()
            case Kind.COUNT:
                return arrow.int32()
            case Kind.FLAG:
                return arrow.bool_()
            case Kind.TEXTS:
                return arrow.list_(arrow.string())
            case Kind.NUMBERS:
                return arrow.list_(arrow.float64())
            case _:
                return arrow.string()
