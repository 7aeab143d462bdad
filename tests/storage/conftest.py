from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.storage.azure.storage import AzureStorage
from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.settings import AccountSettings
from tests.builders import T0
from tests.clocks import SetClock

SETTLED = timedelta(seconds=40)


@pytest.fixture
def clock():
    return SetClock(T0)


@pytest.fixture
async def account(storage) -> AsyncIterator[AzureStorage]:
    account = AzureStorage(AccountSettings(connection_string=storage))
    yield account
    await account.close()


@pytest.fixture
def log(account, clock) -> RowEventLog:
    return new_log(account, clock)


def new_log(account: AzureStorage, clock: SetClock, *, loop: str = "default", shards: int = 1) -> RowEventLog:
    settings = LogSettings(loop=loop, shards=shards, append_deadline=timedelta(seconds=5))
    return RowEventLog(account, settings=settings, clock=clock, settled=SETTLED)
