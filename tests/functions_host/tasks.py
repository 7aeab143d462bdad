"""How a worker knows for which call something is logged: each task has the id that the one had which began it.

So does Microsoft's (azure_functions_worker/dispatcher.py, `ContextEnabledTask` and `get_current_invocation_id`).
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class CallTask(asyncio.Task[Any]):
    """A task and the id of its call."""

    call_id = ""


@contextmanager
def ids_of_calls() -> Iterator[None]:
    """Give each task that is begun in this event loop the id of the one that began it."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()

    def begin(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> CallTask:
        task = CallTask(coro, loop=loop, **more)
        task.call_id = present_call()
        return task

    loop.set_task_factory(begin)
    try:
        yield
    finally:
        loop.set_task_factory(before)


def name_call(call_id: str) -> None:
    """Have the present task, and all that it begins, belong to this call."""
    task = asyncio.current_task()
    if not isinstance(task, CallTask):
        raise TypeError("the task was begun outside of ids_of_calls()")
    task.call_id = call_id


def present_call() -> str:
    """Give the id of the call that the present task belongs to; empty in a thread, and in a task of no call."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return ""
    return task.call_id if isinstance(task, CallTask) else ""
