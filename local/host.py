"""A host for Azure Functions apps in Python: HTTP, timer and queue triggers, on the loopback interface or on sockets that it is given.

It is not the Azure Functions host. It reads `function_app.py`, calls the functions in this process and copies what the
real host does to requests, replies and schedules, so that the app can be run and tested where Core Tools cannot be
installed, and on a server of one's own. It checks no function keys and starts no worker processes; other triggers are not served.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn

from local.accepting import Accepting
from local.backend import Backend
from local.front import Front
from local.invoke import DirectBackend
from local.logs import write_logs_as_json
from local.processes import GRACE, LocalError
from local.queues import HELD_FOR
from local.settings import REPOSITORY, load_local_settings

KEEP_ALIVE = 75
"""Seconds an idle connection stays open: longer than client pools keep theirs, so that they never write into a closing one."""

LULL = 1.0
"""Seconds in which a connection of a host that ends may bring one more call."""

FIRST_CALL = 0.5
"""Seconds that the first call of a connection may take to arrive then."""


LAST_ANSWERS: Final = 1 / 10_000
"""The share of answers that end their connection where several processes share a port.

The client's next connection goes to the process that has the fewest: so one that was started later gets its share.
"""

TICKS_A_SECOND: Final = 10
"""The server's own."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    app: Path
    port: int
    sockets: tuple[int, ...] | None
    timers: bool
    queues: bool
    only: frozenset[str] | None
    held_for: timedelta
    local_settings: bool
    as_azure: bool
    stop_with_parent: bool
    tls_certificate: Path | None
    tls_key: Path | None
    process: str
    shared: bool
    heartbeat: int | None


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line; ``--help`` explains it."""
    parser = argparse.ArgumentParser(prog="python -m local.host", description="Serve a function app on 127.0.0.1.")
    parser.add_argument("--app", type=Path, default=REPOSITORY, help="the folder of function_app.py (default: this repository)")
    parser.add_argument("--port", type=int, default=7071, help="0 takes any free port (default: 7071)")
    parser.add_argument(
        "--socket", type=int, action="append", metavar="N", help="serve on this descriptor, which listens already, and not on --port"
    )
    parser.add_argument("--no-http", action="store_true", help="listen nowhere: run timers and queues only")
    parser.add_argument("--timers", action=argparse.BooleanOptionalAction, default=True, help="run timer functions on their schedules")
    parser.add_argument("--queues", action=argparse.BooleanOptionalAction, default=True, help="run queue functions on their messages")
    parser.add_argument("--only", action="append", metavar="FUNCTION", help="of these, run no others; may be repeated")
    parser.add_argument(
        "--queue-hold",
        type=float,
        default=HELD_FOR.total_seconds(),
        metavar="SECONDS",
        help="how long a message stays hidden when this host is killed (default: %(default)g)",
    )
    parser.add_argument(
        "--local-settings", action=argparse.BooleanOptionalAction, default=True, help="read local.settings.json (the environment wins)"
    )
    parser.add_argument(
        "--as-azure",
        action="store_true",
        help="follow two more rules of the real host that help nobody: pass on no chunked body, and no path that begins with two slashes",
    )
    parser.add_argument(
        "--stop-with-parent", action="store_true", help="stop when standard input ends, that is, when the parent process has ended"
    )
    parser.add_argument("--tls-certificate", type=Path, metavar="FILE", help="speak HTTPS, with the certificates of this file (PEM)")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="and the key of this one")
    parser.add_argument("--process", default="", metavar="NAME", help="what this process is called in its log")
    parser.add_argument("--shared", action="store_true", help="other processes take connections from the same --socket")
    parser.add_argument("--heartbeat", type=int, metavar="N", help="write a byte to this descriptor each second, once it is ready")
    given = parser.parse_args(arguments)
    return Options(
        app=given.app.resolve(),
        port=given.port,
        sockets=() if given.no_http else given.socket and tuple(given.socket),
        timers=given.timers,
        queues=given.queues,
        only=frozenset(given.only) if given.only else None,
        held_for=timedelta(seconds=given.queue_hold),
        local_settings=given.local_settings,
        as_azure=given.as_azure,
        stop_with_parent=given.stop_with_parent,
        tls_certificate=given.tls_certificate,
        tls_key=given.tls_key,
        process=given.process,
        shared=given.shared,
        heartbeat=given.heartbeat,
    )


class GracefulServer(uvicorn.Server):
    """A server that, asked to stop, lets its callers go before it closes their connections.

    A call that is sent into a connection that is just closed is lost, and most clients do not repeat a POST. So every answer says first
    that its connection ends, for as long as `LULL`, while new ones are still taken; then those that sent nothing in all that time are
    closed. Asked twice, it does so at once.
    """

    def __init__(self, config: uvicorn.Config, front: Front, *, shared: bool = False, heartbeat: int | None = None) -> None:
        """``shared`` says that other processes have the same sockets, and ``heartbeat`` names a pipe that hears that this one lives."""
        super().__init__(config)
        self._front = front
        self._shared = shared
        self._heartbeat = heartbeat
        self._accepting: list[Accepting] = []
        self._ends_at: float | None = None

    def end_after_the_start(self, _sig: int, _frame: FrameType | None) -> None:
        """End as soon as it has begun."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end at the first signal; the next ones are the server's own."""
        if self._ends_at is not None or not self.started:
            super().handle_exit(sig, frame)
            return
        self._ends_at = time.monotonic() + LULL
        self._front.keeps_connections = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, and then listen; where others listen on the same sockets, take no more than a share of the connections."""
        if not self._shared or sockets is None:
            await super().startup(sockets)
            return
        await super().startup([])
        self._accepting = [Accepting(each, self._connection, count=self._connected, tls=self.config.ssl) for each in sockets]

    def _connection(self) -> asyncio.Protocol:
        """Make what serves a connection, as the server itself does."""
        kind: Any = self.config.http_protocol_class
        made: asyncio.Protocol = kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return made

    def _connected(self) -> int:
        return len(self.server_state.connections)

    async def on_tick(self, counter: int) -> bool:
        """Go on until nobody is connected any more, or the lull is over; tell each second that it does."""
        if self._heartbeat is not None and counter % TICKS_A_SECOND == 0:
            with contextlib.suppress(OSError):  # nobody may listen any more, or not now
                os.write(self._heartbeat, b".")
        if self._ends_at is not None and (not self.server_state.connections or time.monotonic() > self._ends_at):
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, wait for the first call of those that were taken last, and close the others."""
        await _read_what_has_come()
        for each in self._accepting:
            each.close()
        for server in self.servers:
            server.close()
        until = time.monotonic() + FIRST_CALL
        while self._has_new_connections() and time.monotonic() < until and not self.force_exit:  # noqa: ASYNC110  # they come without a word
            await asyncio.sleep(0.02)
        await _read_what_has_come()
        await super().shutdown(sockets)

    def _has_new_connections(self) -> bool:
        are_beginning = any(each.is_beginning for each in self._accepting)
        return are_beginning or any(getattr(each, "cycle", None) is None for each in self.server_state.connections)


async def _read_what_has_come() -> None:
    """Have the loop look at its sockets: after a pause of the whole process it sees first that time is over, and then what came in it."""
    for _ in range(2):
        await asyncio.sleep(0)


def serve(backend: Backend, options: Options) -> None:
    """Serve until SIGTERM or SIGINT; what is under way then has `GRACE` seconds to end."""
    if options.local_settings:
        load_local_settings(options.app)
    front = Front(
        backend,
        options.app,
        timers=options.timers,
        queues=options.queues,
        held_for=options.held_for,
        as_azure=options.as_azure,
    )
    front.only = options.only
    front.last_answers = LAST_ANSWERS if options.shared else 0.0
    config = uvicorn.Config(
        front,
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",  # the default hides an app that cannot be indexed
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(GRACE),
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
    )
    if options.heartbeat is not None:
        os.set_blocking(options.heartbeat, False)
    server = GracefulServer(config, front, shared=options.shared, heartbeat=options.heartbeat)
    for number in (signal.SIGTERM, signal.SIGINT):  # what comes before uvicorn listens is not lost; it raises them again at the end
        signal.signal(number, server.end_after_the_start)
    if options.stop_with_parent:
        threading.Thread(target=_stop_when_input_ends, daemon=True).start()
    server.run(None if options.sockets is None else [socket.socket(fileno=number) for number in options.sockets])


def _stop_when_input_ends() -> None:
    while os.read(0, 1024):  # not through sys.stdin, whose lock a daemon thread must not hold at exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(backend: Backend, arguments: Sequence[str]) -> None:
    """Run the host with the given way of calling functions."""
    options = parse_options(arguments)
    try:
        write_logs_as_json(options.process)
        serve(backend, options)
    except LocalError as error:
        sys.exit(str(error))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a function still running in a thread had its time; a normal exit would wait for it


if __name__ == "__main__":
    main(DirectBackend(), sys.argv[1:])
