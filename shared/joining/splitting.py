"""From the bytes of a log, in blocks as they come, to its lines; gzip and binary logs are known by their first bytes, not by a name."""

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

import orjson

from shared.domain.errors import KindNotReadError, UnreadableError

MAX_LINE: Final = 16 * 1024 * 1024
"""Of a longer line no more is kept than shows that it is."""

Line = bytes | UnreadableError
"""A line, or why a decision of a binary log has none."""

_GZIP: Final = b"\x1f\x8b"
_MARK: Final = b"\xef\xbb\xbf"
_BINARY: Final = (b"VWFB", b"\x55" * 4, b"\x11" * 4, b"\xff" * 4)
"""What a binary log begins with: its own letters or, if it was split, a message."""

_SHOWN: Final = 4
"""Bytes that show what a file is."""

_UNJOINED: Final = range(1, 14)
"""Numbers of the messages that a client library writes to a file where it was told to send to one."""

_PIECE: Final = 1 << 20
"""Most that is inflated at once: a small file may hold anything."""

_ANY_GZIP: Final = 16 + zlib.MAX_WBITS


class _Content(Protocol):
    """What is in a file, inflated if it was gzipped."""

    def feed(self, piece: bytes) -> Iterator[Line]:
        """Give the lines that end in this piece."""
        ...

    def end(self) -> Iterator[Line]:
        """Give the last ones."""
        ...


class LineSplitter:
    """Splits one file. Memory is bounded by a block, a piece of it inflated, and a line; of a binary log, by what its reader keeps."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_ANY_GZIP)
        self._is_gzip: bool | None = None
        self._damage: zlib.error | None = None
        self._is_between = True
        self._is_begun = False
        self._head = b""
        self._begun = b""
        self._content: _Content | None = None

    def feed(self, block: bytes) -> Iterator[Line]:
        """Give the lines that end in this block, without what ends them; raises `UnreadableError` where it is no text."""
        if self._is_gzip is None:
            self._head += block
            if len(self._head) < len(_GZIP):
                return
            block, self._head = self._head, b""
            self._is_gzip = block.startswith(_GZIP)
        try:
            for piece in self._inflated(block) if self._is_gzip else (block,):
                for line in self._split(piece):
                    if self._damage is not None and not _is_whole(line):
                        raise self._damage  # it begins before the place where it shows: what follows looks like text, but is none
                    yield line
        except zlib.error as cause:
            yield from self._last()
            raise UnreadableError(f"the file is damaged: {cause}") from cause
        except ModuleNotFoundError as cause:
            name = (cause.name or "").partition(".")[0]
            raise UnreadableError(f"this is a binary log: to read it, install the package {name} (requirements/cli.txt)") from cause

    def end(self) -> Iterator[Line]:
        """Give the last line, if nothing ended it; raises `UnreadableError` where a file is cut off."""
        yield from self._split(self._head)
        if self._is_gzip and not self._is_between:
            yield from self._last()
            raise UnreadableError("the file is cut off: its gzip stream does not end")
        yield from self._ended()

    def _last(self) -> Iterator[Line]:
        """Give the last line of what is followed by damage, if it is whole: if the damage begins behind a stream that had its end."""
        if not self._is_begun and (self._begun or self._content is not None):
            yield from self._ended()

    def _ended(self) -> Iterator[Line]:
        if self._content is None:
            self._content = _content_of(self._begun)
            yield from self._content.feed(self._begun)
        yield from self._content.end()

    def _inflated(self, block: bytes) -> Iterator[bytes]:
        """Inflate piece by piece; files may consist of several streams, one after another. Raises `zlib.error` for what is damaged."""
        while block:
            if self._is_between and not block.strip(b"\0"):
                return  # padding behind the last stream
            self._is_between = False
            before = self._inflate.copy()
            try:
                piece = self._inflate.decompress(block, _PIECE)
            except zlib.error as damage:
                self._damage = damage
                yield from self._inflated_so_far(before, block)
                raise
            self._is_begun |= bool(piece)
            yield piece
            block = self._inflate.unconsumed_tail
            if self._inflate.eof:
                block = self._inflate.unused_data
                self._inflate = zlib.decompressobj(_ANY_GZIP)
                self._is_between, self._is_begun = True, False

    def _inflated_so_far(self, inflate: "zlib._Decompress", block: bytes) -> Iterator[bytes]:
        """Inflate what comes before the damage in a block, which is found by halves: at the damage itself nothing is given."""
        while block:
            part = block[: (len(block) + 1) // 2]
            attempt = inflate.copy()
            try:
                piece = attempt.decompress(part)
            except zlib.error:
                if len(part) == len(block):
                    return
                block = part
                continue
            self._is_begun |= bool(piece)
            yield piece
            inflate, block = attempt, block[len(part) :]

    def _split(self, piece: bytes) -> Iterator[Line]:
        if self._content is None:
            self._begun += piece
            if len(self._begun) < _SHOWN:
                return
            piece, self._begun = self._begun, b""
            self._content = _content_of(piece)
        yield from self._content.feed(piece)


def _is_whole(line: Line) -> bool:
    """Whether a line holds what it was written with, as far as can be seen: JSON from its beginning to its end, or nothing."""
    if isinstance(line, UnreadableError) or not line.strip():
        return True
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _content_of(begun: bytes) -> _Content:
    """Tell by the first bytes what a file holds; raises `UnreadableError` for what a client library did not join yet."""
    if begun.startswith(_BINARY):
        from shared.joining.binary.joined import BinaryLog

        return BinaryLog()
    if begun[:1] == b"\0" and begun[2:3] == b"\0" and len(begun) >= _SHOWN and begun[3] in _UNJOINED:
        raise KindNotReadError(
            "these are decisions or rewards that a client library wrote to a file, not joined with each other:"
            " join them with the client library's joiner first, then import the result"
        )
    return _Text()


class _Text:
    """Lines that end with a line feed, or with the file."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._is_first = True

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if self._is_first:
            piece, self._is_first = piece.removeprefix(_MARK), False
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._add(part)
            yield self._taken()
        self._add(rest)

    def end(self) -> Iterator[bytes]:
        if self._rest:
            yield self._taken()

    def _add(self, part: bytes) -> None:
        self._rest += part[: MAX_LINE + 1 - len(self._rest)]

    def _taken(self) -> bytes:
        line = bytes(self._rest)
        self._rest = bytearray()
        return line.removesuffix(b"\r")
