"""What the Functions host does to a request before a function sees it, and which of it only happens behind the real one.

docs/internals/run-under-core-tools.md has the table, with the public source of each rule.
"""

from collections.abc import Iterable, MutableMapping
from typing import Any, Final

from local.backend import HttpTrigger

Message = MutableMapping[str, Any]

LONGEST_REQUEST_LINE: Final = 8 * 1024
"""Bytes: the limit of Kestrel, the server in the Functions host, which does not change it."""
MOST_HEADERS: Final = 100
LARGEST_HEADERS: Final = 32 * 1024
"""Bytes of all names and values together."""

_VERSION = len(" HTTP/1.1\r\n")
_AROUND_A_HEADER = len(": \r\n")
_RESERVED: Final = ("admin", "runtime")
_CONTENT_LENGTH = b"content-length"


class ReservedRouteError(ValueError):
    """A function's route is one that the host keeps for itself, or that another function has."""


def refused_at_once(scope: Message) -> int | None:
    """Give the status with which a request is refused for the length of its first line or of its headers, None for others."""
    line = len(scope["method"]) + 1 + len(scope["raw_path"]) + len(scope["query_string"]) + bool(scope["query_string"]) + _VERSION
    if line > LONGEST_REQUEST_LINE:
        return 414
    headers = scope["headers"]
    if len(headers) > MOST_HEADERS or sum(len(name) + len(value) + _AROUND_A_HEADER for name, value in headers) > LARGEST_HEADERS:
        return 431
    return None


def is_the_hosts(path: str) -> bool:
    """Whether no function is asked for a path, because the host answers it: webhooks of its extensions.

    >>> is_the_hosts("/Runtime/webhooks/durabletask"), is_the_hosts("/runtimes")
    (True, False)
    """
    return path.lower().startswith("/runtime/")


def has_length(scope: Message) -> bool:
    """Whether a request says how long its body is: the host hands on no other (a chunked body arrives empty)."""
    return any(name == _CONTENT_LENGTH for name, _ in scope["headers"])


def check_routes(triggers: Iterable[HttpTrigger]) -> None:
    """Raise `ReservedRouteError` for a function that the host would leave out because of its route."""
    taken: dict[tuple[str, str], str] = {}
    for trigger in triggers:
        route = trigger.route.strip("/").lower()
        if route.startswith(_RESERVED):
            raise ReservedRouteError(f"{trigger.name}: the host keeps routes that begin with admin or runtime, as {trigger.route!r} does")
        for method in trigger.methods or {""}:
            other = taken.setdefault((route, method), trigger.name)
            if other != trigger.name:
                raise ReservedRouteError(f"{trigger.name}: the function {other} has the same route and method: {method} {trigger.route!r}")
