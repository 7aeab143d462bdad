"""How a step of the trainer shares the process: two things at a time, and the garbage collector at rest."""

import asyncio
import gc
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


async def together(first: Coroutine[Any, Any, First], second: Coroutine[Any, Any, Second]) -> tuple[First, Second]:
    """Await both; when one fails, the other is cancelled and done with before the error leaves."""
    tasks = asyncio.create_task(first), asyncio.create_task(second)
    try:
        one, other = await asyncio.gather(*tasks)
        return one, other
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep the garbage collector from running.

    A window's events are hundreds of thousands of objects without a cycle among them, which go when nothing refers to them any
    more. Until then the collector would look through them again and again, for a fifth of the time that the window takes.
    """
    if not gc.isenabled():  # another one is at it and will end it
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
