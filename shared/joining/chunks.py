"""A chunk of the cold log: one window's lines, gzipped; the same lines give the same bytes."""

import gzip
import zlib

from isal import igzip

from shared.domain.errors import UnreadableError

_LEVEL = 1


def compressed(text: bytes) -> bytes:
    """Make a chunk of its lines."""
    return igzip.compress(text, _LEVEL, mtime=0)


def decompressed(chunk: bytes) -> bytes:
    """Inverse of `compressed`; raises `UnreadableError`."""
    try:
        return gzip.decompress(chunk)
    except (zlib.error, OSError, EOFError) as cause:
        raise UnreadableError(f"not a chunk of the joined log: {cause}") from cause
