"""The joined log's rows as Parquet files."""

from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

from shared.domain.errors import SettingsError
from shared.joining.csv_rows import pieces
from shared.joining.rows import COLUMNS, Kind, Row, rows

_OPEN_FILES: Final = 32


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
        for piece in pieces(text):
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
