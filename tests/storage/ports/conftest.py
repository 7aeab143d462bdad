from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from shared.storage.ports import Storage
from tests.ports import Deployment


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    """An empty storage of each engine."""
    if request.param == "embedded":
        return Deployment("embedded", str(tmp_path / "store"))
    return Deployment("azurite", request.getfixturevalue("storage"))


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
