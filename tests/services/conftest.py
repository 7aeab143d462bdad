from collections.abc import AsyncIterator

import pytest

from shared.storage.azure.storage import AzureStorage
from tests.builders import T0
from tests.clocks import SetClock
from tests.processes import Process
from tests.reliability.world import open_account


@pytest.fixture
def clock() -> SetClock:
    return SetClock(T0)


@pytest.fixture
async def account(storage) -> AsyncIterator[AzureStorage]:
    account = open_account(storage)
    yield account
    await account.close()


@pytest.fixture
async def one(account, clock) -> AsyncIterator[Process]:
    process = Process(account, clock)
    yield process
    process.models.stop()


@pytest.fixture
async def other(account, clock) -> AsyncIterator[Process]:
    process = Process(account, clock)
    yield process
    process.models.stop()
