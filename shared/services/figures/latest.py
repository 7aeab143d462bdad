"""What the trainer counted, as of the latest commit: a file that the pointer names, and that the next commit may remove."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.domain.errors import UnreadableError
from shared.domain.ledger import Pointer
from shared.domain.ports import ModelStore

Kept = TypeVar("Kept")


async def latest(
    store: ModelStore, *, named: Callable[[Pointer], str], read: Callable[[str], Awaitable[Kept]]
) -> tuple[Pointer | None, Kept | None]:
    """Give the pointer and what the file holds that it names, None for what is not there; raises as the store and ``read`` do."""
    pointer = await _pointer(store)
    while pointer is not None:
        name = named(pointer)
        try:
            return pointer, await read(name) if name else None
        except UnreadableError:  # gone, if there was another commit meanwhile and retention came by
            pointer = await _pointer(store)
            if pointer is not None and named(pointer) == name:
                raise
    return None, None


async def _pointer(store: ModelStore) -> Pointer | None:
    stored = await store.pointer()
    return None if stored is None else stored[0]
