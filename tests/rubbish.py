"""A server in storage's place that answers every call with the same bytes, or in no way at all."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Self

from tests.patience import PATIENCE

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]

ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def saying(text: bytes) -> Answering:
    """Send these bytes and hang up."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()

    return answer


async def silent(writer: asyncio.StreamWriter) -> None:
    """Take the call and never say anything."""
    await asyncio.sleep(3600)


async def torn(writer: asyncio.StreamWriter) -> None:
    """Take the call and reset the connection."""
    writer.transport.abort()


def slowly(text: bytes, *, at_once: int = 0) -> Answering:
    """Send a byte a second, the first ones at once."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(text[:at_once])
        for byte in text[at_once:]:
            await writer.drain()
            await asyncio.sleep(1)
            writer.write(bytes([byte]))

    return answer


def response(status: str, headers: str = "", body: bytes = b"", *, length: int | None = None) -> bytes:
    """Write an answer; ``length`` is what it claims, -1: nothing."""
    claimed = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", *([f"Content-Length: {claimed}"] if claimed >= 0 else []), "Connection: close"]
    return "\r\n".join([*lines, *headers.split("\n"), ""]).replace("\r\n\r\n", "\r\n").encode("latin-1") + b"\r\n" + body


class Rubbish:
    """Serves in a thread of its own while the block lasts; ``answering`` may be changed at any time."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.calls: list[bytes] = []
        self._started = threading.Event()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._started.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    @property
    def connection_string(self) -> str:
        """One account of which all three services are here."""
        return connection_string(self.port)

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.calls.append(head.partition(b"\r\n")[0])
            length = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            await reader.readexactly(int(length[0]) if length else 0)
            await self.answering(writer)
        writer.close()


def connection_string(port: int) -> str:
    endpoints = "".join(f"{service}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};" for service in ("Blob", "Queue", "Table"))
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={_KEY};{endpoints}"


@contextlib.contextmanager
def deaf():
    """Give a connection string of a port that takes no connection: its queue is full and nobody looks into it."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = []
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(server.getsockname())
            waiting.append(client)
        yield connection_string(server.getsockname()[1])
        for client in waiting:
            client.close()
