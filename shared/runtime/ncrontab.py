"""Schedules of timers: what both the Functions host and the local host read is written in one form.

The host leaves out a function whose schedule it cannot read, and tells nobody but its log. Its rules are in CrontabFieldImpl.cs
(github.com/atifaziz/NCrontab): fields stand between blanks, digits are 0 to 9, and a name is the beginning of an English one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_VALUE: Final = r"[0-9]{1,2}|[A-Za-z]{3,9}"
_PART = re.compile(rf"(?:(?P<all>\*)|(?P<first>{_VALUE})(?:-(?P<last>{_VALUE}))?)(?:/(?P<step>[1-9][0-9]?))?")


@dataclass(frozen=True, slots=True)
class _Field:
    """A field's lowest and highest number, and the names of its numbers from the lowest on."""

    lowest: int
    highest: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """Read a number or a name; raises `ValueError`."""
        if text.isdigit():
            value = int(text)
        else:
            value = next((place for place, name in enumerate(self.names, self.lowest) if name.startswith(text.lower())), -1)
        if not self.lowest <= value <= self.highest:
            raise ValueError(text)
        return value

    def parts(self, text: str) -> Iterator[tuple[str, range]]:
        """Give what stands between commas with numbers for names, and what it means; raises `ValueError`."""
        for part in text.split(","):
            found = _PART.fullmatch(part)
            if found is None:
                raise ValueError(part)
            step = f"/{int(found['step'])}" if found["step"] else ""
            if found["all"]:
                yield f"*{step}", range(self.lowest, self.highest + 1, int(found["step"] or 1))
                continue
            first = self.number(found["first"])
            last = self.number(found["last"]) if found["last"] else self.highest if step else first
            if last < first:
                raise ValueError(part)  # the host would take it the other way round, which nobody means who writes 22-2
            yield f"{first}-{last}{step}" if found["last"] else f"{first}{step}", range(first, last + 1, int(found["step"] or 1))


_FIELDS: Final = (_Field(0, 59), _Field(0, 59), _Field(0, 23), _Field(1, 31), _Field(1, 12, _MONTHS), _Field(0, 6, _DAYS))
"""Seconds, minutes, hours, days of the month, months, days of the week."""


def one_form(text: str) -> str:
    """Write an NCRONTAB expression of six fields with numbers alone, one blank between fields; raises `ValueError`.

    One that never comes, such as the 30th of February, raises it too.

    >>> one_form("0  0-30/5 9-17 * January,jul MON-FRI")
    '0 0-30/5 9-17 * 1,7 1-5'
    """
    texts = text.split()
    if len(texts) != len(_FIELDS):
        raise ValueError(text)
    read = [list(field.parts(each)) for field, each in zip(_FIELDS, texts, strict=True)]
    days, months = ({value for _, values in parts for value in values} for parts in read[3:5])
    if not any(day <= _LONGEST_MONTHS[month - 1] for day, month in product(days, months)):
        raise ValueError(text)
    return " ".join(",".join(written for written, _ in parts) for parts in read)
