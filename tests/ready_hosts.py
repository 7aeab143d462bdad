"""Hosts that start in a moment: each is a fork of a process that has imported all that they need, and is else what a start makes of it.

Four fifths of a start are imports, and the tests start the app hundreds of times. `tests/local` and `make run` start it from nothing.
The command line in a script is a fork too: `standing_for`. `tests/cli/test_import_and_export.py` starts it from nothing.
"""

import ast
import atexit
import contextlib
import gc
import importlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
_STORES: Final = ("shared.storage.azure.storage", "shared.storage.embedded.storage")
"""What the app imports once it knows its storage."""


# --- for tests ---------------------------------------------------------------------------------------------------------


class SourceEndedError(Exception):
    """The process that was to start a host, or to tell of its end, is not there any more."""


class Fork:
    """A host that was started so, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, asked: socket.socket, stdin: IO[bytes]) -> None:
        self.stdin = stdin
        self.returncode: int | None = None
        self._said = asked
        self.pid: int = self._read()

    def poll(self) -> int | None:
        """Give the exit code, negative for a signal, or None while the process runs."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait so many seconds for the end and give the exit code; raises `subprocess.TimeoutExpired`."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("the host", timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._said.settimeout(timeout)
            try:
                self.returncode = self._read()
            except (TimeoutError, BlockingIOError):
                return None
            self._said.close()
        return self.returncode

    def _read(self) -> int:
        said = self._said.recv(_NUMBER)
        if not said:
            raise SourceEndedError
        return int.from_bytes(said, "big", signed=True)


def start(command: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes]) -> Fork:
    """Do what ``python -m MODULE ARGUMENT...`` does, with the output in the log and a pipe as the standard input."""
    python, _, module, *arguments = command
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    with theirs:
        socket.send_fds(_source(python, module), [b"."], [theirs.fileno(), read, log.fileno(), log.fileno()])
    os.close(read)
    asked = json.dumps({"arguments": arguments, "environment": dict(environment), "folder": str(REPOSITORY)}).encode()
    ours.sendall(len(asked).to_bytes(_NUMBER, "big") + asked)
    return Fork(ours, os.fdopen(write, "wb"))


def standing_for(python: str, module: str) -> tuple[str, int]:
    """Give what to write in a script for ``python -m MODULE``, and the socket that the script has to have open and in its environment."""
    words = [python, "-S", "-E", str(REPOSITORY / "tests" / "asking.py")]
    return shlex.join(words), _source(python, f"{module}.main").fileno()


@cache
def _source(python: str, module: str) -> socket.socket:
    """Start the process that the hosts of this kind are forked from; it ends with this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [python, "-m", "tests.ready_hosts", module, str(theirs.fileno())]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=REPOSITORY, pass_fds=[theirs.fileno()])

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


# --- the process that they are forked from ----------------------------------------------------------------------------

_NUMBER: Final = 8
"""Bytes of a number that is told."""


def host_of(module: str, control: socket.socket) -> Callable[[], None]:
    """Start hosts until nobody can ask for one any more; this returns in each of them, with what it is to run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests and for the hosts
    main = _imported(module)
    gc.collect()
    gc.freeze()
    while True:
        _, given, _, _ = socket.recv_fds(control, 1, 4)
        _reap()
        if not given:
            sys.exit()
        if os.fork() == 0:
            control.close()
            with socket.socket(fileno=given[0]) as asking:
                arguments = _asked(asking, given[1:])
            return lambda: sys.exit(main(arguments))
        for each in given:
            os.close(each)


def _imported(module: str) -> Callable[[list[str]], Any]:
    """Import what a host of this kind or a command does, and give what runs it."""
    host = importlib.import_module(module)
    if module.endswith(".main"):
        command: Callable[[list[str]], Any] = host.main
        return command
    for node in ast.walk(ast.parse((REPOSITORY / "function_app.py").read_text("utf-8"))):  # which itself reads the settings
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            importlib.import_module(node.module)
    for each in _STORES:
        importlib.import_module(each)
    backend = host.WorkerBackend if hasattr(host, "WorkerBackend") else host.DirectBackend
    return lambda arguments: host.main(backend(), arguments)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def _asked(asking: socket.socket, streams: Sequence[int]) -> list[str]:
    """Become a host that is asked for, in a process of its own, and give its arguments; this one stays to tell its number and its end."""
    size = int.from_bytes(asking.recv(_NUMBER, socket.MSG_WAITALL), "big")
    asked = json.loads(asking.recv(size, socket.MSG_WAITALL))
    host = os.fork()
    if host:
        for each in streams:
            os.close(each)
        with contextlib.suppress(OSError):  # who asked may be gone
            asking.sendall(host.to_bytes(_NUMBER, "big"))
            code = os.waitstatus_to_exitcode(os.waitpid(host, 0)[1])
            asking.sendall(code.to_bytes(_NUMBER, "big", signed=True))
        os._exit(0)
    for target, source in enumerate(streams):
        os.dup2(source, target)
    for each in streams:
        os.close(each)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    time.tzset()
    return list(asked["arguments"])


if __name__ == "__main__":
    host_of(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))()
