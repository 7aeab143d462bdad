"""A loop as its storage account knows it, without a running service."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.domain.clock import Clock
from shared.domain.errors import ResourceNotFoundError, SettingsError
from shared.domain.loop import is_loop_name
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment, LoopServices
from shared.storage.account import StorageAccount
from shared.storage.cold_log import BlobColdLog

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class StoredLoop:
    """A loop with its use cases, its joined log, and the clock."""

    services: LoopServices
    joined: BlobColdLog
    clock: Clock


@asynccontextmanager
async def stored_loop(name: str, connection_string: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[StoredLoop]:
    """Open a loop by the app's settings; raises `SettingsError`, or `ResourceNotFoundError` when there is no such loop."""
    async with deployment(connection_string, environment) as deployed:
        services = await deployed.fresh(name) if is_loop_name(name) else None
        if services is None:
            raise ResourceNotFoundError(f"there is no loop {name!r}")
        yield StoredLoop(services, BlobColdLog(deployed.account, loop=services.place), deployed.clock)


@asynccontextmanager
async def deployment(connection_string: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Deployment]:
    """Open the storage account by the app's settings; raises `SettingsError`."""
    given = {"PERSONALIZER_STORAGE": connection_string} if connection_string else {}
    settings = read_settings({**(os.environ if environment is None else environment), **given})
    account = StorageAccount(settings.account)
    deployed = Deployment(settings, account=account)
    try:
        _check_address(account)
        yield deployed
    finally:
        await asyncio.shield(deployed.close())


def _check_address(account: StorageAccount) -> None:
    try:
        account.blobs  # noqa: B018  # made when first asked for, which is when the SDK reads the connection string
    except ValueError as cause:
        raise SettingsError(f"the storage account's connection string or address cannot be used: {cause}") from cause


def run(coroutine: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run a command's work to its end, or until Ctrl-C: then what it holds is let go of before it ends."""
    return asyncio.run(coroutine)
