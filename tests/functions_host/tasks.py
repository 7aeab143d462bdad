"""How a worker knows for which call something is logged: each task has the id that the one had which began it.

A thread has that of a call while it runs a function which is not asynchronous. Microsoft's worker does the same
(azure_functions_worker/dispatcher.py, `ContextEnabledTask` and `get_current_invocation_id`).
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

_of_thread = threading.local()


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


class CallThreads(ThreadPoolExecutor):
    """Threads that have the id of the call for which they run a function, and no other thread has."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(_in_a_call, present_call(), partial(function, *args, **kwargs))


def _in_a_call(call_id: str, function: Callable[[], Any]) -> Any:
    _of_thread.call_id = call_id
    try:
        return function()
    finally:
        _of_thread.call_id = ""


def present_call() -> str:
    """Give the id of the call that the present task, or thread, belongs to; empty where there is none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return str(getattr(_of_thread, "call_id", ""))
    return task.call_id if isinstance(task, CallTask) else ""
