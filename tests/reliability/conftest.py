from collections.abc import AsyncIterator, Iterator

import pytest

from shared.storage.ports import Storage
from tests.memory_proxy import MemoryProxy
from tests.storage_proxy import StorageProxy
from tests.stores import ENGINES, in_memory, opened


@pytest.fixture(params=ENGINES[1:])
def engine(request: pytest.FixtureRequest) -> str:
    """What fails on its way to storage does so between it and the service: Azure's engine has a network there."""
    found: str = request.param
    return found


@pytest.fixture
def proxy(engine: str, storage: str) -> Iterator[StorageProxy | MemoryProxy]:
    if engine == "memory":
        yield MemoryProxy(in_memory(storage))
        return
    with StorageProxy(storage) as proxy:
        yield proxy


@pytest.fixture
def way(engine: str, storage: str) -> Iterator[StorageProxy | str]:
    """How a process comes to storage that is to be killed at one of its calls: through a proxy, or to a folder."""
    if engine == "embedded":
        yield storage
        return
    with StorageProxy(storage) as proxy:
        yield proxy


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    """The storage as it is, without faults."""
    account = opened(storage)
    yield account
    await account.close()


@pytest.fixture
async def faulty(proxy) -> AsyncIterator[Storage]:
    """The account by way of the proxy."""
    account = proxy.open() if isinstance(proxy, MemoryProxy) else opened(proxy.connection_string)
    yield account
    await account.close()
