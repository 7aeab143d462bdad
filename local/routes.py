"""Matches paths against route templates the way the Functions host (ASP.NET) does."""

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
        return f"(?:/(?P<{found[1]}>.*))?"
    if found := OPTIONAL.fullmatch(segment):
        return f"(?:/(?P<{found[1]}>[^/]+))?"
    pieces = PARAMETER.split(segment)  # literal, name, literal, name, ..., literal
    if any("{" in literal or "}" in literal for literal in pieces[::2]):
        raise RouteError(f"{segment!r}: the local host reads {{name}}, {{name?}} and {{*rest}} only")
    return "/" + "".join(f"(?P<{piece}>[^/]+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))


def precedence(route: str) -> tuple[int, ...]:
    """Order routes from specific to general: literal, mixed, parameter, catch-all, from left to right."""
    return tuple(_segment_rank(segment) for segment in _segments(route))


def _segment_rank(segment: str) -> int:
    if "{" not in segment:
        return 1
    if CATCH_ALL.fullmatch(segment):
        return 4
    return 3 if PARAMETER.fullmatch(segment) or OPTIONAL.fullmatch(segment) else 2


@dataclass(frozen=True, slots=True)
class Match:
    """The function that answers, and the values its route took from the path."""

    trigger: HttpTrigger
    values: dict[str, str]


class Router:
    """Finds the function for a path and a method; a route whose method differs is passed over."""

    def __init__(self, triggers: Iterable[HttpTrigger], *, prefix: str) -> None:
        self._literal: dict[str, list[HttpTrigger]] = {}
        patterned: list[tuple[tuple[int, ...], re.Pattern[str], HttpTrigger]] = []
        for trigger in triggers:
            route = "/".join(_segments(prefix) + _segments(trigger.route))
            if "{" in route:
                patterned.append((precedence(route), pattern_of(route), trigger))
            else:
                self._literal.setdefault("/" + route.lower(), []).append(trigger)
        self._patterned = [(pattern, trigger) for _, pattern, trigger in sorted(patterned, key=lambda entry: entry[0])]

    def match(self, path: str, method: str) -> Match | None:
        """Try literal routes first, then the patterned ones from specific to general."""
        for trigger in self._literal.get(path.lower().removesuffix("/") or "/", ()):
            if _takes(trigger, method):
                return Match(trigger, {})
        for pattern, trigger in self._patterned:
            if _takes(trigger, method) and (found := pattern.fullmatch(path)):
                return Match(trigger, {name: value for name, value in found.groupdict().items() if value})
        return None


def _takes(trigger: HttpTrigger, method: str) -> bool:
    return not trigger.methods or method in trigger.methods
