"""Durations on the wire: ISO 8601; those that .NET writes are read, too."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

_DURATION = TypeAdapter(timedelta)
_LONGEST_TEXT = 64
_OF_NET = re.compile(
    r"(?P<sign>-?)(?:(?P<days>\d{1,8})[.:])?(?P<hours>[01]?\d|2[0-3]):(?P<minutes>[0-5]?\d):(?P<seconds>[0-5]?\d(?:\.\d{1,7})?)", re.ASCII
)
_ISO = re.compile(r"[+-]?P.+", re.ASCII)
_HUGE = re.compile(r"[+-]?P[\d.YMWDTHS]*\d{9}[\d.YMWDTHS]*", re.ASCII)
_KINDS = "Input should be an ISO 8601 duration like PT10M, or one that .NET writes, like 00:10:00"


def read_duration(text: str) -> timedelta:
    """Read a duration, as ISO 8601 or .NET's ``TimeSpan`` writes it; one that is too long to be held is the longest there is.

    Raises `ValueError`.

    >>> read_duration("PT10M"), read_duration("P1DT12H")
    (datetime.timedelta(seconds=600), datetime.timedelta(days=1, seconds=43200))
    >>> read_duration("00:10:00"), read_duration("1.02:03:04")
    (datetime.timedelta(seconds=600), datetime.timedelta(days=1, seconds=7384))
    """
    if len(text) > _LONGEST_TEXT:
        raise ValueError(_KINDS)
    text = text.strip()
    if found := _OF_NET.fullmatch(text):
        sign, *numbers = found.groups("0")
        days, hours, minutes, seconds = map(float, numbers)
        length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return -length if sign == "-" else length
    if not _ISO.fullmatch(text):
        raise ValueError(_KINDS)
    try:
        return _DURATION.validate_python(text)
    except ValidationError as cause:
        if _HUGE.fullmatch(text):
            return timedelta.min if text.startswith("-") else timedelta.max
        raise ValueError(_KINDS) from cause


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
    raise PydanticCustomError("duration", _KINDS)


Duration = Annotated[
    timedelta,
    BeforeValidator(_from_text),
    PlainSerializer(written_duration),
    WithJsonSchema({"type": "string", "format": "duration", "maxLength": _LONGEST_TEXT}),
]
"""A member that holds a duration."""
