import shutil
from collections.abc import AsyncIterator, Callable

import pytest

from shared.storage.ports import Storage
from tests.stores import NewStorage, opened


@pytest.fixture
async def empty_store(new_store: NewStorage) -> AsyncIterator[Callable[[], Storage]]:
    """Give an empty store each time."""
    made: list[tuple[Storage, str]] = []

    def new() -> Storage:
        place = new_store()
        made.append((opened(place), place))
        return made[-1][0]

    yield new
    for storage, place in made:
        await storage.close()
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
async def account(new_account: NewStorage) -> AsyncIterator[Storage]:
    found = opened(new_account())
    yield found
    await found.close()
