"""What a path means, for the functions that answer all paths with one beginning: ids may hold slashes there.

A client encodes a slash in an id as ``%2F``. Some servers in front of an app decode it, and the id comes as several parts of the path.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Generic, TypeVar

SPANNING: Final = frozenset({"eventId", "evaluationId", "featureImportanceId", "scheduleId", "breakdownId"})
"""Ids that may span several parts of a path; all other parameters are one part, but ``{*name}``, which is all that is left."""
LONGEST_TOLD: Final = 200
"""Characters of a path that a message repeats."""

_MOST_PARTS = 20
_LAST: Final = ".*[^/]|/"
"""What is left without the slashes at its end, or one of them; found from the end: many slashes take no longer than letters."""
_PARAMETER = re.compile(r"\{(\*?\w+)\}")

Target = TypeVar("Target")


@dataclass(frozen=True, slots=True)
class Reading(Generic[Target]):
    """One way to read a path.

    It is plain if each parameter is one part of the path. It is open if it ends in an id that is not: any path with this beginning
    can be read so, and only whoever has such an id knows whether it is meant.
    """

    target: Target
    values: Mapping[str, str]
    is_plain: bool
    is_open: bool


class Paths(Generic[Target]):
    """Reads paths by route templates such as ``loops/{loop}/events/{eventId}``, each of which leads to a target.

    >>> paths = Paths([("events/{eventId}", "receipt"), ("events/{eventId}/reward", "reward")])
    >>> [(each.target, each.values["eventId"]) for each in paths.readings("events/a/b/reward")]
    [('reward', 'a/b'), ('receipt', 'a/b/reward')]
    """

    def __init__(self, templates: Iterable[tuple[str, Target]]) -> None:
        in_order = sorted(templates, key=lambda each: _precedence(each[0]))
        self._table = [(_pattern(template), _last_id(template), target) for template, target in in_order]

    def readings(self, path: str) -> list[Reading[Target]]:
        """Give all readings, the likeliest first: plain ones before others, open ones last, and a template that says more before others.

        Case, doubled slashes and slashes at the end do not matter, but next to an id that may hold slashes.
        """
        return sorted(self._found(path), key=lambda reading: (not reading.is_plain, reading.is_open))

    def _found(self, path: str) -> Iterator[Reading[Target]]:
        for pattern, last, target in self._table:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            values = match.groupdict()
            is_plain = all(value and "/" not in value for name, value in values.items() if name in SPANNING)
            yield Reading(target, values, is_plain, is_open=not is_plain and last != "")
            if last and path.endswith("/"):
                yield Reading(target, {**values, last: path[match.start(last) :]}, is_plain=False, is_open=True)

    def nearest(self, path: str, beginnings: Iterable[str], is_right: Callable[[Reading[Target]], bool]) -> str | None:
        """Give the path that was likely meant by one that leads nowhere: its end, after one of these beginnings, if that is right."""
        parts = [part for part in re.sub("(^|/)loops//+", r"\1", path, flags=re.IGNORECASE).split("/") if part]
        if len(path) > LONGEST_TOLD or len(parts) > _MOST_PARTS:
            return None
        loop = next((index for index, part in enumerate(parts[:-1]) if part.lower() == "loops"), None)
        of_loop, rest = ([], parts) if loop is None else (parts[loop : loop + 2], parts[loop + 2 :])
        heads = [beginning.split("/") if beginning else [] for beginning in beginnings]
        tried = ("/".join([*of_loop, *head, *rest[start:]]) for start in range(len(rest)) for head in heads)
        return next((each for each in tried if any(found.is_plain and is_right(found) for found in self.readings(each))), None)


def _precedence(template: str) -> tuple[bool, ...]:
    """Order templates from specific to general: at the first part that differs, the literal one comes first."""
    return tuple(part.startswith("{") for part in template.split("/"))


def _last_id(template: str) -> str:
    """Give the name of the id that a template ends in, if it may hold slashes; else ""."""
    found = _PARAMETER.fullmatch(template.rpartition("/")[2])
    return found[1] if found and found[1] in SPANNING else ""


def _pattern(template: str) -> re.Pattern[str]:
    parts = template.split("/")
    written = _part(parts[0], is_last=len(parts) == 1)
    for index, (before, part) in enumerate(pairwise(parts), start=2):
        spans = any(_name(each) in SPANNING for each in (before, part))
        written += ("/" if spans else "/+") + _part(part, is_last=index == len(parts))
    return re.compile(f"/*{written}/*", re.IGNORECASE | re.DOTALL)


def _part(part: str, *, is_last: bool) -> str:
    name = _name(part)
    if not name:
        return re.escape(part)
    if name not in SPANNING and not name.startswith("*"):
        return f"(?P<{name}>[^/]+)"
    return f"(?P<{name.removeprefix('*')}>{_LAST if is_last else '.*'})"


def _name(part: str) -> str:
    found = _PARAMETER.fullmatch(part)
    return found[1] if found else ""
