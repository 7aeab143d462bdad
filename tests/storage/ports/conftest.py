import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from shared.storage.ports import Storage
from tests.ports import Deployment, InMemory
from tests.simulation.engine import Stored
from tests.stores import ENGINES

Wait = Callable[[float], Awaitable[None]]


@pytest.fixture(params=[*ENGINES, "memory"])
def engine(request: pytest.FixtureRequest) -> str:
    """The engines of the service, and the one of the simulation."""
    found: str = request.param
    return found


@pytest.fixture
def deployment(engine: str, request: pytest.FixtureRequest) -> Deployment | InMemory:
    """An empty storage of each engine."""
    return InMemory(Stored()) if engine == "memory" else Deployment(engine, request.getfixturevalue("storage"))


@pytest.fixture
def wait(deployment: Deployment | InMemory) -> Wait:
    """Let so many seconds pass; storage in memory has a clock that is set."""
    if isinstance(deployment, Deployment):
        return asyncio.sleep
    stored = deployment.stored

    async def at_once(seconds: float) -> None:
        before = stored.now
        stored.now = lambda: before() + timedelta(seconds=seconds)

    stored.now = lambda: datetime.now(UTC)
    return at_once


@pytest.fixture
async def opened(deployment: Deployment | InMemory) -> AsyncIterator[Callable[[], Storage]]:
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
