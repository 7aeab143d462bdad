"""Short fingerprints of event ids, for finding an event without opening every segment, and short names of what a segment holds."""

import hashlib
import zlib
from datetime import datetime

from shared.domain.clock import to_micros
from shared.domain.events import EventKey


def fingerprint(key: EventKey) -> int:
    """64 bits of the BLAKE2b hash of an event id, or of event id and slot, as an unsigned integer.

    Two of 10⁷ different ones share it with probability 3·10⁻⁶.

    >>> fingerprint("a") == fingerprint("a"), fingerprint("a") == fingerprint("b"), fingerprint(("a", "b")) == fingerprint("ab")
    (True, False, False)
    """
    return _hash(*_text(key), size=8)


def second_fingerprint(key: EventKey) -> int:
    """Another 64 bits: with the first, enough to take two events that share both for one.

    >>> second_fingerprint("a") == second_fingerprint("a"), second_fingerprint("a") == fingerprint("a")
    (True, False)
    """
    text, kind = _text(key)
    return _hash(text, kind + b"2", size=8)


def id_mark(text: str) -> int:
    """64 bits of the id that a client gave a reward, to tell it from the other rewards of its event; 0 for no id, and for none else.

    >>> id_mark(""), id_mark("a") == id_mark("a"), id_mark("a") == id_mark("b")
    (0, True, False)
    """
    return (_hash(text.encode(), b"id", size=8) or 1) if text else 0


def segment_tag(name: str) -> int:
    """32 bits that tell a segment from others that were sealed in the same microsecond."""
    return zlib.crc32(name.encode())


def report_tag(name: str, index: int) -> int:
    """32 bits that tell an observation, by its segment's name and its place in it, from others sealed in the same microsecond."""
    return zlib.crc32(f"{name}#{index}".encode())


def report_id(sealed_at: datetime, tag: int) -> str:
    """Name an observation by the time at which its segment was sealed and its tag; names sort by that time.

    >>> from datetime import UTC
    >>> report_id(datetime(2026, 5, 17, tzinfo=UTC), 171)
    '1778976000000000#000000ab'
    """
    return f"{to_micros(sealed_at):016d}#{tag:08x}"


def _text(key: EventKey) -> tuple[bytes, bytes]:
    if isinstance(key, str):
        return key.encode(), b""
    event_id, slot = (part.encode() for part in key)
    return b"".join((len(event_id).to_bytes(4, "little"), event_id, slot)), b"slot"  # the length keeps the two apart


def _hash(text: bytes, kind: bytes, *, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=size, person=kind).digest(), "little")
