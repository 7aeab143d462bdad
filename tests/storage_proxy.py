"""A proxy in front of the storage emulator that refuses, delays or tears calls, or runs a hook at one of them.

It stands between real clients and real storage, so that the app's own code, in this process or another, meets the failure
where it would meet it in the cloud.
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

from tests.patience import PATIENCE

_ENDPOINT = re.compile(r"(Blob|Queue|Table)Endpoint=(http://127\.0\.0\.1:\d+)")
_HOP_BY_HOP = {"transfer-encoding", "connection", "keep-alive", "content-length"}


@dataclass(frozen=True)
class Call:
    """One storage call as it came by; ``number`` counts from 1."""

    number: int
    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Fault:
    """What to do to a call: answer it with ``status`` (or tear the connection if 0), before or after storage has done it.

    ``meanwhile`` is run before that, in a thread of its own. One that ``passes`` reaches storage after ``delay``, and is answered.
    """

    status: int = 0
    done_first: bool = False
    delay: float = 0.0
    passes: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    meanwhile: Callable[[], object] = lambda: None


Plan = Callable[[Call], Fault | None]


def no_faults(_: Call) -> Fault | None:
    return None


class StorageProxy:
    """Runs in a thread of its own while the block lasts; ``plan`` may be changed at any time."""

    def __init__(self, connection_string: str) -> None:
        self._upstream = connection_string
        self.plan: Plan = no_faults
        self.after: Callable[[Call], None] = lambda call: None
        self.date: Callable[[], datetime] | None = None
        self.calls: list[Call] = []
        self.answered_bytes = 0
        self._started = threading.Event()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def connection_string(self) -> str:
        """The emulator's connection string, by way of this proxy."""
        return _ENDPOINT.sub(lambda m: f"{m[1]}Endpoint=http://127.0.0.1:{self._ports[m[2]]}", self._upstream)

    def forget(self) -> None:
        """Start counting anew."""
        self.calls.clear()
        self.answered_bytes = 0

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._ports: dict[str, int] = {}
        runners = []
        async with aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0)) as client:
            for _, upstream in _ENDPOINT.findall(self._upstream):
                app = web.Application(client_max_size=2**28)
                app.router.add_route("*", "/{path:.*}", self._handler(client, upstream))
                runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
                await runner.setup()
                site = web.TCPSite(runner, "127.0.0.1", 0)
                await site.start()
                runners.append(runner)
                self._ports[upstream] = runner.addresses[0][1]
            self._started.set()
            await self._stop.wait()
            for runner in runners:
                await runner.cleanup()

    def _told(self, answer: web.Response) -> web.Response:
        """Let storage's clock show what the test says."""
        if self.date is not None:
            answer.headers["Date"] = format_datetime(self.date(), usegmt=True)
        return answer

    def _handler(self, client: aiohttp.ClientSession, upstream: str) -> Callable:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            call = Call(len(self.calls) + 1, request.method, request.path_qs.split("?")[0])
            self.calls.append(call)
            fault = self.plan(call)
            if fault is None:
                answer = await _forward(client, upstream, request, body)
                self.answered_bytes += answer.content_length or 0
                self.after(call)
                return self._told(answer)
            if fault.done_first:
                await _forward(client, upstream, request, body)
            await asyncio.to_thread(fault.meanwhile)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), fault.delay)
            if fault.passes:
                return self._told(await _forward(client, upstream, request, body))
            if fault.status:
                return web.Response(status=fault.status, headers=fault.headers)
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        return handle


async def _forward(client: aiohttp.ClientSession, upstream: str, request: web.Request, body: bytes) -> web.Response:
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
    url = URL(f"{upstream}{request.raw_path}", encoded=True)
    mute = ("Content-Type", "User-Agent", "Accept", "Accept-Encoding")  # the caller signed what it sent
    async with client.request(request.method, url, headers=headers, data=body or None, skip_auto_headers=mute) as answer:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
        return web.Response(status=answer.status, headers=kept, body=await answer.read())
