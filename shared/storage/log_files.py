"""Logs that lie in a container of Blob storage, the app's own or another's: `shared.services.log_files.LogFile`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from azure.core.exceptions import ResourceNotFoundError as NotThere
from azure.storage.blob.aio import ContainerClient

from shared.domain.errors import InvalidSasUriError, ResourceNotFoundError
from shared.storage.account import StorageAccount
from shared.storage.failures import check_answer, is_absent, storage_failures

_OPTIONS: Final[dict[str, Any]] = {
    "connection_timeout": 5,
    "read_timeout": 30,
    "retry_total": 4,
    "raw_response_hook": check_answer,
}
_LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class BlobLogFile:
    """A blob."""

    container: ContainerClient = field(repr=False)
    name: str
    size: int

    async def blocks(self) -> AsyncIterator[bytes]:
        """Read it, some MiB at a time."""
        async with storage_failures(f"read {self.name}"):
            download = await self.container.download_blob(self.name)
        blocks = aiter(download.chunks())
        while True:
            async with storage_failures(f"read {self.name}"):
                block = await anext(blocks, None)
            if block is None:
                return
            yield bytes(block)


def own_container(account: StorageAccount, name: str) -> ContainerClient:
    """Give a container of the app's own account."""
    return account.blobs.get_container_client(name)


def foreign_container(uri: str) -> tuple[ContainerClient, str]:
    """Give a container by its address, with or without a signature, and what stands behind it; raises `InvalidSasUriError`.

    >>> foreign_container("https://logs.blob.core.windows.net/joined/2023/05?sig=x")[1]
    '2023/05'
    """
    parts = urlsplit(uri)
    segments = [each for each in parts.path.split("/") if each]
    depth = 2 if parts.hostname in _LOCAL_HOSTS else 1
    if parts.scheme not in ("https", "http") or len(segments) < depth:
        raise InvalidSasUriError(f"{parts.scheme}://{parts.hostname}{parts.path} is not the address of a container of Blob storage")
    container = urlunsplit((parts.scheme, parts.netloc, "/".join(["", *segments[:depth]]), parts.query, ""))
    client: ContainerClient = ContainerClient.from_container_url(container, **_OPTIONS)
    return client, unquote("/".join(segments[depth:]))


async def blob_log_files(container: ContainerClient, prefix: str) -> Sequence[BlobLogFile]:
    """List the blobs whose names begin so, or the one that is called so; raises `ResourceNotFoundError` when there is none."""
    found: list[BlobLogFile] = []
    async with storage_failures(f"list {prefix or 'the container'}"):
        try:
            found = [BlobLogFile(container, blob.name, blob.size) async for blob in container.list_blobs(name_starts_with=prefix)]
        except NotThere as cause:
            if not is_absent(cause):
                raise
            raise ResourceNotFoundError(f"there is no container {container.container_name}") from cause
    exact = [file for file in found if file.name == prefix]
    present = exact or [file for file in found if file.size]
    if not present:
        raise ResourceNotFoundError(f"there is nothing under {container.container_name}/{prefix}")
    return present
