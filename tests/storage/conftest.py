from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.storage.account import AccountSettings, StorageAccount
from shared.storage.event_log import TableEventLog
from shared.storage.hot_log import LogSettings
from tests.builders import T0
from tests.clocks import SetClock

SETTLED = timedelta(seconds=40)


@pytest.fixture
def clock():
    return SetClock(T0)


@pytest.fixture
async def account(storage) -> AsyncIterator[StorageAccount]:
    account = StorageAccount(AccountSettings(connection_string=storage))
    yield account
    await account.close()


@pytest.fixture
def log(account, clock) -> TableEventLog:
    return new_log(account, clock)


def new_log(account: StorageAccount, clock: SetClock, *, loop: str = "default", shards: int = 1) -> TableEventLog:
    settings = LogSettings(loop=loop, shards=shards, append_deadline=timedelta(seconds=5))
    return TableEventLog(account, settings=settings, clock=clock, settled=SETTLED)
