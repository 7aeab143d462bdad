"""The local host's front with Microsoft's own Python worker behind it: the HTTP suite's second host.

`azure-functions-runtime` is the worker's library for the v2 programming model. It takes protobuf messages from the
Functions host; any object with the same attributes does, so no gRPC is needed. Its interface is internal: the version
is pinned in requirements/worker.in.
"""

import sys
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime

from local.backend import HttpCall, HttpReply, HttpTrigger, QueueCall, QueueTrigger, TimerCall, TimerTrigger, Trigger, trigger_of
from local.host import main
from tests.functions_host.calls import queue_metadata


class Message(SimpleNamespace):
    """Stands for any protobuf message."""


class Data(Message):
    """Stands for a protobuf ``oneof``: the one attribute that was given."""

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's name
        return next(iter(vars(self)), None)


class Input(Message):
    """Stands for ``ParameterBinding``, whose value is always in ``data``."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        return "data"


class Messages(SimpleNamespace):
    """Stands for the generated protobuf module: message types that need no more than attributes are all alike."""

    def __getattr__(self, name: str) -> type:
        return Message


def enumeration(**numbers: int) -> type:
    """Make a message type that carries its enum's numbers."""
    return type("Enumeration", (Message,), numbers)


PROTOCOL = Messages(
    TypedData=Data,
    BindingInfo=enumeration(**{"undefined": 0, "string": 1, "binary": 2, "stream": 3, "in": 0, "out": 1, "inout": 2}),
    StatusResult=enumeration(Failure=0, Success=1, Cancelled=2),
)


class WorkerError(Exception):
    """The worker answered that something failed."""


class WorkerBackend:
    """Hands every call to the worker library as the Functions host would."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    async def load(self, folder: Path) -> list[Trigger]:
        sys.path.insert(0, str(folder))
        runtime.start_threadpool_executor()
        start = Message(capabilities={}, function_app_directory=str(folder))
        await self._ask(runtime.worker_init_request, properties={"host": "127.0.0.1", "protos": PROTOCOL}, worker_init_request=start)
        listed = await self._ask(runtime.functions_metadata_request, functions_metadata_request=Message(function_app_directory=str(folder)))
        for function in listed.function_metadata_results:
            wanted = Message(function_id=function.function_id, metadata=function)
            await self._ask(runtime.function_load_request, function_load_request=wanted)
            self._ids[function.name] = function.function_id
        return [trigger_of(function.name, function.raw_bindings) for function in listed.function_metadata_results]

    async def call_http(self, trigger: HttpTrigger, call: HttpCall) -> HttpReply:
        http = Message(
            method=call.method, url=call.url, headers=call.headers, params=call.route_values, query=call.query, body=Data(bytes=call.body)
        )
        answer = await self._invoke(trigger, Data(http=http))
        if answer is None:
            return HttpReply(204)
        if answer.WhichOneof("data") == "string":
            return HttpReply(200, [("content-type", "text/plain; charset=utf-8")], answer.string.encode())
        return HttpReply(int(answer.http.status_code), list(answer.http.headers.items()), answer.http.body.bytes)

    async def call_timer(self, trigger: TimerTrigger, call: TimerCall) -> None:
        await self._invoke(trigger, Data(json=call.as_json()))

    async def call_queue(self, trigger: QueueTrigger, call: QueueCall) -> None:
        await self._invoke(trigger, Data(string=call.text), {name: Data(**value) for name, value in queue_metadata(call).items()})

    async def close(self) -> None:
        runtime.stop_threadpool_executor()

    async def _invoke(self, trigger: HttpTrigger | TimerTrigger | QueueTrigger, data: Data, metadata: dict[str, Data] | None = None) -> Any:
        invocation = Message(
            invocation_id=str(uuid.uuid4()),
            function_id=self._ids[trigger.name],
            input_data=[Input(name=trigger.parameter, data=data)],
            trigger_metadata=metadata or {},
            trace_context=Message(trace_parent="", trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
        answer = await self._ask(runtime.invocation_request, invocation_request=invocation)
        return answer.return_value

    async def _ask(self, handler: Any, *, properties: dict[str, Any] | None = None, **content: Message) -> Any:
        answer = await handler(Message(request=Message(**content), properties=properties or {}))
        if answer.result.status != PROTOCOL.StatusResult.Success:
            raise WorkerError(f"{answer.result.exception.message}\n{answer.result.exception.stack_trace}")
        return answer


if __name__ == "__main__":
    main(WorkerBackend(), sys.argv[1:])
