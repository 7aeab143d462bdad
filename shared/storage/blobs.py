"""Files in a container of Blob storage: read whole, written once, or replaced on condition."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import ContainerClient

from shared.domain.errors import ConflictError
from shared.storage.account import StorageAccount
from shared.storage.failures import storage_failures


@dataclass(frozen=True, slots=True)
class File:
    """A file's content and the ETag it had."""

    data: bytes
    etag: str


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
                download = await self.container.download_blob(name)
                return File(await download.readall(), str(download.properties.etag))
            except ResourceNotFoundError:
                return None

    async def head(self, name: str, *, size: int) -> tuple[bytes, Mapping[str, str]] | None:
        """Read a file's first bytes, at most so many, and its metadata; None when there is none."""
        async with storage_failures(f"read {name}"):
            try:
                download = await self.container.download_blob(name, offset=0, length=size)
                return await download.readall(), {label: text or "" for label, text in (download.properties.metadata or {}).items()}
            except ResourceNotFoundError:
                return None

    async def metadata(self, name: str) -> Mapping[str, str] | None:
        """Read a file's metadata alone; None when there is none."""
        async with storage_failures(f"look at {name}"):
            try:
                properties = await self.container.get_blob_client(name).get_blob_properties()
            except ResourceNotFoundError:
                return None
        return {label: text or "" for label, text in (properties.metadata or {}).items()}

    async def write_once(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        """Write a file whose name tells its content: if it is there already, nothing has to be done."""
        try:
            await self.replace(name, data, expected=None, metadata=metadata)
        except ConflictError:
            return

    async def replace(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None = None) -> str:
        """Write a file if its ETag is still ``expected`` (None: if there is none), and give the new ETag.

        Raises `ConflictError` when it is not. An attempt of our own whose answer was lost counts as done.
        """
        try:
            return await self._upload(name, data, expected=expected, metadata=metadata)
        except ConflictError:
            present = await self.read(name)
            if present is None or present.data != data:
                raise
            return present.etag

    async def _upload(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None) -> str:
        async with storage_failures(f"write {name}"):
            try:
                return await self._put_or_create(name, data, expected=expected, metadata=metadata)
            except (ResourceExistsError, ResourceModifiedError) as cause:
                raise ConflictError(f"{name} was written by another") from cause

    async def _put_or_create(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None) -> str:
        try:
            return await self._put(name, data, expected=expected, metadata=metadata)
        except ResourceNotFoundError:  # the first file of all
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
        return str(answer["etag"])

    async def _create(self) -> None:
        try:
            await self.container.create_container()
        except ResourceExistsError:
            return

    async def listing(self, prefix: str) -> AsyncIterator[BlobProperties]:
        """List the files whose names begin so, with their metadata."""
        pages = self.container.list_blobs(name_starts_with=prefix, include=["metadata"]).by_page()
        while True:
            async with storage_failures(f"list {prefix}"):
                try:
                    page = [blob async for blob in await anext(pages)]
                except (ResourceNotFoundError, StopAsyncIteration):
                    return
            for blob in page:
                yield blob

    async def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        async with storage_failures(f"delete {name}"):
            try:
                await self.container.delete_blob(name)
            except ResourceNotFoundError:
                return
