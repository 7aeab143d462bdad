"""Our files above an engine's: read whole, written once, or replaced on condition.

A conditional write leaves a mark of its own in the file's metadata, behind the marks of the writes before it. So a writer whose answer
was lost, and who finds that another has written since, can tell that its own write was done: doing it again would do it twice.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.errors import ConflictError, StorageUnavailableError
from shared.storage.ports import Content, Entry, NotModified, Storage

MARKS_KEPT: Final = 64
"""Writes that a file tells of: one of ours and those that may come between it and the look whether it was done, some seconds later."""

OVERTAKEN: Final = '"0x0"'
"""The ETag of a write of ours that another has replaced since: no file has it, so a write that goes by it is a conflict."""

_MARK_BYTES: Final = 6
_MARK: Final = _MARK_BYTES * 4 // 3
"""Characters of a mark."""

_MARKS: Final = "recent"
"""The metadata's name. A release that does not know it leaves it out, and then a lost answer may be taken for a conflict."""


class ETag(str):
    """An ETag and the marks of the writes that led to it; all others may take it for the text that it is."""

    marks: tuple[str, ...]

    def __new__(cls, text: str, marks: tuple[str, ...] = ()) -> "ETag":
        """Add the marks to a text."""
        etag = super().__new__(cls, text)
        etag.marks = marks
        return etag


@dataclass(frozen=True, slots=True)
class File:
    """A file's content and the ETag it had."""

    data: bytes
    etag: ETag


class Files:
    """One area."""

    def __init__(self, storage: Storage, area: str) -> None:
        self._files = storage.files(area)

    async def read(self, name: str) -> File | None:
        """Read a file; None when there is none."""
        content = await self._files.read(name)
        return None if content is None else _file(content)

    async def news(self, name: str, *, known: str) -> File | None:
        """Read a file unless its ETag is ``known``, and then give None; of one that is not there any more the empty file without an ETag.

        With nothing known ("") it is read, and None tells that it is not there.
        """
        try:
            content = await self._files.read(name, unless=known)
        except NotModified:
            return None
        if content is None:
            return File(b"", ETag("")) if known else None
        return _file(content)

    async def head(self, name: str, *, size: int) -> tuple[bytes, Mapping[str, str]] | None:
        """Read a file's first bytes, at most so many, and its metadata; None when there is none."""
        content = await self._files.head(name, size=size)
        return None if content is None else (content.data, content.metadata)

    async def metadata(self, name: str) -> Mapping[str, str] | None:
        """Read a file's metadata alone; None when there is none."""
        content = await self._files.head(name, size=0)
        return None if content is None else content.metadata

    async def write_once(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        """Write a file whose name tells its content: if it is there already, nothing has to be done."""
        try:
            await self._files.put(name, data, expected=None, metadata=metadata)
        except ConflictError as conflict:
            if await self.metadata(name) is None:  # what refused it was not that it is there
                raise StorageUnavailableError(f"storage refused to write {name}, which is not there") from conflict

    async def replace(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None = None) -> str:
        """Write a file if its ETag is still ``expected`` (None: if there is none), and give the new ETag.

        Raises `ConflictError` when it is not. An attempt of our own whose answer was lost counts as done, and still does after others
        have written: its ETag is `OVERTAKEN` then. ``expected`` is what `read` or this gave: it knows the marks that are to be kept.
        """
        mark = secrets.token_urlsafe(_MARK_BYTES)
        marks = (*(expected.marks if isinstance(expected, ETag) else ()), mark)[-MARKS_KEPT:]
        labels = {**(metadata or {}), _MARKS: "".join(marks)}
        try:
            return ETag(await self._files.put(name, data, expected=expected, metadata=labels), marks)
        except ConflictError:
            present = await self.read(name)
            if present is None or not (present.data == data or mark in present.etag.marks):
                raise
            return present.etag if present.data == data else OVERTAKEN

    def listing(self, prefix: str) -> AsyncIterator[Entry]:
        """List the files whose names begin so, with their metadata."""
        return self._files.listing(prefix)

    async def folders(self, prefix: str) -> Sequence[str]:
        """List what stands between the prefix and the next slash."""
        return await self._files.folders(prefix)

    async def delete(self, name: str, *, expected: str | None = None) -> None:
        """Delete a file, if it is there and, where an ETag is expected, still has that."""
        await self._files.delete(name, expected=expected)

    async def acquire(self, name: str, *, seconds: int) -> str | None:
        """Take a file's lease, and give its id; None while another holds it."""
        return await self._files.acquire(name, seconds=seconds)

    async def renew(self, name: str, lease: str) -> None:
        """Hold a lease for as long again."""
        await self._files.renew(name, lease)

    async def release(self, name: str, lease: str) -> None:
        """Let go of a lease."""
        await self._files.release(name, lease)


def _file(content: Content) -> File:
    text = content.metadata.get(_MARKS, "")
    return File(content.data, ETag(content.etag, tuple([text[at : at + _MARK] for at in range(0, len(text), _MARK)])))
