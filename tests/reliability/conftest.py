from collections.abc import AsyncIterator, Iterator

import pytest

from shared.storage.azure.storage import AzureStorage
from tests.reliability.world import open_account
from tests.storage_proxy import StorageProxy


@pytest.fixture
def proxy(storage) -> Iterator[StorageProxy]:
    with StorageProxy(storage) as proxy:
        yield proxy


@pytest.fixture
async def account(storage) -> AsyncIterator[AzureStorage]:
    """The account as it is, without faults."""
    account = open_account(storage)
    yield account
    await account.close()


@pytest.fixture
async def faulty(proxy) -> AsyncIterator[AzureStorage]:
    """The account by way of the proxy."""
    account = open_account(proxy.connection_string)
    yield account
    await account.close()
