"""Files in a container of Blob storage: `shared.storage.ports.FileStore`."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobLeaseClient, BlobPrefix, ContainerClient, StorageStreamDownloader

from shared.domain.errors import ConflictError, StorageUnavailableError
from shared.storage.azure.deletions import is_being_deleted
from shared.storage.azure.failures import believe, storage_failures, told
from shared.storage.ports import Content, Entry, NotModified

_NOT_MODIFIED: Final = 304
_HELD_BY_ANOTHER: Final = 409
_NOTHING_THERE: Final = 416


class AzureFiles:
    """One container, made on first need; ``container`` gives the SDK's client."""

    def __init__(self, container: Callable[[], ContainerClient]) -> None:
        self._container = container

    async def read(self, name: str, *, unless: str = "") -> Content | None:
        """Read a file, on condition."""
        condition: dict[str, Any] = {"etag": unless, "match_condition": MatchConditions.IfModified} if unless else {}
        async with storage_failures(f"read {name}"):
            try:
                return await self._downloaded(name, **condition)
            except ResourceNotFoundError as answer:
                believe(answer)
                return None
            except HttpResponseError as answer:
                if answer.status_code != _NOT_MODIFIED or not unless:
                    raise
        raise NotModified

    async def head(self, name: str, *, size: int) -> Content | None:
        """Read a file's first bytes and its metadata, or these alone."""
        async with storage_failures(f"look at {name}"):
            try:
                return await self._first(name, size)
            except ResourceNotFoundError as answer:
                believe(answer)
                return None

    async def _first(self, name: str, size: int) -> Content:
        if size:
            try:
                return await self._downloaded(name, offset=0, length=size)
            except HttpResponseError as answer:
                if answer.status_code != _NOTHING_THERE:  # an empty file has no first bytes
                    raise
        return _content(b"", await self._container().get_blob_client(name).get_blob_properties())

    async def _downloaded(self, name: str, **options: Any) -> Content:
        download = await self._container().download_blob(name, **options)
        return _content(await _whole(download), download.properties)

    async def blocks(self, name: str) -> AsyncIterator[bytes]:
        """Read a file some MiB at a time; the SDK asks for each block on condition that the file is the same."""
        async with storage_failures(f"read {name}"):
            try:
                download = await self._container().download_blob(name)
            except ResourceNotFoundError as answer:
                believe(answer)
                return
        blocks = aiter(download.chunks())
        while True:
            async with storage_failures(f"read {name}"):
                block = await anext(blocks, None)
            if block is None:
                return
            yield bytes(block)

    async def put(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None = None) -> str:
        """Write a file on condition."""
        async with storage_failures(f"write {name}"):
            try:
                return await self._put_or_create(name, data, expected, metadata)
            except (ResourceExistsError, ResourceModifiedError) as cause:
                if is_being_deleted(cause):
                    raise
                raise ConflictError(f"{name} was written by another") from cause

    async def _put_or_create(self, name: str, data: bytes, expected: str | None, metadata: Mapping[str, str] | None) -> str:
        try:
            return await self._put(name, data, expected, metadata)
        except ResourceNotFoundError as answer:  # the first file of all
            believe(answer)
            await self._create()
            return await self._put(name, data, expected, metadata)

    async def _put(self, name: str, data: bytes, expected: str | None, metadata: Mapping[str, str] | None) -> str:
        blob = self._container().get_blob_client(name)
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
            await self._container().create_container()
        except ResourceExistsError as answer:
            if is_being_deleted(answer):
                raise

    async def listing(self, prefix: str) -> AsyncIterator[Entry]:
        """List files, a request for each page."""
        pages = self._container().list_blobs(name_starts_with=prefix, include=["metadata"]).by_page()
        while True:
            async with storage_failures(f"list {prefix}"):
                try:
                    page = [_listed(blob) async for blob in await anext(pages)]
                except ResourceNotFoundError as answer:
                    believe(answer)
                    return
                except StopAsyncIteration:
                    return
            for entry in page:
                yield entry

    async def folders(self, prefix: str) -> Sequence[str]:
        """List what stands between the prefix and the next slash."""
        async with storage_failures(f"list {prefix}"):
            try:
                found = [each.name async for each in self._container().walk_blobs(prefix) if isinstance(each, BlobPrefix)]
            except ResourceNotFoundError as answer:
                believe(answer)
                return ()
        return sorted(name.removeprefix(prefix).removesuffix("/") for name in found)

    async def delete(self, name: str, *, expected: str | None = None) -> None:
        """Delete a file, on condition."""
        condition: dict[str, Any] = {} if expected is None else {"etag": expected, "match_condition": MatchConditions.IfNotModified}
        async with storage_failures(f"delete {name}"):
            try:
                await self._container().delete_blob(name, **condition)
            except ResourceNotFoundError as answer:
                believe(answer)
            except ResourceModifiedError:
                return

    async def acquire(self, name: str, *, seconds: int) -> str | None:
        """Take a lease."""
        client = BlobLeaseClient(self._container().get_blob_client(name))
        async with storage_failures(f"acquire the lease of {name}"):
            try:
                await client.acquire(lease_duration=seconds)
            except HttpResponseError as refused:
                if refused.status_code == _HELD_BY_ANOTHER and not is_being_deleted(refused):
                    return None
                raise
        return client.id

    async def renew(self, name: str, lease: str) -> None:
        """Hold a lease for as long again."""
        async with storage_failures(f"renew the lease of {name}"):
            await BlobLeaseClient(self._container().get_blob_client(name), lease_id=lease).renew()

    async def release(self, name: str, lease: str) -> None:
        """Let go of a lease."""
        async with storage_failures(f"release the lease of {name}"):
            try:
                await BlobLeaseClient(self._container().get_blob_client(name), lease_id=lease).release()
            except HttpResponseError as refused:
                if refused.status_code != _HELD_BY_ANOTHER or is_being_deleted(refused):
                    raise


async def _whole(download: StorageStreamDownloader[bytes]) -> bytes:
    data = await download.readall()
    if len(data) != download.size:
        raise StorageUnavailableError(f"storage sent {len(data)} bytes of {download.size}")
    return data


def _content(data: bytes, properties: BlobProperties) -> Content:
    return Content(data, told(properties.etag), _metadata(properties))


def _metadata(properties: BlobProperties) -> dict[str, str]:
    return {label: text or "" for label, text in (properties.metadata or {}).items()}


def _listed(blob: BlobProperties) -> Entry:
    """Give an entry of a listing; raises `StorageUnavailableError` for one that does not tell what each does."""
    if not blob.name or blob.size is None or blob.last_modified is None:
        raise StorageUnavailableError("storage gave a listing without the needed facts")
    return Entry(blob.name, blob.size, blob.last_modified, _metadata(blob))
