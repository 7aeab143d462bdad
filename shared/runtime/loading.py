"""Modules that few processes need, imported at their first use: in a thread, so that the calls that are under way go on meanwhile.

A thread that imports and an event loop that answers share one interpreter: as long as that lasts, a call may take some milliseconds more.
"""

import asyncio
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Generic, TypeVar

Found = TypeVar("Found")


class AtFirstUse(Generic[Found]):
    """What ``load`` gives, which imports what that takes. It may be called twice, by calls that come at once."""

    def __init__(self, load: Callable[[], Found]) -> None:
        self._load = load
        self._found: list[Found] = []

    async def get(self) -> Found:
        """Give it; raises as ``load``, and then asks again the next time."""
        if not self._found:
            self._found.append(await asyncio.to_thread(self._load))
        return self._found[0]


async def imported(*modules: str) -> None:
    """Return once these modules are imported; raises `ImportError`."""
    missing = [name for name in modules if name not in sys.modules]
    if missing:
        await asyncio.to_thread(lambda: [import_module(name) for name in missing])
