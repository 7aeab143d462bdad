"""A store that many tests begin with is made once in a process, and each of them has a copy of its own in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from shared.storage.ports import Storage
from tests.simulation.engine import Stored, copied
from tests.stores import in_memory, kept_in_memory, left, opened

Preparation = Callable[[Storage], Awaitable[object]]


class Prepared:
    """The stores that were made in this process; nobody opens them again, so all copies are alike."""

    def __init__(self) -> None:
        self._made: dict[Preparation, str] = {}

    @contextmanager
    def copy(self, preparation: Preparation) -> Iterator[str]:
        """Give the place of a copy of the store that this preparation came to, as long as it is needed; not for a running event loop."""
        if preparation not in self._made:
            self._made[preparation] = asyncio.run(_made(preparation))
        with self.copy_of(self._made[preparation]) as place:
            yield place

    @contextmanager
    def copy_of(self, place: str) -> Iterator[str]:
        """Give the place of a copy of what is stored in a place in memory."""
        copy = kept_in_memory(copied(in_memory(place)))
        yield copy
        left("memory", copy)


async def _made(preparation: Preparation) -> str:
    place = kept_in_memory(Stored())
    account = opened(place)
    await preparation(account)
    await account.close()
    return place
