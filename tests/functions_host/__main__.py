"""The local host's front, and behind it a worker in a process of its own that it speaks the Functions host's protocol with."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from local.backend import HttpCall, HttpReply, HttpTrigger, QueueCall, QueueTrigger, TimerCall, TimerTrigger, Trigger, trigger_of
from local.host import main
from local.logs import STANDARD
from tests.functions_host.calls import queue_metadata
from tests.functions_host.host import FunctionsHost, Log
from tests.functions_host.protocol import data, messages
from tests.functions_host.workers import OWN, worker_command, worker_folder
from tests.running import REPOSITORY

DROPPED: Final = "functions.dropped"
"""The logger that tells what the host would have dropped."""
_LEVELS: Final = {"Critical": logging.CRITICAL, "Error": logging.ERROR, "Warning": logging.WARNING, "Information": logging.INFO}


class GrpcBackend:
    """Hands every call to the worker's process."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._host: FunctionsHost | None = None

    async def load(self, folder: Path) -> list[Trigger]:
        """Start the worker."""
        os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]).rstrip(
            os.pathsep
        )
        os.environ |= {"AzureWebJobsScriptRoot": str(folder), "FUNCTIONS_WORKER_RUNTIME": "python"}
        worker = worker_folder()
        if worker == OWN:
            os.environ["PYTHONPATH"] = str(REPOSITORY)
        self._host = FunctionsHost(worker_command(worker), app=folder, take=_log)
        found = await self._host.start()
        self._ids = {each.name: each.function_id for each in found}
        return [trigger_of(each.name, each.raw_bindings) for each in found]

    async def call_http(self, trigger: HttpTrigger, call: HttpCall) -> HttpReply:
        """Send a request; an empty body is none, as behind the host."""
        http = messages.RpcHttp(method=call.method, url=call.url, headers=call.headers, params=call.route_values, query=call.query)
        if call.body:
            http.body.CopyFrom(data(bytes=call.body))
        answer = await self._call(trigger, data(http=http))
        kind = answer.WhichOneof("data")
        if kind is None:
            return HttpReply(204)
        if kind == "string":
            return HttpReply(200, [("content-type", "text/plain; charset=utf-8")], answer.string.encode())
        return HttpReply(int(answer.http.status_code), list(answer.http.headers.items()), answer.http.body.bytes)

    async def call_timer(self, trigger: TimerTrigger, call: TimerCall) -> None:
        """Run a timer function."""
        await self._call(trigger, data(json=call.as_json()))

    async def call_queue(self, trigger: QueueTrigger, call: QueueCall) -> None:
        """Run a queue function."""
        await self._call(trigger, data(string=call.text), {name: data(**value) for name, value in queue_metadata(call).items()})

    async def close(self) -> None:
        """End the worker."""
        if self._host is not None:
            self._host.stop()

    async def _call(self, trigger: HttpTrigger | TimerTrigger | QueueTrigger, value: Any, metadata: Mapping[str, Any] | None = None) -> Any:
        if self._host is None:
            raise RuntimeError("no app is loaded")
        return await self._host.call(self._ids[trigger.name], trigger.parameter, value, metadata or {})


def _log(log: Log) -> None:
    """Write what the worker logged as the local host would have, with the facts behind its text."""
    first, newline, rest = log.text.partition("\n")
    text, _, facts = first.partition(" {")
    extra: dict[str, Any] = {"category": log.category, "function": log.function}
    try:
        extra |= {name: value for name, value in json.loads("{" + facts).items() if name not in STANDARD} if facts else {}
    except ValueError:
        text = first
    logger = logging.getLogger(log.category if log.is_heard else DROPPED)
    logger.log(_LEVELS.get(log.level, logging.DEBUG), "%s", text + newline + rest, extra=extra)


if __name__ == "__main__":
    main(GrpcBackend(), sys.argv[1:])
