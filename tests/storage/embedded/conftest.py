from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.settings import FolderSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[EmbeddedStorage]:
    storage = EmbeddedStorage(FolderSettings(folder, make=True))
    yield storage
    await storage.close()
