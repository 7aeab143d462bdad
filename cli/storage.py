"""A loop as its storage knows it, without a running service."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from shared.domain.clock import Clock
from shared.domain.errors import ResourceNotFoundError, SettingsError
from shared.domain.loop import is_loop_name
from shared.runtime.loop_services import LoopServices
from shared.runtime.own_machine import with_own_settings
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.storage.cold_log import FileColdLog
from shared.storage.opening import is_connection_string, named
from shared.storage.ports import Storage
from shared.storage.settings import AccountSettings, FolderSettings

Outcome = TypeVar("Outcome")

_PLACES: Final = ("PERSONALIZER_STORAGE", "PERSONALIZER_STORE")
"""What the names of the settings begin with that name a storage for the data."""


@dataclass(frozen=True, slots=True)
class StoredLoop:
    """A loop with its use cases, its joined log, and the clock."""

    services: LoopServices
    joined: FileColdLog
    clock: Clock


@asynccontextmanager
async def stored_loop(name: str, storage: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[StoredLoop]:
    """Open a loop by the app's settings; raises `SettingsError`, or `ResourceNotFoundError` when there is no such loop."""
    async with deployment(storage, environment) as deployed:
        services = await deployed.fresh(name) if is_loop_name(name) else None
        if services is None:
            raise ResourceNotFoundError(f"there is no loop {name!r}")
        yield StoredLoop(services, FileColdLog(deployed.storage, loop=services.place), deployed.clock)


@asynccontextmanager
async def deployment(storage: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Deployment]:
    """Open the storage that is named, by a connection string or a folder, or else the app's own; raises `SettingsError`."""
    settings = read_settings(_given(storage, os.environ if environment is None else environment))
    if isinstance(settings.storage, FolderSettings):  # who mistypes a path gets no new store
        store = replace(settings.storage, make=False)
        settings = replace(settings, storage=store, host_storage=store)
    deployed = Deployment(settings)
    try:
        _check_address(deployed.storage)
        yield deployed
    finally:
        await asyncio.shield(deployed.close())


def _given(storage: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Put what is named in place of the environment's storage."""
    if not storage:
        return with_own_settings(environment)
    place = named(storage)
    others = {name: text for name, text in environment.items() if not name.startswith(_PLACES)}
    if is_connection_string(storage):
        return {**others, "PERSONALIZER_STORAGE": storage}
    if isinstance(place, AccountSettings):
        return {
            **others,
            "PERSONALIZER_STORAGE__blobServiceUri": place.blob_uri,
            "PERSONALIZER_STORAGE__tableServiceUri": place.table_uri,
        }
    return {**others, "PERSONALIZER_STORE": storage}


def _check_address(storage: Storage) -> None:
    try:
        storage.is_emulator  # noqa: B018  # the SDK reads a connection string when it is first used
    except ValueError as cause:
        raise SettingsError(f"the storage account's connection string or address cannot be used: {cause}") from cause


def run(coroutine: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run a command's work to its end, or until Ctrl-C: then what it holds is let go of before it ends."""
    return asyncio.run(coroutine)
