"""Calls the functions of a v2 Python app directly, in this process."""

import asyncio
import gc
import importlib
import inspect
import json
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions as func
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest

from local.backend import HttpCall, HttpReply, HttpTrigger, QueueCall, QueueTrigger, TimerCall, TimerTrigger, Trigger, trigger_of


class FunctionAppError(Exception):
    """The app or one of its functions is not what the Functions worker accepts."""


@dataclass(frozen=True, slots=True)
class Function:
    """A user's function and how it wants to be called."""

    name: str
    call: Callable[..., Any]
    is_async: bool
    wants_context: bool


@dataclass(slots=True)
class Context:
    """What a function gets for a parameter named ``context``."""

    function_name: str
    function_directory: str
    invocation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    thread_local_storage: threading.local = field(default_factory=threading.local)
    trace_context: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(Traceparent="", Tracestate="", Attributes={}))
    retry_context: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(retry_count=0, max_retry_count=0, exception=None))


class DirectBackend:
    """The development backend: no worker process and no messages between the request and the function.

    Functions that are not asynchronous run in ``threads``.
    """

    def __init__(self, threads: ThreadPoolExecutor | None = None) -> None:
        self._functions: dict[str, Function] = {}
        self._threads = threads or ThreadPoolExecutor(thread_name_prefix="function")
        self._folder = ""

    async def load(self, folder: Path) -> list[Trigger]:
        """Index the app."""
        return [trigger_of(name, bindings) for name, bindings in self.index(folder)]

    def index(self, folder: Path) -> list[tuple[str, list[str]]]:
        """Give the functions' names and bindings; ``get_functions`` may be called only once, so it is called here and nowhere else."""
        self._folder = str(folder)
        indexed = []
        for registered in find_app(folder).get_functions():
            name, bindings = str(registered.get_function_name()), registered.get_raw_bindings()
            self._functions[name] = checked_function(name, registered.get_user_function(), bindings)
            indexed.append((name, bindings))
        return indexed

    async def call_http(self, trigger: HttpTrigger, call: HttpCall) -> HttpReply:
        """Give the function an `HttpRequest` and take its `HttpResponse` or text."""
        request = func.HttpRequest(
            method=call.method, url=call.url, headers=call.headers, params=call.query, route_params=call.route_values, body=call.body
        )
        return reply_of(trigger.name, await self._run(trigger.name, trigger.parameter, request))

    async def call_timer(self, trigger: TimerTrigger, call: TimerCall) -> None:
        """Give the function a `TimerRequest`."""
        message = json.loads(call.as_json())
        request = TimerRequest(past_due=message["IsPastDue"], schedule_status=message["ScheduleStatus"], schedule=message["Schedule"])
        await self._run(trigger.name, trigger.parameter, request)

    async def call_queue(self, trigger: QueueTrigger, call: QueueCall) -> None:
        """Give the function a `QueueMessage`."""
        message = QueueMessage(
            id=call.id,
            body=call.text,
            dequeue_count=call.dequeue_count,
            expiration_time=call.expires,
            insertion_time=call.inserted,
            time_next_visible=call.next_visible,
            pop_receipt=call.receipt,
        )
        await self._run(trigger.name, trigger.parameter, message)

    async def close(self) -> None:
        """Let no queued function start; those that run are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, name: str, parameter: str, value: object) -> object:
        function = self._functions[name]
        arguments = {parameter: value}
        if function.wants_context:
            arguments["context"] = Context(name, self._folder)
        if function.is_async:
            return await function.call(**arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function.call, **arguments))


def find_app(folder: Path) -> func.FunctionApp:
    """Import the folder's ``function_app.py`` and return its one app."""
    sys.path.insert(0, str(folder))
    gc.disable()  # what is imported is there to stay: looking through it for what is not takes a sixth of the start
    try:
        module = importlib.import_module("function_app")
    finally:
        gc.enable()
    apps = {id(value): value for value in vars(module).values() if isinstance(value, func.FunctionApp)}
    if len(apps) != 1:
        raise FunctionAppError(f"{folder}/function_app.py: expected one FunctionApp at the top level, found {len(apps)}")
    return next(iter(apps.values()))


def checked_function(name: str, call: Callable[..., Any], bindings: list[str]) -> Function:
    """Refuse what the worker refuses: parameters that are not bound, bindings without a parameter."""
    parameters = set(inspect.signature(call).parameters)
    bound = {json.loads(binding)["name"] for binding in bindings} - {"$return"}
    if parameters - {"context"} != bound - {"context"}:
        raise FunctionAppError(f"{name}: its parameters are {sorted(parameters)}, its bindings {sorted(bound)}")
    return Function(name, call, is_async=inspect.iscoroutinefunction(call), wants_context="context" in parameters)


def reply_of(name: str, answer: object) -> HttpReply:
    """Turn what a function returned into a reply, as the worker does."""
    if isinstance(answer, str):
        return HttpReply(200, [("content-type", "text/plain; charset=utf-8")], answer.encode())
    if not isinstance(answer, func.HttpResponse):
        raise FunctionAppError(f"{name} returned {type(answer).__name__}; it must return an HttpResponse or a str")
    headers = list(answer.headers.items())
    if "content-type" not in answer.headers:
        charset = f"; charset={answer.charset}" if answer.mimetype.startswith("text/") else ""
        headers.append(("content-type", answer.mimetype + charset))
    return HttpReply(answer.status_code, headers, answer.get_body())
