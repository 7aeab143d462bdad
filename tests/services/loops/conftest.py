from collections.abc import AsyncIterator, Iterator

import pytest

from tests.prepared import Prepared
from tests.services.loops.imported import Loop, with_imported_log
from tests.stores import opened


@pytest.fixture
def imported(prepared: Prepared) -> Iterator[str]:
    with prepared.copy(with_imported_log) as place:
        yield place


@pytest.fixture
async def loop(imported) -> AsyncIterator[Loop]:
    account = opened(imported)
    yield Loop(account)
    await account.close()
