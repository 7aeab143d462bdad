"""What the polling thread reads: blocking, and conditional, so that nothing new costs a 304 and no bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import orjson
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient
from pydantic import TypeAdapter, ValidationError

from shared.domain.errors import NewerFormatError, SettingsError, StorageUnavailableError, UnreadableError
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopSettings
from shared.storage import names
from shared.storage.account import StorageAccount
from shared.storage.pointers import read_pointer

CONFIGURATION_FORMAT = 1
_NOT_MODIFIED = 304
_LOOP_SETTINGS = TypeAdapter(LoopSettings)


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
    """The app's settings, overridden by the stored ones: `shared.domain.ports.LoopConfiguration`.

    The blob holds ``{"format": 1}`` and any of `LoopSettings`' fields but the name, durations in ISO 8601.
    """

    def __init__(self, account: StorageAccount, *, defaults: LoopSettings) -> None:
        self._defaults = defaults
        self._current = defaults
        self._blob = _Changes(account, names.configuration_blob(defaults.name))

    def read(self) -> LoopSettings:
        """Give the settings in force now."""
        changed = self._blob.fetch()
        if changed is not None:
            self._current = override(self._defaults, changed[0]) if changed[1] else self._defaults
            self._blob.accept(changed[1])
        return self._current


def override(defaults: LoopSettings, text: bytes) -> LoopSettings:
    """Apply a stored configuration; raises `NewerFormatError` or `UnreadableError`."""
    try:
        stored = orjson.loads(text)
        found = int(stored.pop("format"))
        if found > CONFIGURATION_FORMAT:
            raise NewerFormatError("the stored configuration", found=found, known=CONFIGURATION_FORMAT)
        known = {field.name for field in fields(LoopSettings)} - {"name"}
        if unknown := stored.keys() - known:
            raise UnreadableError(f"the stored configuration has unknown fields: {', '.join(sorted(unknown))}")
        checked = _LOOP_SETTINGS.validate_python(stored)
        return replace(defaults, **{name: getattr(checked, name) for name in stored})
    except (orjson.JSONDecodeError, ValidationError, SettingsError, LookupError, AttributeError, TypeError, ValueError) as cause:
        raise UnreadableError(f"the stored configuration cannot be read: {cause}") from cause


@contextmanager
def _blocking_failures(what: str) -> Iterator[None]:
    try:
        yield
    except HttpResponseError as cause:
        raise StorageUnavailableError(f"storage refused with status {cause.status_code}: {what}") from cause
    except (AzureError, OSError) as cause:
        raise StorageUnavailableError(f"storage cannot be reached: {what}") from cause
