"""A chunk of the cold log: one window's events, gzipped; the same events give the same bytes."""

from collections.abc import Sequence

from isal import igzip

from shared.domain.events import JoinedEvent
from shared.joining.dsjson import lines

_LEVEL = 1


def write_chunk(events: Sequence[JoinedEvent]) -> bytes:
    """Write a window's events; b"" when there are none."""
    return compressed(lines(events)) if events else b""


def compressed(text: bytes) -> bytes:
    """Make a chunk of its lines."""
    return igzip.compress(text, _LEVEL, mtime=0)
