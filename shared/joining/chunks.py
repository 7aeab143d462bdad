"""A chunk of the cold log: one window's lines, gzipped; the same lines at the same place give the same bytes.

Chunks are named and chained here.
"""

import gzip
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from isal import isal_zlib

from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import UnreadableError

_LEVEL = 1
_MAGIC = b"\x1f\x8b\x08"
_COMMENTED = 16
_NOTHING_TOLD = b"\0\0\0\0\0\xff"
"""Of the time, of how it was compressed, and on what system."""
_NAME = re.compile(r"(?:g(?P<generation>\d{4,9})/)?\d{4}/\d\d/\d\d/(?P<since>\d{1,17})-(?P<until>\d{1,17})-(?P<digest>[0-9a-z]+)\.json\.gz")


@dataclass(frozen=True, slots=True)
class ChunkName:
    """What a chunk's name tells: the generation of the log, the window ``[since, until)``, the beginning of the content's SHA-256.

    >>> str(ChunkName(1, from_micros(0), from_micros(5), "ab12")), str(ChunkName(2, from_micros(0), from_micros(5), "ab12"))
    ('1970/01/01/0-5-ab12.json.gz', 'g0002/1970/01/01/0-5-ab12.json.gz')
    """

    generation: int
    since: datetime
    until: datetime
    digest: str

    def __str__(self) -> str:
        generation = "" if self.generation == 1 else f"g{self.generation:04d}/"
        return f"{generation}{self.since:%Y/%m/%d}/{to_micros(self.since)}-{to_micros(self.until)}-{self.digest}.json.gz"

    @staticmethod
    def is_one(name: str) -> bool:
        """Whether this is a chunk's name."""
        return _NAME.fullmatch(name) is not None

    @staticmethod
    def day_of(name: str) -> str:
        """Give the beginning of a chunk's name that all chunks of its generation share whose windows began on that day.

        >>> ChunkName.day_of("g0002/1970/01/01/0-5-ab12.json.gz")
        'g0002/1970/01/01/'
        """
        return name[: name.rfind("/") + 1]

    @staticmethod
    def parse(name: str) -> "ChunkName":
        """Inverse of ``str``; raises `UnreadableError` for what is no chunk's name."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise UnreadableError(f"{name!r} is not the name of a chunk of the joined log")
        since, until = from_micros(int(match["since"])), from_micros(int(match["until"]))
        return ChunkName(int(match["generation"] or 1), since, until, match["digest"])


def chain(newest: str, parents: Mapping[str, str]) -> list[str]:
    """Follow the chunks back from the newest to where the log begins, and give them from there on.

    ``parents`` names the one before each that is there. The log begins behind a chunk that names none, and where retention or a
    deletion has left off: behind that there are no older ones. Raises `UnreadableError`, naming it, for one that is missing while older
    ones are still there.
    """
    found: dict[str, None] = {}
    name = newest
    while name in parents and name not in found:
        found[name] = None
        name = parents[name]
    if name and _is_gap(name, found, parents):
        raise UnreadableError(f"chunk {name} of the joined log is missing")
    return [*reversed(found)]


def _is_gap(missing: str, found: Mapping[str, None], parents: Mapping[str, str]) -> bool:
    if missing in found:
        return True
    since = ChunkName.parse(missing).since
    return any(ChunkName.parse(other).until <= since for other in parents)


def compressed(text: bytes, *, after: str = "") -> bytes:
    """Make a chunk of its lines; the chunk that it comes ``after`` is named in the gzip header's comment (RFC 1952).

    So a chunk's hash tells its place as well: one that a stopped run left behind another chunk is never taken for this one.
    """
    return compressed_parts([text], after=after)


def compressed_parts(parts: Iterable[bytes], *, after: str = "") -> bytes:
    """Make a chunk of lines that come in parts, so that they are not in memory as a whole; the same parts give the same bytes."""
    deflate = isal_zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS)
    packed, checksum, size = BytesIO(), 0, 0
    packed.write(_MAGIC + bytes([_COMMENTED if after else 0]) + _NOTHING_TOLD + (after.encode("ascii") + b"\0" if after else b""))
    for part in parts:
        checksum, size = zlib.crc32(part, checksum), size + len(part)
        packed.write(deflate.compress(part))
    packed.write(deflate.flush() + struct.pack("<LL", checksum, size & 0xFFFFFFFF))
    return packed.getvalue()


def first_lines(chunk: bytes, *, size: int) -> list[bytes]:
    r"""Give the whole lines at the beginning of a chunk that may be cut off anywhere, in at most ``size`` bytes; raises `UnreadableError`.

    >>> first_lines(compressed(b"one\ntwo\nthree"), size=9), first_lines(compressed(b"one")[:4], size=9)
    ([b'one', b'two'], [])
    """
    try:
        text = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(chunk, size)  # 16: in a gzip file
    except zlib.error as cause:
        raise UnreadableError(f"not a chunk of the joined log: {cause}") from cause
    return text[: text.rfind(b"\n") + 1].splitlines()


def decompressed(chunk: bytes) -> bytes:
    """Inverse of `compressed`; raises `UnreadableError`."""
    try:
        return gzip.decompress(chunk)
    except (zlib.error, OSError, EOFError) as cause:
        raise UnreadableError(f"not a chunk of the joined log: {cause}") from cause
