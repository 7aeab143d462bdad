"""A small worker of the tests' own, for machines without Microsoft's: it speaks the protocol, and calls functions as the local host does.

What it logs has the id of a call where Microsoft's worker would give one, and in no other place.
"""

import argparse
import asyncio
import logging
import os
import queue
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc

from local.backend import HttpCall, HttpTrigger, OtherTrigger, QueueCall, QueueTrigger, TimerCall, TimerTrigger, Trigger, trigger_of
from local.invoke import DirectBackend
from tests.functions_host.protocol import ANY_SIZE, data, messages, said, services
from tests.functions_host.tasks import CallThreads, ids_of_calls, name_call, present_call

SUCCESS = messages.StatusResult(status=messages.StatusResult.Success)


class Sender(logging.Handler):
    """Sends what is logged, and all else, to the host."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._messages.get, None)

    def send(self, **content: Any) -> None:
        """Send a message."""
        self._messages.put(messages.StreamingMessage(**content))

    def emit(self, record: logging.LogRecord) -> None:
        """Send a log record's text."""
        name = {"DEBUG": "Debug", "WARNING": "Warning", "ERROR": "Error", "CRITICAL": "Critical"}.get(record.levelname, "Information")
        level = messages.RpcLog.Level.Value(name)
        self.send(rpc_log=messages.RpcLog(invocation_id=present_call(), category=record.name, level=level, message=self.format(record)))


class Worker:
    """Answers the host's requests, each in a task of its own."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._backend = DirectBackend(CallThreads(thread_name_prefix="function"))
        self._triggers: dict[str, Trigger] = {}

    async def answer(self, request: Any) -> None:
        """Answer one request; one of a kind that is not known is not answered."""
        kind, content = said(request)
        answers: dict[str, Callable[[Any], Awaitable[dict[str, Any]]]] = {
            "worker_init_request": self._init,
            "functions_metadata_request": self._list,
            "function_load_request": self._load,
            "invocation_request": self._invoke,
        }
        if kind in answers:
            self._sender.send(**await answers[kind](content))

    async def _init(self, _: Any) -> dict[str, Any]:
        return {"worker_init_response": messages.WorkerInitResponse(result=SUCCESS)}

    async def _list(self, request: Any) -> dict[str, Any]:
        indexed = self._backend.index(Path(request.function_app_directory))
        self._triggers = {name: trigger_of(name, bindings) for name, bindings in indexed}
        found = [messages.RpcFunctionMetadata(name=name, function_id=name, raw_bindings=bindings) for name, bindings in indexed]
        return {"function_metadata_response": messages.FunctionMetadataResponse(function_metadata_results=found, result=SUCCESS)}

    async def _load(self, request: Any) -> dict[str, Any]:
        return {"function_load_response": messages.FunctionLoadResponse(function_id=request.function_id, result=SUCCESS)}

    async def _invoke(self, request: Any) -> dict[str, Any]:
        name_call(request.invocation_id)
        answer = messages.InvocationResponse(invocation_id=request.invocation_id, result=SUCCESS)
        try:
            if returned := await self._called(self._triggers[request.function_id], request):
                answer.return_value.CopyFrom(returned)
        except Exception as error:  # noqa: BLE001 - whatever a function raises is told to the host
            answer.result.status = messages.StatusResult.Failure
            answer.result.exception.message = f"{type(error).__name__}: {error}"
            answer.result.exception.stack_trace = traceback.format_exc()
        return {"invocation_response": answer}

    async def _called(self, trigger: Trigger, request: Any) -> Any:
        value = request.input_data[0].data
        match trigger:
            case HttpTrigger():
                return await self._http(trigger, value.http)
            case TimerTrigger():
                return await self._backend.call_timer(trigger, TimerCall())
            case QueueTrigger():
                return await self._backend.call_queue(trigger, _queue_call(value.string, request.trigger_metadata))
            case OtherTrigger():
                raise NotImplementedError(trigger.kind)

    async def _http(self, trigger: HttpTrigger, http: Any) -> Any:
        call = HttpCall(http.method, http.url, dict(http.headers), dict(http.query), dict(http.params), http.body.bytes)
        reply = await self._backend.call_http(trigger, call)
        body = data(bytes=reply.body)
        return data(http=messages.RpcHttp(status_code=str(reply.status), headers=dict(reply.headers), body=body))


def _queue_call(text: str, metadata: Any) -> QueueCall:
    moments = {
        field: datetime.fromisoformat(metadata[name].json.strip('"'))
        for field, name in {"inserted": "InsertionTime", "expires": "ExpirationTime", "next_visible": "NextVisibleTime"}.items()
        if name in metadata
    }
    number, receipt = metadata["Id"].string, metadata["PopReceipt"].string
    return QueueCall(text, id=number, receipt=receipt, dequeue_count=int(metadata["DequeueCount"].json), **moments)


async def work(host: str, port: int, worker_id: str) -> None:
    """Answer the host until it is gone."""
    sender, gone = Sender(), asyncio.Event()
    logging.basicConfig(level=logging.INFO, handlers=[sender])
    sender.setFormatter(None)
    worker, loop = Worker(sender), asyncio.get_running_loop()
    begun: set[asyncio.Task[None]] = set()

    def begin(request: Any) -> None:
        task = loop.create_task(worker.answer(request))
        begun.add(task)
        task.add_done_callback(begun.discard)

    def hear() -> None:
        channel = grpc.insecure_channel(f"{host}:{port}", options=ANY_SIZE)
        try:
            for request in services.FunctionRpcStub(channel).EventStream(iter(sender)):
                loop.call_soon_threadsafe(begin, request)
        except grpc.RpcError:
            pass  # the host is gone
        loop.call_soon_threadsafe(gone.set)

    sender.send(start_stream=messages.StartStream(worker_id=worker_id))
    threading.Thread(target=hear, daemon=True).start()
    with ids_of_calls():
        await gone.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--workerId")
    given, _ = parser.parse_known_args()
    asyncio.run(work(given.host, given.port, given.workerId))
    os._exit(0)  # no thread of the app's is waited for
