"""A chunk of the cold log: one window's lines, gzipped; the same lines give the same bytes."""

from isal import igzip

_LEVEL = 1


def compressed(text: bytes) -> bytes:
    """Make a chunk of its lines."""
    return igzip.compress(text, _LEVEL, mtime=0)
