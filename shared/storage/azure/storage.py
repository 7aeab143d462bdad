"""A storage account as `shared.storage.ports.Storage`: the SDK's clients are made when first needed and closed together."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from azure.core.pipeline.transport import AsyncHttpTransport
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from shared.domain.errors import SettingsError
from shared.storage.azure.failures import check_answer, storage_failures, told
from shared.storage.azure.files import AzureFiles
from shared.storage.azure.rows import AzureRows
from shared.storage.clocks import StorageTime
from shared.storage.ports import Storage
from shared.storage.settings import AccountSettings
from shared.storage.waiting import Waiter

if TYPE_CHECKING:
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential
    from azure.storage.queue.aio import QueueServiceClient

    from shared.storage.azure.queue import AzureQueue

_TIMEOUTS: Mapping[str, Any] = MappingProxyType({"connection_timeout": 3, "read_timeout": 8})
_TABLE_RETRIES: Mapping[str, Any] = MappingProxyType({"retry_total": 4, "retry_backoff_factor": 0.1, "retry_backoff_max": 2})
_PIECES: Mapping[str, Any] = MappingProxyType({"max_single_put_size": 16 * 1024 * 1024, "max_block_size": 4 * 1024 * 1024})
"""A file over 16 MiB is sent block by block, and there when the last is: sent whole, the SDK and the socket would hold copies of it."""
_TABLE_IDS: Mapping[str, Any] = MappingProxyType({"auto_request_id": False})
"""Storage names each request itself, in its errors too; an id of ours, which nothing would tell of, costs 4 % of an append."""
_RETRIES: Mapping[str, Any] = MappingProxyType({"retry_total": 3, "initial_backoff": 0.2, "increment_base": 2, "random_jitter_range": 0})

_SENT = "sent"
_OWN_OF_STORAGE = "x-ms-request-id"
"""What every answer of storage has, and that of a proxy between, refusals among them, has not."""

_NO_QUEUES = (
    "AzureWebJobsStorage must be a connection string, or AzureWebJobsStorage__queueServiceUri"
    " (or AzureWebJobsStorage__accountName) must name the storage account of the Functions host"
)


class AzureStorage:
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
        self._rows = AzureRows(lambda: self.tables)

    # --- the ports -------------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> AzureRows:
        """Table storage."""
        return self._rows

    def files(self, area: str) -> AzureFiles:
        """Give a container of Blob storage."""
        return AzureFiles(lambda: self.blobs.get_container_client(area))

    async def areas(self) -> Sequence[str]:
        """List the containers."""
        async with storage_failures("list the containers"):
            return [told(container.name) async for container in self.blobs.list_containers()]

    def queue(self, name: str) -> "AzureQueue":
        """Give a queue of Queue storage; raises `SettingsError` for an account that is not known to have any."""
        from shared.storage.azure.queue import AzureQueue

        service = self.queues
        return AzureQueue(lambda: service.get_queue_client(name))

    @property
    def is_emulator(self) -> bool:
        """Whether it is an emulator on this machine."""
        return (urlsplit(self.blobs.url).hostname or "") in {"127.0.0.1", "localhost", "::1"}

    @cached_property
    def waiter(self) -> Waiter[Storage]:
        """The same account for threads that wait, as the one that polls it."""
        return Waiter(lambda: AzureStorage(self._settings, retries=self._retries, time=self.time))

    # --- the SDK's clients -----------------------------------------------------------------------------------------------

    @cached_property
    def tables(self) -> TableServiceClient:
        """The Table service."""
        options: dict[str, Any] = {**_TIMEOUTS, **_TABLE_RETRIES, **_TABLE_IDS, **self._hooks, **_environment(), **self._transport}
        if self._settings.connection_string:
            return TableServiceClient.from_connection_string(self._settings.connection_string, **options)
        return TableServiceClient(self._settings.table_uri, credential=self._credential, **options)

    @cached_property
    def blobs(self) -> BlobServiceClient:
        """The Blob service."""
        options: dict[str, Any] = {**_TIMEOUTS, **_PIECES, **self._retries, **self._hooks, **_environment(), **self._transport}
        if self._settings.connection_string:
            return BlobServiceClient.from_connection_string(self._settings.connection_string, **options)
        return BlobServiceClient(self._settings.blob_uri, credential=self._credential, **options)

    @cached_property
    def queues(self) -> "QueueServiceClient":
        """The Queue service; raises `SettingsError` for an account that is not known to have one."""
        from azure.storage.queue.aio import QueueServiceClient  # only analyses need it

        options: dict[str, Any] = {**_TIMEOUTS, **self._retries, **self._hooks, **_environment(), **self._transport}
        if self._settings.connection_string:
            return QueueServiceClient.from_connection_string(self._settings.connection_string, **options)
        if not self._settings.queue_uri:
            raise SettingsError(_NO_QUEUES)
        return QueueServiceClient(self._settings.queue_uri, credential=self._credential, **options)

    @cached_property
    def _credential(self) -> "ManagedIdentityCredential | DefaultAzureCredential":
        from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential  # a connection string needs none of it

        if self._settings.managed_identity:
            return ManagedIdentityCredential(client_id=self._settings.client_id)
        return DefaultAzureCredential(managed_identity_client_id=self._settings.client_id)

    async def close(self) -> None:
        """Close every client that was made."""
        made = vars(self)
        for name in ("tables", "blobs", "queues", "_credential", "waiter"):
            if name in made:
                await made.pop(name).close()
        self._rows.forget()

    # --- storage's clock -------------------------------------------------------------------------------------------------

    @property
    def _hooks(self) -> Mapping[str, Any]:
        """What the SDK's clients are to call at each attempt of a request and at each answer, which is checked as well."""
        return {"raw_request_hook": self._note_request, "raw_response_hook": self._note_answer}

    def _note_request(self, request: Any) -> None:
        request.context[_SENT] = self.time.leaving()

    def _note_answer(self, response: Any) -> None:
        headers, sent = response.http_response.headers, response.context.get(_SENT)
        date = headers.get("Date")
        if date and sent and _OWN_OF_STORAGE in headers:
            self.time.note(date, sent=sent)
        check_answer(response)


def _environment() -> Mapping[str, Any]:
    """Let the SDK ask for proxies where there are some: it would do so for each request, in a thread, and look for a ``.netrc`` as well."""
    return {"use_env_settings": not {"http", "https"}.isdisjoint(getproxies())}
