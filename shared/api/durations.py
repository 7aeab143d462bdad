"""Durations on the wire: ISO 8601."""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

_DURATION = TypeAdapter(timedelta)
_LONGEST_TEXT = 64


def read_duration(text: str) -> timedelta:
    """Read a duration; raises `ValueError`.

    >>> read_duration("PT10M"), read_duration("P1DT12H")
    (datetime.timedelta(seconds=600), datetime.timedelta(days=1, seconds=43200))
    """
    if not text.startswith("P") or len(text) > _LONGEST_TEXT:
        raise ValueError("Input should be an ISO 8601 duration like PT10M")
    try:
        return _DURATION.validate_python(text)
    except ValidationError as cause:
        raise ValueError("Input should be an ISO 8601 duration like PT10M") from cause


def written_duration(duration: timedelta) -> str:
    """Write a duration as Azure did: in days, hours, minutes and seconds, for a year has no one length.

    >>> written_duration(timedelta(minutes=10)), written_duration(timedelta(days=400, hours=5)), written_duration(timedelta(seconds=0.5))
    ('PT10M', 'P400DT5H', 'PT0.5S')
    """
    days, rest = duration // timedelta(days=1), duration % timedelta(days=1)
    time = str(_DURATION.dump_python(rest, mode="json")).removeprefix("P") if rest or not days else ""
    return f"P{f'{days}D' if days else ''}{time}"


def _from_text(given: object) -> timedelta:
    if isinstance(given, timedelta):
        return given
    try:
        if isinstance(given, str):
            return read_duration(given)
    except ValueError:
        pass
    raise PydanticCustomError("duration", "Input should be an ISO 8601 duration like PT10M")


Duration = Annotated[
    timedelta,
    BeforeValidator(_from_text),
    PlainSerializer(written_duration),
    WithJsonSchema({"type": "string", "format": "duration", "maxLength": _LONGEST_TEXT}),
]
"""A member that holds a duration."""
