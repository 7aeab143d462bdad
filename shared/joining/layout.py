"""How the text of a file is laid out: one event a line, or otherwise, or no log at all. What is no log of lines is told once a file."""

import codecs
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

import msgspec

from shared.domain.errors import KindNotReadError, NoLogError, UnreadableError

_HEAD: Final = 1024
"""Bytes by which a file's kind is known."""

_SEARCHED: Final = 1024 * 1024
"""Bytes of an indented document in which a member of an event is looked for."""

_WIDE: Final = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_UNMARKED_WIDE: Final = re.compile(rb"\s*(?:\0[\[{\"]|[\[{]\0)")

_PACKED: Final = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ\0": "packed by xz",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"\x1f\x8b": "packed by gzip twice",
    b"PAR1": "a Parquet file",
    b"Obj\x01": "an Avro file",
}
_TAR: Final = slice(257, 262)
_CONTROLS: Final = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_MODEL: Final = re.compile(rb"[\x01-\x20]\0\0\0\d+\.\d+\.\d+[^\0]{0,20}\0")
"""The version that Vowpal Wabbit begins a model with, after its length."""

_EXAMPLE: Final = re.compile(rb"(?:shared |ccb |slates )?[\w:.,# +-]{0,200}\|")
"""A label, or none, and the first namespace."""

_EVENT: Final = re.compile(rb'"(?:_label_?\w*|_outcomes|_multi)"\s*:')
"""A member by which an event is known from any other JSON."""

_ANY: Final = msgspec.json.Decoder(msgspec.Raw)
_GOES_ON: Final = re.compile(r"trailing characters \(byte (\d+)\)$")
_BETWEEN: Final = re.compile(rb"(?:[\s,\0]|\xef\xbb\xbf)*")
"""What stands between events that stand on one line."""

_BESIDE: Final = re.compile(
    r"current\.dat|current|currenttrainer|.*checkpoint.*\.json|.*metrics\.json|metadata\.json|config\.json|(?:client|trainer|model.*)\.vw"
)
_BESIDE_FOLDERS: Final = frozenset({"checkpoint", "exported-models", "imported-models", "invalid-models"})


def is_beside(name: str) -> bool:
    """Whether a file of this name is one that Azure keeps beside its logs: checkpoints, models, metrics, settings.

    >>> is_beside("20230517000000/checkpoint/current.dat"), is_beside("20230517000000/data/2023/05/17_0.json")
    (True, False)
    """
    path = PurePosixPath(name.replace("\\", "/").lower())
    return bool(_BESIDE.fullmatch(path.name)) or path.parent.name in _BESIDE_FOLDERS


def check_beginning(line: bytes) -> None:
    """Look at a file's first line; raises `KindNotReadError` where the file is no text in UTF-8, and `NoLogError` where it is no log."""
    head = line[:_HEAD]
    for mark, encoding in _WIDE.items():
        if head.startswith(mark):
            raise _wide(encoding)
    if (unmarked := _UNMARKED_WIDE.match(head)) is not None:
        raise _wide("UTF-16LE" if unmarked[0].endswith(b"\0") else "UTF-16BE")  # without a mark, iconv has to be told which
    packed = next((kind for mark, kind in _PACKED.items() if head.startswith(mark)), "a tar archive" if head[_TAR] == b"ustar" else "")
    if packed:
        raise KindNotReadError(f"the file is {packed}: unpack or convert it to lines of JSON first")
    if _MODEL.match(head):
        raise NoLogError("the file is a model of Vowpal Wabbit, not a log")
    if not head.lstrip().startswith((b"{", b"[")) and not _is_text(head):
        raise NoLogError("the file is binary, and no log")


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not _CONTROLS.search(head)


def _wide(encoding: str) -> UnreadableError:
    return KindNotReadError(
        f"the file is in {encoding}{', as PowerShell writes it by >' if encoding == 'UTF-16' else ''}:"
        f" convert it to UTF-8 first (iconv -f {encoding} -t UTF-8 FILE)"
    )


class Documents:
    """Finds what stands on several lines of one file: arrays and indented objects. Nothing of them is kept.

    ``began`` is the number of the line that the first of them began with, 0 if there was none.
    """

    def __init__(self) -> None:
        self.began = 0
        self._closing = b""
        self._left = _SEARCHED
        self._is_untold = False

    def has(self, line: bytes) -> bool:
        """Tell whether the line belongs to a document that has begun; what is not indented ends at a bracket, and goes on.

        An event on a line of its own belongs to no object: the one that began was cut off.
        """
        if self._closing == b"}" and line.startswith(b'{"') and line.rstrip().endswith(b"}"):
            self._closing = b""
        return bool(self._closing) or (self.began > 0 and line[:1] not in (b"{", b"["))

    @staticmethod
    def begins(line: bytes, *, is_among_events: bool) -> bool:
        """Tell whether an array or an indented object begins with this line, and does not end with it."""
        text = line.strip()
        if text in (b"{", b"["):
            return True
        return text[:1] == b"[" and not is_among_events and text[1:].lstrip()[:1] == b"{" and not text.endswith(b"]")

    @staticmethod
    def goes_on(line: bytes) -> bool:
        """Tell whether a line cannot begin an event, but may go on with what the line before began."""
        return line[:1] in (b" ", b"\t", b'"', b"}", b"]")

    def open(self, line: bytes, number: int) -> UnreadableError | None:
        """Begin a document with this line of the file; answers as `take`."""
        self._closing = b"]" if line.lstrip().startswith(b"[") else b"}"
        if not self.began:
            self.began, self._is_untold = number, True
        return self.take(line)

    def take(self, line: bytes) -> UnreadableError | None:
        """Take a line of the document, and give what is to be said of the file, once: that it holds events, but not one a line."""
        told = self._told(line) if self._is_untold else None
        if self._closing and not line[:1].isspace() and line.rstrip().rstrip(b",").endswith(self._closing):
            self._closing = b""
        return told

    def end(self) -> UnreadableError | None:
        """Give what is to be said of the file when it is over, if nothing was yet: that its documents held no event."""
        was_untold, self._is_untold = self._is_untold, False
        return NoLogError("JSON that holds no event") if was_untold else None

    def _told(self, line: bytes) -> UnreadableError | None:
        searched = line[: self._left]
        self._left -= len(searched)
        if not _EVENT.search(searched):
            return None
        self._is_untold = False
        if self._closing == b"]":
            return _array()
        return KindNotReadError("indented JSON, where one event a line is read: jq -c . FILE writes lines")


def tidied(line: bytes) -> bytes:
    """Take away what files that were put together, padded or cut out of an array leave around a line: marks, NULs, commas."""
    if line[:1] in (b"\xef", b"\0") or line[-1:] == b"\0":
        line = line.strip(b"\0").removeprefix(codecs.BOM_UTF8)
    if line[-1:] in b", \t\r":
        ended = line.rstrip(b", \t\r")
        line = ended if ended.endswith(b"}") else line
    if line[:1] == b",":
        begun = line.lstrip(b", \t")
        line = begun if begun[:1] in b"{" else line
    return line


def objects(line: bytes) -> Iterator[bytes]:
    """Give the objects of a line, one after another: where files were put together, the first line of one follows the last of another.

    What follows the last whole object is given as it is; so is a line that does not begin with an object that is whole.

    >>> list(objects(b'{"x":1}{"x":2} , {"x":')), list(objects(b'{"x"'))
    ([b'{"x":1}', b'{"x":2}', b'{"x":'], [b'{"x"'])
    """
    at, view = 0, memoryview(line)
    while at < len(line):
        length = _length(view[at:])
        yield line[at : at + length].rstrip()
        found = _BETWEEN.match(line, at + length)
        at = found.end() if found else len(line)


def _length(text: memoryview) -> int:
    """Give the length of the object that a text begins with: all of it, unless something follows a whole one."""
    try:
        _ANY.decode(text)
    except (msgspec.DecodeError, RecursionError) as cause:
        goes_on = _GOES_ON.search(str(cause))
        if goes_on and bytes(text[:1]) == b"{":
            return int(goes_on[1]) - 1  # the decoder names the place behind the first byte that it does not expect
    return len(text)


def check_line(line: bytes, *, is_among_events: bool) -> None:
    """Look at how a line begins; raises `KindNotReadError` for any but an object, and `NoLogError` for a list.

    A list of events that no line of an event came before is taken for the file's layout.
    """
    begun = line.lstrip()[:1]
    if begun == b"{":
        return
    if begun != b"[":
        kind = "Vowpal Wabbit's own text format, where dsjson is read" if _EXAMPLE.match(line) else "it does not begin with {"
        raise KindNotReadError(f"not a line of dsjson: {kind}")
    if not is_among_events and line.lstrip()[1:].lstrip()[:1] == b"{" and _EVENT.search(line):
        raise _array()
    raise NoLogError("a line that begins with [, and is no event")


def _array() -> UnreadableError:
    return KindNotReadError("a JSON array, where one event a line is read: jq -c '.[]' FILE writes lines")
