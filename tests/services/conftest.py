from collections.abc import AsyncIterator

import pytest

from shared.storage.ports import Storage
from tests.builders import T0
from tests.clocks import SetClock
from tests.prepared import Prepared
from tests.processes import Process
from tests.stores import opened


@pytest.fixture(scope="session")
def prepared() -> Prepared:
    return Prepared()


@pytest.fixture
def engine() -> str:
    """Memory: services know nothing of the engine, and no test here is of one."""
    return "memory"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(T0)


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
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
