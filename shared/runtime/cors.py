"""Cross-origin resource sharing: which pages of other origins may call from a browser, and what browsers are told of it.

The key travels in a header, so there are no credentials to allow; what the platform in front answers by itself is left to it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

ANY: Final = "*"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
_NAMES: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+(?:\s*,\s*[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
_LONGEST_NAMES: Final = 1_000
_SECONDS: Final = 600
"""For how long a browser need not ask again."""

_TOLD: Final = (
    "apim-request-id, x-ms-request-id, x-ms-client-request-id, x-ms-error-code, x-personalizer-left-out, Retry-After, Location, ETag"
)


def preflight(headers: Mapping[str, str], origins: Sequence[str]) -> Mapping[str, str] | None:
    """Answer a browser that asks, by OPTIONS, what a page may send; None if this is no such question, or the page's origin may not call.

    ``headers`` have lower-case names.
    """
    origin, method = headers.get("origin", ""), headers.get("access-control-request-method", "").upper()
    if method not in _METHODS or not _may_call(origin, origins):
        return None
    allowed = {"Access-Control-Allow-Methods": method, "Access-Control-Max-Age": str(_SECONDS)}
    names = headers.get("access-control-request-headers", "").strip()
    if len(names) <= _LONGEST_NAMES and _NAMES.fullmatch(names):
        allowed["Access-Control-Allow-Headers"] = names
    return allowed


def marks(headers: Mapping[str, str], origins: Sequence[str], *, of_platform: Sequence[str] = ()) -> Mapping[str, str]:
    """Give the headers by which a browser lets a page read an answer, unless the platform in front gives them itself."""
    if not origins:
        return {}
    varying = {} if ANY in origins else {"Vary": "Origin"}
    origin = headers.get("origin", "")
    if not _may_call(origin, origins) or _may_call(origin, of_platform):
        return varying
    return {**varying, "Access-Control-Allow-Origin": ANY if ANY in origins else origin, "Access-Control-Expose-Headers": _TOLD}


def _may_call(origin: str, origins: Sequence[str]) -> bool:
    return bool(origin) and (ANY in origins or origin.lower() in origins)
