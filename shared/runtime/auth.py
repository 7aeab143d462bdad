"""Keys: a loop's two and the administrator's one, compared by their digests; nobody gets in while none is set."""

from collections.abc import Mapping, Sequence

from shared.domain.errors import AccessDeniedError
from shared.domain.keys import is_one_of

HEADER = "Ocp-Apim-Subscription-Key"


def has_key(headers: Mapping[str, str]) -> bool:
    """Whether the caller sent a key at all."""
    return bool(headers.get(HEADER.lower()))


def is_known(headers: Mapping[str, str], digests: Sequence[str]) -> bool:
    """Whether the caller holds one of these keys; ``headers`` have lower-case names, as the Functions host gives them."""
    given = headers.get(HEADER.lower(), "")
    return bool(given) and is_one_of(given, digests)


def key_name(headers: Mapping[str, str], digests: Sequence[str]) -> str:
    """Name the key that the caller holds, without saying anything of what it is.

    >>> from shared.domain.keys import key_digest
    >>> key_name({HEADER.lower(): "b"}, [key_digest("a"), key_digest("b")])
    'key 2'
    """
    given = headers.get(HEADER.lower(), "")
    return next((f"key {number}" for number, digest in enumerate(digests, 1) if is_one_of(given, [digest])), "a key")


def check_key(headers: Mapping[str, str], digests: Sequence[str]) -> None:
    """Let the holder of one of the service's keys pass; raises `AccessDeniedError` for everyone else."""
    if is_known(headers, digests):
        return
    if not any(digests):
        raise AccessDeniedError("Access denied: this service has no subscription key yet. Set PERSONALIZER_KEYS and restart it.")
    raise refusal(
        headers, "one of the keys that this service was given (PERSONALIZER_KEYS, unless they were regenerated), and its own endpoint"
    )


def check_admin(headers: Mapping[str, str], digests: Sequence[str]) -> None:
    """Let the administrator pass; raises `AccessDeniedError` for everyone else."""
    if is_known(headers, digests):
        return
    if not any(digests):
        raise AccessDeniedError("Access denied: this service has no administrator's key yet. Set PERSONALIZER_ADMIN_KEY and restart it.")
    raise refusal(headers, "the administrator's key (PERSONALIZER_ADMIN_KEY)")


def refusal(headers: Mapping[str, str], needed: str) -> AccessDeniedError:
    """Give the error that says what key is needed, and nothing of those there are."""
    if not has_key(headers):
        return AccessDeniedError(f"Access denied: the request has no subscription key. Send it in the {HEADER} header.")
    return AccessDeniedError(f"Access denied due to invalid subscription key. Make sure to provide {needed}.")
