"""Subscription keys: random, shown once, and kept as digests only."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence


def new_key() -> str:
    """Make a key: 128 random bits in hexadecimal, as Azure's are."""
    return secrets.token_hex(16)


def key_digest(key: str) -> str:
    """SHA-256 of a key. Keys are random, so nothing slower is needed to keep one from being guessed.

    >>> len(key_digest("a key")), key_digest("a key") == key_digest("another")
    (64, False)
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def is_one_of(key: str, digests: Sequence[str]) -> bool:
    """Whether the key has one of these digests; how long a refusal takes tells nothing of them."""
    digest = key_digest(key)
    return any(hmac.compare_digest(digest, each) for each in digests)
