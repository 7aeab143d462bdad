"""Points in time on the wire: ISO 8601."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_KIND = "Input should be a date and time like 2026-05-17T12:00:00Z"
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+\- ]\d\d:\d\d)?)?", re.ASCII)


def read_time(text: str) -> datetime:
    """Read a date and time; without an offset it is UTC, and a date alone is its midnight. Raises `ValueError`.

    >>> read_time("2022-10-25T23:14:43.2544898Z").isoformat(), read_time("2022-09-20").isoformat()
    ('2022-10-25T23:14:43.254489+00:00', '2022-09-20T00:00:00+00:00')
    """
    if not _TIME.fullmatch(text):
        raise ValueError(_KIND)
    mended = f"{text[:11]}{text[11:].replace(' ', '+')}"  # a plus sign in a query that was not encoded
    try:
        at = datetime.fromisoformat(mended.upper())
    except ValueError as cause:
        raise ValueError(f"{_KIND}: there is no such day, hour, minute, second or offset") from cause
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as cause:
        raise ValueError("Input should be a date and time between the years 1 and 9999") from cause


def written_time(at: datetime) -> str:
    """Write a time in UTC; fractions of a second only where there are any.

    >>> written_time(datetime(2018, 12, 19, tzinfo=UTC)), written_time(datetime(2022, 10, 25, 23, 14, 43, 250000, tzinfo=UTC))
    ('2018-12-19T00:00:00Z', '2022-10-25T23:14:43.25Z')
    """
    text = at.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"


def _from_text(given: object) -> datetime:
    if isinstance(given, datetime):
        return given
    if not isinstance(given, str):
        raise PydanticCustomError("time", "Input should be a date and time as text, like 2026-05-17T12:00:00Z")
    try:
        return read_time(given)
    except ValueError as cause:
        raise PydanticCustomError("time", "{why}", {"why": str(cause)}) from cause


TIME_SCHEMA = {"type": "string", "format": "date-time"}

Time = Annotated[datetime, BeforeValidator(_from_text), PlainSerializer(written_time), WithJsonSchema(TIME_SCHEMA)]
"""A member that holds a point in time, in UTC."""
