"""From the bytes of a log, in blocks as they come, to its lines; gzip is known by its first bytes, whatever the file is called."""

import zlib
from collections.abc import Iterator
from typing import Final

from shared.domain.errors import UnreadableError

MAX_LINE: Final = 16 * 1024 * 1024
"""Of a longer line no more is kept than shows that it is."""

_GZIP: Final = b"\x1f\x8b"
_BINARY: Final = b"VWFB"
_MARK: Final = b"\xef\xbb\xbf"
_PIECE: Final = 1 << 20
"""Most that is inflated at once: a small file may hold anything."""

_ANY_GZIP: Final = 16 + zlib.MAX_WBITS


class LineSplitter:
    """Splits one file. Memory is bounded by a block, a piece of it inflated, and a line."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_ANY_GZIP)
        self._is_gzip: bool | None = None
        self._is_between = True
        self._head = b""
        self._rest = bytearray()

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Give the lines that end in this block, without what ends them; raises `UnreadableError` where it is no text."""
        if self._is_gzip is None:
            self._head += block
            if len(self._head) < len(_BINARY):
                return
            block = self._begun()
        for piece in self._inflated(block) if self._is_gzip else (block,):
            yield from self._split(piece)

    def end(self) -> Iterator[bytes]:
        """Give the last line, if nothing ended it; raises `UnreadableError` where a gzip file is cut off."""
        if self._is_gzip is None and self._head:
            yield from self._split(self._begun())
        if self._is_gzip and not self._is_between:
            raise UnreadableError("the file is cut off: its gzip stream does not end")
        if self._rest:
            yield self._taken()

    def _begun(self) -> bytes:
        head, self._head = self._head, b""
        self._is_gzip = head.startswith(_GZIP)
        if head.startswith(_BINARY):
            raise UnreadableError(
                "this is a binary (FlatBuffers) log of the client libraries, which is not read: convert it to dsjson first"
            )
        return head.removeprefix(_MARK)

    def _inflated(self, block: bytes) -> Iterator[bytes]:
        """Inflate piece by piece; files may consist of several streams, one after another."""
        try:
            while block:
                if self._is_between and not block.strip(b"\0"):
                    return  # padding behind the last stream
                self._is_between = False
                yield self._inflate.decompress(block, _PIECE)
                block = self._inflate.unconsumed_tail
                if self._inflate.eof:
                    block = self._inflate.unused_data
                    self._inflate = zlib.decompressobj(_ANY_GZIP)
                    self._is_between = True
        except zlib.error as cause:
            raise UnreadableError(f"the file is damaged: {cause}") from cause

    def _split(self, piece: bytes) -> Iterator[bytes]:
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._add(part)
            yield self._taken()
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._rest += part[: MAX_LINE + 1 - len(self._rest)]

    def _taken(self) -> bytes:
        line = bytes(self._rest)
        self._rest = bytearray()
        return line.removesuffix(b"\r")
