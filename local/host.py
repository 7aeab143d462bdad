"""A development host for Azure Functions apps in Python: HTTP, timer and queue triggers, on the loopback interface only.

It is not the Azure Functions host. It reads `function_app.py`, calls the functions in this process and copies what the
real host does to requests, replies and schedules, so that the app can be run and tested where Core Tools cannot be
installed. It checks no function keys and starts no worker processes; other triggers are not served.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import uvicorn

from local.backend import Backend
from local.front import GRACE, Front
from local.invoke import DirectBackend
from local.logs import write_logs_as_json
from local.queues import HELD_FOR
from local.settings import load_local_settings

REPOSITORY = Path(__file__).resolve().parent.parent

KEEP_ALIVE = 75
"""Seconds an idle connection stays open: longer than client pools keep theirs, so that they never write into a closing one."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    app: Path
    port: int
    timers: bool
    queues: bool
    held_for: timedelta
    local_settings: bool
    stop_with_parent: bool


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line; ``--help`` explains it."""
    parser = argparse.ArgumentParser(prog="python -m local.host", description="Serve a function app on 127.0.0.1.")
    parser.add_argument("--app", type=Path, default=REPOSITORY, help="the folder of function_app.py (default: this repository)")
    parser.add_argument("--port", type=int, default=7071, help="0 takes any free port (default: 7071)")
    parser.add_argument("--timers", action=argparse.BooleanOptionalAction, default=True, help="run timer functions on their schedules")
    parser.add_argument("--queues", action=argparse.BooleanOptionalAction, default=True, help="run queue functions on their messages")
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
    parser.add_argument("--stop-with-parent", action="store_true", help="stop when standard input ends, that is, when the parent is gone")
    given = parser.parse_args(arguments)
    return Options(
        app=given.app.resolve(),
        port=given.port,
        timers=given.timers,
        queues=given.queues,
        held_for=timedelta(seconds=given.queue_hold),
        local_settings=given.local_settings,
        stop_with_parent=given.stop_with_parent,
    )


def serve(backend: Backend, options: Options) -> None:
    """Serve until SIGTERM or SIGINT; what is under way then has `GRACE` seconds to end."""
    if options.local_settings:
        load_local_settings(options.app)
    if options.stop_with_parent:
        threading.Thread(target=_stop_when_input_ends, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore)  # uvicorn stops on these, then raises them again for whoever came before it
    uvicorn.run(
        Front(backend, options.app, timers=options.timers, queues=options.queues, held_for=options.held_for),
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
    )


def _stop_when_input_ends() -> None:
    while os.read(0, 1024):  # not through sys.stdin, whose lock a daemon thread must not hold at exit
        pass
    while True:  # one signal may come before the server listens for it, and is then lost
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1.0)


def _ignore(*_: object) -> None:
    """Do nothing; unlike SIG_IGN this is not handed down to child processes."""


def main(backend: Backend, arguments: Sequence[str]) -> None:
    """Run the host with the given way of calling functions."""
    write_logs_as_json()
    serve(backend, parse_options(arguments))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a function still running in a thread had its time; a normal exit would wait for it


if __name__ == "__main__":
    main(DirectBackend(), sys.argv[1:])
