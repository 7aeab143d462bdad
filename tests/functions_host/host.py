"""The host's end of the protocol: one worker process, what is asked of it, and which of its messages the host takes.

What it does to messages is what Azure/azure-functions-host does (WebJobs.Script.Grpc/Channel/GrpcWorkerChannel.cs, v4.1036): one of the
user's that belongs to no call under way is dropped. The others' methods may be called in any thread.
"""

import asyncio
import queue
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from tests.functions_host.protocol import ANY_SIZE, messages, said, services

_PATIENCE: Final = 60.0
"""Seconds in which a worker has to begin, and to index an app."""
_ENDING_WITH_PARENT: Final = (
    sys.executable,
    "-c",
    """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
os.execv(sys.argv[1], sys.argv[1:])
""",
)
"""How a process is started that does not outlive this one; not by a hook of `subprocess`, which would fork this process's grpc as well."""


class WorkerError(Exception):
    """The worker answered that something failed, or is gone."""


@dataclass(frozen=True, slots=True)
class Log:
    """A message of the user's code; ``function`` is empty where the host drops it."""

    function: str
    category: str
    level: str
    text: str

    @property
    def is_heard(self) -> bool:
        return bool(self.function)


class FunctionsHost:
    """Starts a worker by ``command``, to which the address is added; ``take`` gets all messages that are logged."""

    def __init__(self, command: Sequence[str], *, app: Path, take: Callable[[Log], None]) -> None:
        self._command = command
        self._app = app
        self._take = take
        self._to_worker: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answers: dict[tuple[str, str], Future[Any]] = {}
        self._under_way: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._ended: int | None = None
        self._server = grpc.server(ThreadPoolExecutor(2, "functions-host"), options=ANY_SIZE)

    async def start(self) -> list[Any]:
        """Start the worker, have it index the app, and give what it found (``RpcFunctionMetadata``)."""
        services.add_FunctionRpcServicer_to_server(self, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        begun = self._answer("start_stream", "")
        self._begin(port)
        await self._in_time(begun)
        folder = str(self._app)
        init = messages.WorkerInitRequest(host_version="4.1036.0.0", worker_directory=folder, function_app_directory=folder)
        await self._ask("worker_init_request", init, answer="worker_init_response")
        listing = messages.FunctionsMetadataRequest(function_app_directory=folder)
        found = await self._ask("functions_metadata_request", listing, answer="function_metadata_response")
        for each in found.function_metadata_results:
            wanted = messages.FunctionLoadRequest(function_id=each.function_id, metadata=each)
            await self._ask("function_load_request", wanted, answer="function_load_response", number=each.function_id)
            self._names[each.function_id] = each.name
        return list(found.function_metadata_results)

    async def call(self, function_id: str, parameter: str, value: Any, metadata: Mapping[str, Any]) -> Any:
        """Call a function with its trigger's value, and give what it returned; raises `WorkerError` for what it raised."""
        number = str(uuid.uuid4())
        self._under_way[number] = self._names[function_id]
        request = messages.InvocationRequest(
            invocation_id=number,
            function_id=function_id,
            input_data=[messages.ParameterBinding(name=parameter, data=value)],
            trigger_metadata=metadata,
            trace_context=messages.RpcTraceContext(),
            retry_context=messages.RetryContext(),
        )
        answer = self._answer("invocation_response", number)
        self._send(invocation_request=request)
        return _checked(await asyncio.wrap_future(answer)).return_value

    def stop(self) -> None:
        """End the worker as the host does: at once."""
        if hasattr(self, "_process"):
            self._process.kill()
            self._process.wait()
        self._to_worker.put(None)
        self._server.stop(grace=None).wait()

    def EventStream(self, from_worker: Iterator[Any], _: Any) -> Iterator[Any]:  # noqa: N802 - the protocol's name
        """Carry what both sides say; called by grpc when a worker connects."""
        threading.Thread(target=self._hear, args=[from_worker], daemon=True).start()
        return iter(self._to_worker.get, None)

    def _begin(self, port: int) -> None:
        self._process = subprocess.Popen([*_ENDING_WITH_PARENT, *self._command, *_address(port)], cwd=self._app)
        threading.Thread(target=self._watch, daemon=True).start()

    def _hear(self, from_worker: Iterator[Any]) -> None:
        try:
            for message in from_worker:
                self._heard(*said(message))
        except grpc.RpcError:
            return  # it is gone: `_watch` tells who waits

    def _heard(self, kind: str, content: Any) -> None:
        if kind == "rpc_log":
            if content.log_category == messages.RpcLog.User:
                level = messages.RpcLog.Level.Name(content.level)
                self._take(Log(self._under_way.get(content.invocation_id, ""), content.category, level, content.message))
            return
        number = content.invocation_id if kind == "invocation_response" else content.function_id if kind == "function_load_response" else ""
        self._under_way.pop(number, None)
        if waiting := self._answers.pop((kind, number), None):
            waiting.set_result(content)

    def _watch(self) -> None:
        self._ended = self._process.wait()
        for key in list(self._answers):
            self._fail(key)

    def _fail(self, key: tuple[str, str]) -> None:
        """Tell who waits for an answer that none comes."""
        if waiting := self._answers.pop(key, None):
            waiting.set_exception(WorkerError(f"the worker ended with code {self._ended}"))

    async def _ask(self, kind: str, content: Any, *, answer: str, number: str = "") -> Any:
        waiting = self._answer(answer, number)
        self._send(**{kind: content})
        return _checked(await self._in_time(waiting))

    def _answer(self, kind: str, number: str) -> "Future[Any]":
        waiting: Future[Any] = Future()
        self._answers[kind, number] = waiting
        if self._ended is not None:  # after it is noted, so that no answer is waited for without end
            self._fail((kind, number))
        return waiting

    async def _in_time(self, waiting: "Future[Any]") -> Any:
        async with asyncio.timeout(_PATIENCE):
            return await asyncio.wrap_future(waiting)

    def _send(self, **content: Any) -> None:
        self._to_worker.put(messages.StreamingMessage(request_id=str(uuid.uuid4()), **content))


def _checked(answer: Any) -> Any:
    if answer.result.status != messages.StatusResult.Success:
        raise WorkerError(f"{answer.result.exception.message}\n{answer.result.exception.stack_trace}")
    return answer


def _address(port: int) -> list[str]:
    """Tell a worker where the host is, in the words of both generations of hosts."""
    worker, request = str(uuid.uuid4()), str(uuid.uuid4())
    old = ["--host", "127.0.0.1", "--port", str(port), "--workerId", worker, "--requestId", request, "--grpcMaxMessageLength", "2147483647"]
    new = ["--functions-uri", f"http://127.0.0.1:{port}", "--functions-worker-id", worker, "--functions-request-id", request]
    return [*old, *new, "--functions-grpc-max-message-length", "2147483647"]
