from collections.abc import AsyncIterator, Callable

import pytest

from shared.storage.ports import Storage
from tests.ports import Deployment


@pytest.fixture
def deployment(engine: str, storage: str) -> Deployment:
    """An empty storage of each engine."""
    return Deployment(engine, storage)


@pytest.fixture
async def opened(deployment: Deployment) -> AsyncIterator[Callable[[], Storage]]:
    """What opens it; all that was opened is closed after the test."""
    made: list[Storage] = []

    def open_one() -> Storage:
        made.append(deployment.open())
        return made[-1]

    yield open_one
    for each in made:
        await each.close()


@pytest.fixture
def store(opened: Callable[[], Storage]) -> Storage:
    return opened()
