from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.ports import Storage
from tests.builders import T0
from tests.clocks import SetClock
from tests.stores import FEW_ON_AZURITE, opened

SETTLED = timedelta(seconds=40)


@pytest.fixture
def clock():
    return SetClock(T0)


@pytest.fixture(params=FEW_ON_AZURITE)
def engine(request: pytest.FixtureRequest) -> str:
    """What is ours has the same laws on either engine."""
    found: str = request.param
    return found


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    yield account
    await account.close()


@pytest.fixture
def log(account, clock) -> RowEventLog:
    return new_log(account, clock)


def new_log(account: Storage, clock: SetClock, *, loop: str = "default", shards: int = 1) -> RowEventLog:
    settings = LogSettings(loop=loop, shards=shards, append_deadline=timedelta(seconds=5))
    return RowEventLog(account, settings=settings, clock=clock, settled=SETTLED)
