"""Files in a container of Blob storage: read whole, written once, or replaced on condition.

A conditional write leaves a mark of its own in the file's metadata, behind the marks of the writes before it. So a writer whose answer
was lost, and who finds that another has written since, can tell that its own write was done: doing it again would do it twice.
"""

import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import ContainerClient, StorageStreamDownloader

from shared.domain.errors import ConflictError, StorageUnavailableError
from shared.storage.account import StorageAccount
from shared.storage.deletions import is_being_deleted
from shared.storage.failures import is_absent, storage_failures, told

MARKS_KEPT: Final = 64
"""Writes that a file tells of: one of ours and those that may come between it and the look whether it was done, some seconds later."""

OVERTAKEN: Final = '"0x0"'
"""The ETag of a write of ours that another has replaced since: no file has it, so a write that goes by it is a conflict."""

_NOT_MODIFIED: Final = 304
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


class BlobFiles:
    """One container, made on first need."""

    def __init__(self, account: StorageAccount, container: str) -> None:
        self._account = account
        self._name = container

    @property
    def container(self) -> ContainerClient:
        """The SDK's client of the container."""
        return self._account.blobs.get_container_client(self._name)

    async def read(self, name: str) -> File | None:
        """Read a file; None when there is none."""
        async with storage_failures(f"read {name}"):
            try:
                return await self._download(name)
            except ResourceNotFoundError as answer:
                _believe(answer)
                return None

    async def news(self, name: str, *, known: str) -> File | None:
        """Read a file unless its ETag is ``known``, and then give None; of one that is not there any more the empty file without an ETag.

        With nothing known ("") it is read, and None tells that it is not there.
        """
        condition: dict[str, Any] = {"etag": known, "match_condition": MatchConditions.IfModified} if known else {}
        async with storage_failures(f"poll {name}"):
            try:
                return await self._download(name, **condition)
            except ResourceNotFoundError as answer:
                _believe(answer)
                return File(b"", ETag("")) if known else None
            except HttpResponseError as answer:
                if answer.status_code == _NOT_MODIFIED and known:
                    return None
                raise

    async def _download(self, name: str, **options: Any) -> File:
        download = await self.container.download_blob(name, **options)
        return File(await _whole(download), _etag(download.properties))

    async def head(self, name: str, *, size: int) -> tuple[bytes, Mapping[str, str]] | None:
        """Read a file's first bytes, at most so many, and its metadata; None when there is none."""
        async with storage_failures(f"read {name}"):
            try:
                download = await self.container.download_blob(name, offset=0, length=size)
                return await _whole(download), _labels(download.properties)
            except ResourceNotFoundError as answer:
                _believe(answer)
                return None

    async def metadata(self, name: str) -> Mapping[str, str] | None:
        """Read a file's metadata alone; None when there is none."""
        async with storage_failures(f"look at {name}"):
            try:
                return _labels(await self.container.get_blob_client(name).get_blob_properties())
            except ResourceNotFoundError as answer:
                _believe(answer)
                return None

    async def write_once(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        """Write a file whose name tells its content: if it is there already, nothing has to be done."""
        try:
            await self._upload(name, data, expected=None, metadata=metadata)
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
            return ETag(await self._upload(name, data, expected=expected, metadata=labels), marks)
        except ConflictError:
            present = await self.read(name)
            if present is None or not (present.data == data or mark in present.etag.marks):
                raise
            return present.etag if present.data == data else OVERTAKEN

    async def _upload(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None) -> str:
        async with storage_failures(f"write {name}"):
            try:
                return await self._put_or_create(name, data, expected=expected, metadata=metadata)
            except (ResourceExistsError, ResourceModifiedError) as cause:
                if is_being_deleted(cause):
                    raise
                raise ConflictError(f"{name} was written by another") from cause

    async def _put_or_create(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None) -> str:
        try:
            return await self._put(name, data, expected=expected, metadata=metadata)
        except ResourceNotFoundError as answer:  # the first file of all
            _believe(answer)
            await self._create()
            return await self._put(name, data, expected=expected, metadata=metadata)

    async def _put(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None) -> str:
        blob = self.container.get_blob_client(name)
        labels = None if metadata is None else dict(metadata)
        if expected is None:
            answer = await blob.upload_blob(data, overwrite=False, metadata=labels)
        else:
            answer = await blob.upload_blob(
                data, overwrite=True, metadata=labels, etag=expected, match_condition=MatchConditions.IfNotModified
            )
        return told(answer.get("etag"))

    async def _create(self) -> None:
        try:
            await self.container.create_container()
        except ResourceExistsError as answer:
            if is_being_deleted(answer):
                raise

    async def listing(self, prefix: str) -> AsyncIterator[BlobProperties]:
        """List the files whose names begin so, with their metadata."""
        pages = self.container.list_blobs(name_starts_with=prefix, include=["metadata"]).by_page()
        while True:
            async with storage_failures(f"list {prefix}"):
                try:
                    page = [_listed(blob) async for blob in await anext(pages)]
                except ResourceNotFoundError as answer:
                    _believe(answer)
                    return
                except StopAsyncIteration:
                    return
            for blob in page:
                yield blob

    async def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        async with storage_failures(f"delete {name}"):
            try:
                await self.container.delete_blob(name)
            except ResourceNotFoundError as answer:
                _believe(answer)


def _believe(answer: ResourceNotFoundError) -> None:
    """Believe that there is nothing; raises an answer that storage did not give itself."""
    if not is_absent(answer):
        raise answer


async def _whole(download: StorageStreamDownloader[bytes]) -> bytes:
    data = await download.readall()
    if len(data) != download.size:
        raise StorageUnavailableError(f"storage sent {len(data)} bytes of {download.size}")
    return data


def _listed(blob: BlobProperties) -> BlobProperties:
    """Give an entry of a listing; raises `StorageUnavailableError` for one that does not tell what each does."""
    if not blob.name or blob.size is None or blob.last_modified is None:
        raise StorageUnavailableError("storage listed something that tells nothing")
    return blob


def _labels(properties: BlobProperties) -> dict[str, str]:
    told(properties.etag)
    return {label: text or "" for label, text in (properties.metadata or {}).items()}


def _etag(properties: BlobProperties) -> ETag:
    text = (properties.metadata or {}).get(_MARKS) or ""
    return ETag(told(properties.etag), tuple([text[at : at + _MARK] for at in range(0, len(text), _MARK)]))
