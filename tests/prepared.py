"""A store that many tests begin with is made once in a process, and each of them has a copy of its own."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from shared.storage.ports import Storage
from tests.stores import NewStorage, opened

Preparation = Callable[[Storage], Awaitable[object]]


class Prepared:
    """The stores that were made in this process; nobody opens them again, so all copies are alike."""

    def __init__(self, new_store: NewStorage) -> None:
        self._new_store = new_store
        self._made: dict[Preparation, str] = {}

    @contextmanager
    def copy(self, preparation: Preparation) -> Iterator[str]:
        """Give the place of a copy of the store that this preparation came to, as long as it is needed; not for a running event loop."""
        if preparation not in self._made:
            self._made[preparation] = asyncio.run(self._make(preparation))
        with self.copy_of(self._made[preparation]) as place:
            yield place

    @contextmanager
    def copy_of(self, place: str) -> Iterator[str]:
        """Give the place of a copy of a store that nobody has open."""
        copy = self._new_store()
        shutil.copytree(place, copy)
        yield copy
        shutil.rmtree(copy, ignore_errors=True)

    async def _make(self, preparation: Preparation) -> str:
        place = self._new_store()
        account = opened(place)
        await preparation(account)
        await account.close()
        return place
