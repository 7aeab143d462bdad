"""What the polling thread reads: blocking, and conditional, so that nothing new costs a 304 and no bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient

from shared.domain.errors import StorageUnavailableError, UnreadableError
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopRecord, LoopSettings
from shared.storage import names
from shared.storage.account import StorageAccount
from shared.storage.loop_records import read_record
from shared.storage.pointers import read_pointer

_NOT_MODIFIED = 304


class _Changes:
    """One blob, handed over only when it has changed since the last time it was accepted."""

    def __init__(self, account: StorageAccount, name: str) -> None:
        self._account = account
        self._name = name
        self._etag: str | None = None

    def fetch(self) -> tuple[bytes, str] | None:
        """Give content and ETag when they are new (b"" and "" when the blob is gone); None when they are not, or never were."""
        condition: dict[str, Any] = {}
        if self._etag is not None:
            condition = {"etag": self._etag, "match_condition": MatchConditions.IfModified}
        with _blocking_failures(f"poll {self._name}"):
            try:
                download = self._blob().download_blob(**condition)
                return download.readall(), str(download.properties.etag)
            except ResourceNotFoundError:
                return None if self._etag is None else (b"", "")
            except HttpResponseError as answer:
                if answer.status_code == _NOT_MODIFIED:
                    return None
                raise

    def accept(self, etag: str) -> None:
        """Take note that this content was used."""
        self._etag = etag or None

    def _blob(self) -> BlobClient:
        return self._account.blocking_blobs.get_blob_client(names.MODELS, self._name)


class BlobModelFeed:
    """The published model: `shared.domain.ports.ModelFeed`."""

    def __init__(self, account: StorageAccount, *, loop: str) -> None:
        self._account = account
        self._loop = loop
        self._pointer = _Changes(account, names.pointer_blob(loop))

    def news(self) -> Pointer | None:
        """Give the pointer if it has changed."""
        changed = self._pointer.fetch()
        if changed is None or not changed[1]:  # a pointer that is gone takes no model away
            return None
        pointer = read_pointer(changed[0])
        self._pointer.accept(changed[1])
        return pointer

    def artifact(self, version: str) -> bytes:
        """Read a published model."""
        blob = self._account.blocking_blobs.get_blob_client(names.MODELS, names.model_blob(self._loop, version))
        with _blocking_failures("load a model"):
            try:
                return blob.download_blob().readall()
            except ResourceNotFoundError as cause:
                raise UnreadableError(f"model {version} is not there") from cause


class StoredConfiguration:
    """A loop's record and the settings it gives: `shared.domain.ports.LoopConfiguration`.

    ``record`` is what the process found last, and stays what it was when a later one cannot be read. It may be shared between
    threads, and is replaced by whoever writes a newer one.
    """

    def __init__(self, account: StorageAccount, *, defaults: LoopSettings, record: LoopRecord | None = None) -> None:
        self._defaults = defaults
        self._blob = _Changes(account, names.configuration_blob(defaults.name))
        self.record = LoopRecord(defaults.name) if record is None else record

    def read(self) -> LoopSettings:
        """Give the settings in force now."""
        changed = self._blob.fetch()
        if changed is not None:
            name = self._defaults.name
            record = read_record(name, changed[0]) if changed[1] else LoopRecord(name)
            settings = record.settings(self._defaults)
            self.record = record
            self._blob.accept(changed[1])
            return settings
        return self.record.settings(self._defaults)


@contextmanager
def _blocking_failures(what: str) -> Iterator[None]:
    try:
        yield
    except HttpResponseError as cause:
        raise StorageUnavailableError(f"storage refused with status {cause.status_code}: {what}") from cause
    except (AzureError, OSError) as cause:
        raise StorageUnavailableError(f"storage cannot be reached: {what}") from cause
