"""The joined log's rows as CSV text."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any, Final

import orjson

from shared.joining.rows import COLUMNS, Kind, rows

_BYTES: Final = 8 * 1024 * 1024
_ROWS: Final = 5_000
"""How much of the log's text, and how many rows, become one piece of a file: bounds the memory."""

_STARTS_A_FORMULA: Final = (*"=+-@＝＋－＠", "\t", "\r", "\n")
"""Also as characters of full width, which some programs take for the others."""


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
        for piece in pieces(text):
            yield _csv([self._cell(kind, value) for kind, value in zip(_KINDS, row, strict=True)] for row in rows(piece))

    def _cell(self, kind: Kind, value: Any) -> str:
        text = written(kind, value)
        if self._for_spreadsheets and kind is Kind.TEXT and text.startswith(_STARTS_A_FORMULA):
            return f"'{text}"
        return text


_KINDS: Final = [column.kind for column in COLUMNS]


def written(kind: Kind, value: Any) -> str:
    """Write a value; what is missing is empty."""
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


def pieces(text: bytes) -> Iterator[bytes]:
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
