"""The subscription key: two of them, compared in constant time, and nobody gets in while none is set."""

import hmac
from collections.abc import Mapping, Sequence

from shared.domain.errors import AccessDeniedError

HEADER = "Ocp-Apim-Subscription-Key"


def has_key(headers: Mapping[str, str]) -> bool:
    """Whether the caller sent a key at all."""
    return bool(headers.get(HEADER.lower()))


def check_key(headers: Mapping[str, str], keys: Sequence[str]) -> None:
    """Let the holder of a key pass; raises `AccessDeniedError` for everyone else.

    ``headers`` have lower-case names, as the Functions host gives them.
    """
    given = headers.get(HEADER.lower(), "").encode("utf-8", "surrogatepass")
    matches = [hmac.compare_digest(given, key.encode()) for key in keys]
    if given and any(matches):
        return
    if not keys:
        raise AccessDeniedError("Access denied: this service has no subscription key yet. Set PERSONALIZER_KEYS and restart it.")
    if not given:
        raise AccessDeniedError(f"Access denied: the request has no subscription key. Send it in the {HEADER} header.")
    raise AccessDeniedError(
        "Access denied due to invalid subscription key. Make sure to provide one of the keys that this service was given"
        " (PERSONALIZER_KEYS), and its own endpoint."
    )
