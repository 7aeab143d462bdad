"""The storage account: its clients, made when first needed and closed together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any
from urllib.request import getproxies

from azure.core.pipeline.transport import AsyncHttpTransport
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from shared.domain.errors import SettingsError
from shared.storage.clocks import StorageTime
from shared.storage.waiting import Waiter

_TIMEOUTS: Mapping[str, Any] = MappingProxyType({"connection_timeout": 3, "read_timeout": 8})
_TABLE_RETRIES: Mapping[str, Any] = MappingProxyType({"retry_total": 4, "retry_backoff_factor": 0.1, "retry_backoff_max": 2})
_PIECES: Mapping[str, Any] = MappingProxyType({"max_single_put_size": 16 * 1024 * 1024, "max_block_size": 4 * 1024 * 1024})
"""A file over 16 MiB is sent block by block, and there when the last is: sent whole, the SDK and the socket would hold copies of it."""
_TABLE_IDS: Mapping[str, Any] = MappingProxyType({"auto_request_id": False})
"""Storage names each request itself, in its errors too; an id of ours, which nothing would tell of, costs 4 % of an append."""
_RETRIES: Mapping[str, Any] = MappingProxyType({"retry_total": 3, "initial_backoff": 0.2, "increment_base": 2, "random_jitter_range": 0})

_NO_QUEUES = (
    "AzureWebJobsStorage must be a connection string, or AzureWebJobsStorage__queueServiceUri"
    " (or AzureWebJobsStorage__accountName) must name the storage account of the Functions host"
)


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Where the account is and how to get in: by connection string, or by the addresses of its services and an identity.

    ``client_id`` picks a user-assigned managed identity; without one, and with ``managed_identity`` false, the identity is
    whatever the environment offers (a developer's login, a workload identity).
    """

    connection_string: str = field(default="", repr=False)
    blob_uri: str = ""
    table_uri: str = ""
    queue_uri: str = ""
    managed_identity: bool = False
    client_id: str | None = None


class StorageAccount:
    """Clients of one account; ``time`` is what their answers tell of storage's clock.

    ``transport`` takes the place of the SDK's own, ``retries`` those of blobs and queues, and ``time`` that of the machine's clock, for
    tests.
    """

    def __init__(
        self,
        settings: AccountSettings,
        *,
        transport: AsyncHttpTransport[Any, Any] | None = None,
        retries: Mapping[str, Any] = _RETRIES,
        time: StorageTime | None = None,
    ) -> None:
        self._settings = settings
        self.time = time or StorageTime()
        self._transport: Mapping[str, Any] = {} if transport is None else {"transport": transport}
        self._retries = retries

    @cached_property
    def tables(self) -> TableServiceClient:
        """The Table service."""
        options: dict[str, Any] = {**_TIMEOUTS, **_TABLE_RETRIES, **_TABLE_IDS, **self.time.hooks, **_environment(), **self._transport}
        if self._settings.connection_string:
            return TableServiceClient.from_connection_string(self._settings.connection_string, **options)
        return TableServiceClient(self._settings.table_uri, credential=self._credential, **options)

    @cached_property
    def blobs(self) -> BlobServiceClient:
        """The Blob service."""
        options: dict[str, Any] = {**_TIMEOUTS, **_PIECES, **self._retries, **self.time.hooks, **_environment(), **self._transport}
        if self._settings.connection_string:
            return BlobServiceClient.from_connection_string(self._settings.connection_string, **options)
        return BlobServiceClient(self._settings.blob_uri, credential=self._credential, **options)

    @cached_property
    def queues(self) -> QueueServiceClient:
        """The Queue service; raises `SettingsError` for an account that is not known to have one."""
        options: dict[str, Any] = {**_TIMEOUTS, **self._retries, **self.time.hooks, **_environment(), **self._transport}
        if self._settings.connection_string:
            return QueueServiceClient.from_connection_string(self._settings.connection_string, **options)
        if not self._settings.queue_uri:
            raise SettingsError(_NO_QUEUES)
        return QueueServiceClient(self._settings.queue_uri, credential=self._credential, **options)

    @cached_property
    def waiter(self) -> Waiter["StorageAccount"]:
        """The same account for threads that wait, as the one that polls it."""
        return Waiter(lambda: StorageAccount(self._settings, retries=self._retries, time=self.time))

    @cached_property
    def _credential(self) -> ManagedIdentityCredential | DefaultAzureCredential:
        if self._settings.managed_identity:
            return ManagedIdentityCredential(client_id=self._settings.client_id)
        return DefaultAzureCredential(managed_identity_client_id=self._settings.client_id)

    async def close(self) -> None:
        """Close every client that was made."""
        made = vars(self)
        for name in ("tables", "blobs", "queues", "_credential", "waiter"):
            if name in made:
                await made.pop(name).close()


def _environment() -> Mapping[str, Any]:
    """Let the SDK ask for proxies where there are some: it would do so for each request, in a thread, and look for a ``.netrc`` as well."""
    return {"use_env_settings": not {"http", "https"}.isdisjoint(getproxies())}
