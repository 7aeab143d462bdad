"""Short fingerprints of event ids, for finding an event without opening every segment."""

import hashlib

from shared.domain.events import EventKey


def fingerprint(key: EventKey) -> int:
    """64 bits of the BLAKE2b hash of an event id, or of event id and slot, as an unsigned integer.

    Two of 10⁷ different ones share it with probability 3·10⁻⁶.

    >>> fingerprint("a") == fingerprint("a"), fingerprint("a") == fingerprint("b"), fingerprint(("a", "b")) == fingerprint("ab")
    (True, False, False)
    """
    if isinstance(key, str):
        return _hash(key.encode())
    event_id, slot = (part.encode() for part in key)
    return _hash(b"".join((len(event_id).to_bytes(4, "little"), event_id, slot)), kind=b"slot")  # the length keeps the two apart


def _hash(text: bytes, *, kind: bytes = b"") -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=kind).digest(), "little")
