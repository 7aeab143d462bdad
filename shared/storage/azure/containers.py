"""Containers of others, by their addresses: logs that are imported, and mirrors."""

from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from azure.core.pipeline.transport import AsyncHttpTransport
from azure.storage.blob.aio import ContainerClient

from shared.domain.errors import InvalidSasUriError
from shared.domain.mirror import MirrorTarget
from shared.storage.azure.failures import check_answer, storage_failures
from shared.storage.azure.files import AzureFiles

_READING: Final[dict[str, Any]] = {
    "connection_timeout": 5,
    "read_timeout": 30,
    "retry_total": 4,
    "raw_response_hook": check_answer,
}
_MIRRORING: Final[dict[str, Any]] = {
    "connection_timeout": 3,
    "read_timeout": 10,
    "retry_total": 1,
    "initial_backoff": 0.2,
    "increment_base": 2,
    "random_jitter_range": 0,
    "permit_redirects": False,
    "raw_response_hook": check_answer,
}
"""Little patience, since there is a next run; and no other host is gone to than the one that was checked."""
_LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}


class ForeignContainer:
    """A container and the prefix that an address names; ``files`` are the container's, until it is closed."""

    def __init__(self, uri: str) -> None:
        """Read an address, with or without a signature; raises `InvalidSasUriError`.

        >>> ForeignContainer("https://logs.blob.core.windows.net/joined/2023/05?sig=x").prefix
        '2023/05'
        """
        parts = urlsplit(uri)
        segments = [each for each in parts.path.split("/") if each]
        depth = 2 if parts.hostname in _LOCAL_HOSTS else 1
        if parts.scheme not in ("https", "http") or len(segments) < depth:
            raise InvalidSasUriError(f"{parts.scheme}://{parts.hostname}{parts.path} is not the address of a container of Blob storage")
        container = urlunsplit((parts.scheme, parts.netloc, "/".join(["", *segments[:depth]]), parts.query, ""))
        self._client: ContainerClient = ContainerClient.from_container_url(container, **_READING)
        self.name = segments[depth - 1]
        self.prefix = unquote("/".join(segments[depth:]))
        self.files = AzureFiles(lambda: self._client)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


async def mirror_to(target: MirrorTarget, name: str, text: bytes, *, transport: AsyncHttpTransport[Any, Any] | None = None) -> None:
    """Write a file to a mirror; raises `StorageUnavailableError`, without the signature in its text."""
    options = _MIRRORING if transport is None else {**_MIRRORING, "transport": transport}
    async with storage_failures(f"mirror to {target}"):
        container: ContainerClient = ContainerClient.from_container_url(target.uri, **options)
        async with container:
            await container.upload_blob(name, text, overwrite=True)
