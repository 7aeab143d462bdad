"""GET log/lines on the wire: a part of the joined log, a piece at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from shared.api.figures import read_range
from shared.api.flags import read_flag
from shared.api.paging import refuse

CURSOR: Final = "x-personalizer-next"
"""The header that tells where the next piece begins; the last one has none."""

EVENTS: Final = "x-personalizer-events"
JSON_LINES, CSV = "dsjson", "csv"
MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType({JSON_LINES: "application/x-ndjson", CSV: "text/csv; charset=utf-8"})


@dataclass(frozen=True, slots=True)
class Download:
    """What is wanted: events decided in ``[since, until)``, from the ``cursor`` on, as far as these are given."""

    since: datetime | None
    until: datetime | None
    format: str
    for_spreadsheets: bool
    cursor: str


def read_download(params: Mapping[str, str]) -> Download:
    """Read the query; raises `InvalidRequestError`, naming the parameter."""
    wanted = params.get("format", JSON_LINES).lower()
    if wanted not in MEDIA_TYPES:
        refuse("format", f"must be {JSON_LINES} or {CSV}")
    for_spreadsheets = read_flag("spreadsheet", params.get("spreadsheet"))
    return Download(*read_range(params), wanted, for_spreadsheets, params.get("cursor", ""))
