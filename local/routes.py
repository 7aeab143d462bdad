"""Matches paths against route templates the way the Functions host (ASP.NET) does.

It sorts its functions by name (`FunctionMetadataManager.cs` in Azure/azure-functions-host), adds their routes to a collection in that order
(`WebJobsRouteBuilder.cs` in Azure/azure-webjobs-sdk-extensions), and the first that fits answers: nothing prefers literals to parameters.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from local.backend import HttpTrigger

ESCAPED_SLASH = re.compile(r"(%2[fF])")
PARAMETER = re.compile(r"\{(\w+)\}")
OPTIONAL = re.compile(r"\{(\w+)\?\}")
CATCH_ALL = re.compile(r"\{\*{1,2}(\w+)\}")


class RouteError(ValueError):
    """A route template the local host cannot read."""


def decode_path(raw: str) -> str:
    """Undo percent-encoding, except for an escaped slash and for bytes that are not UTF-8; resolve dot segments.

    >>> decode_path("/events/caf%C3%A9%2Fbar")
    '/events/café%2Fbar'
    >>> decode_path("/events/%FF")
    '/events/%FF'
    >>> decode_path("/a/./b/%2e%2e/c")
    '/a/c'
    """
    decoded = "".join(_decode_piece(piece) for piece in ESCAPED_SLASH.split(raw)) if "%" in raw else raw
    return _without_dot_segments(decoded) if "/." in decoded else decoded


def _decode_piece(piece: str) -> str:
    if ESCAPED_SLASH.fullmatch(piece):
        return piece
    try:
        return unquote(piece, errors="strict")
    except UnicodeDecodeError:
        return piece


def _without_dot_segments(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


def pattern_of(route: str) -> re.Pattern[str]:
    """Compile a template: literals in any case, ``{name}``, ``{name?}``, ``{*rest}``.

    >>> pattern_of("events/{id}/reward").fullmatch("/Events/7/reward").groupdict()
    {'id': '7'}
    """
    return re.compile("".join(_segment_pattern(segment) for segment in _segments(route)) + "/?", re.IGNORECASE | re.DOTALL)


def _segments(route: str) -> list[str]:
    return [segment for segment in route.split("/") if segment]


def _segment_pattern(segment: str) -> str:
    if found := CATCH_ALL.fullmatch(segment):
        return f"(?:/(?P<{found[1]}>(?!/).*))?"
    if found := OPTIONAL.fullmatch(segment):
        return f"(?:/(?P<{found[1]}>[^/]+))?"
    before, *rest = PARAMETER.split(segment)  # literal, or literal, name, literal
    if len(rest) > 2 or any("{" in literal or "}" in literal for literal in (before, *rest[1::2])):
        raise RouteError(f"{segment!r}: the local host reads {{name}}, {{name?}} and {{*rest}} only, and one of them in a segment")
    return "/" + (_mixed_pattern(re.escape(before), rest[0], re.escape(rest[1])) if rest else re.escape(before))


def _mixed_pattern(before: str, name: str, after: str) -> str:
    """Match from right to left, as ASP.NET does: the last place where the text before a parameter can stand has to be the first."""
    again = rf"(?![^/]+{before}[^/]+{after}(?:/|\Z))" if before else ""
    return f"{again}{before}(?P<{name}>[^/]+){after}"


@dataclass(frozen=True, slots=True)
class Match:
    """The function that answers, and the values its route took from the path."""

    trigger: HttpTrigger
    values: dict[str, str]


class Router:
    """Finds the function for a path and a method: the first that takes both, in the order of the functions' names."""

    def __init__(self, triggers: Iterable[HttpTrigger], *, prefix: str) -> None:
        named = sorted(triggers, key=lambda trigger: trigger.name.upper())
        self._routes = [(pattern_of(f"{prefix}/{trigger.route}"), trigger) for trigger in named]

    def match(self, path: str, method: str) -> Match | None:
        """Give the function and what its route took from the path; None if there is none."""
        for pattern, trigger in self._routes:
            if _takes(trigger, method) and (found := pattern.fullmatch(path)):
                return Match(trigger, {name: value for name, value in found.groupdict().items() if value})
        return None


def _takes(trigger: HttpTrigger, method: str) -> bool:
    return not trigger.methods or method in trigger.methods
