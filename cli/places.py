"""Storages that a command opens as they are, by what names them, and what tells each from all others."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from shared.domain.errors import SettingsError
from shared.runtime.own_machine import with_own_settings
from shared.runtime.settings import read_settings
from shared.storage.opening import named, open_storage
from shared.storage.ports import Storage
from shared.storage.settings import AccountSettings, FolderSettings, StorageSettings


@dataclass(frozen=True, slots=True)
class Place:
    """An open storage; ``id`` tells it from all others, and ``name`` tells a person which it is, without a secret."""

    storage: Storage
    id: str
    name: str


def read_place(text: str) -> StorageSettings:
    """Read what names a storage; "" is that of the app's settings in the environment."""
    if text:
        return named(text)
    settings = read_settings(with_own_settings(os.environ)).storage
    return replace(settings, make=False) if isinstance(settings, FolderSettings) else settings


@asynccontextmanager
async def opened(settings: StorageSettings, *, to_write: bool) -> AsyncIterator[Place]:
    """Open a storage; one that is written to is made if it is a folder that is not there, and no service may have it open meanwhile.

    Raises `SettingsError`.
    """
    with ExitStack() as stack:
        if isinstance(settings, FolderSettings):
            settings = replace(settings, make=to_write)
            if to_write:
                stack.enter_context(_without_service(settings.path))
        storage = open_storage(settings)
        try:
            yield await _place(storage, settings)
        finally:
            await asyncio.shield(storage.close())


async def _place(storage: Storage, settings: StorageSettings) -> Place:
    if isinstance(settings, FolderSettings):
        from shared.storage.embedded.folder import about

        await storage.areas()  # what is made is made now
        return Place(storage, f"store {about(settings.path)['id']}", str(settings.path))
    address = _address(storage, settings)
    return Place(storage, address, address)


def _address(storage: Storage, settings: AccountSettings) -> str:
    from shared.storage.azure.storage import AzureStorage

    assert isinstance(storage, AzureStorage)
    try:
        return storage.blobs.url.partition("?")[0].rstrip("/")
    except ValueError as cause:
        raise SettingsError(f"the storage account's connection string or address cannot be used: {cause}") from cause


@contextmanager
def _without_service(folder: Path) -> Iterator[None]:
    """Keep services off a store meanwhile; a folder that holds other things is refused before anything is written there."""
    from shared.storage.embedded.folder import held_by_one_service, prepare

    prepare(folder)
    with held_by_one_service(folder):
        yield
