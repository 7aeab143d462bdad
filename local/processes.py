"""Child processes that end with their parent, and one lock a folder."""

import contextlib
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

GRACE = 10.0
"""Seconds that running requests, timers and queue functions get to end when a host stops."""

PORTS_OF_SERVERS: Final = (20_000, 32_000)
"""Below those that systems give to outgoing connections (from 32,768 on Linux, from 49,152 elsewhere)."""


class LocalError(Exception):
    """Something the person at the terminal has to know and can do something about."""


class Child:
    """A process of ours. It holds one end of a pipe as its standard input and is to stop when that ends.

    So nothing is left behind even when the parent is killed; the child's own part is ``--stop-with-parent`` or
    `stop_with_parent.cjs`. It runs in a session of its own: Ctrl-C reaches the parent alone, which stops its
    children in order.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: IO[bytes] | None,
        locks: Sequence[int] = (),
        sockets: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=dict(environment),
            start_new_session=True,
            pass_fds=[*sockets, *locks],  # a lock is held until the last child is gone
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        with undisturbed():
            return self._process.poll()

    def wait(self, seconds: float) -> int | None:
        """Wait for its end; None when it still runs after that."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.exit_code

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def stop(self, *, grace: float) -> None:
        """Ask it to stop; kill it only when it has not after ``grace`` seconds."""
        self.ask_to_stop()
        self.end(grace=grace)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def end(self, *, grace: float) -> None:
        """Wait for its end, and kill it when ``grace`` seconds are over."""
        if self.wait(grace) is None:
            self.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM come before or after this, and not within: what they interrupt in `subprocess` would never be waited for."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))  # one that came already is raised here
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def stopped_at_the_end(child: Child, *, grace: float) -> Iterator[Child]:
    """Stop the child when the block is left, in whatever way."""
    try:
        yield child
    finally:
        child.stop(grace=grace)


@contextlib.contextmanager
def only_one_in(folder: Path, *, patience: float = 30.0) -> Iterator[int]:
    """Hold the folder's lock and yield its descriptor.

    A lock whose owner is gone but whose children are still stopping is waited for; one whose owner runs is an error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with path.open("a+") as file:
        until = time.monotonic() + patience
        while not _locked(file):
            owner = path.read_text()
            if _runs(owner) or time.monotonic() > until:
                raise LocalError(f"{folder} is in use: process {owner or '?'} is already running here. Stop it first.")
            time.sleep(0.2)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, and that nobody else is given as long as this process runs.

    It stays bound here, without being listened on: a server may share it, since servers say that they do (``SO_REUSEADDR``), and who
    looks for a port as this does finds that it is taken. It is none of those that the system gives to outgoing connections.
    """
    first, behind = PORTS_OF_SERVERS
    while True:
        port = first + secrets.randbelow(behind - first)  # not by a seed: tests in several processes may have the same
        if _hold(port):
            return port


def _hold(port: int) -> bool:
    """Bind a port before it is said to be shared, so that of two who do this one fails."""
    held = socket.socket()
    try:
        held.bind(("127.0.0.1", port))
    except OSError:
        held.close()
        return False
    if sys.platform == "linux":
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.detach()  # open as long as this process runs
    else:
        held.close()  # elsewhere no two sockets may have one port, whatever they say
    return True
