"""The app as a process of its own, for tests that speak HTTP to it."""

import contextlib
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

import pytest

from local.processes import free_port
from tests import ready_hosts
from tests.patience import PATIENCE
from tests.stores import settings_of

REPOSITORY = Path(__file__).resolve().parent.parent
WORKER_PYTHON = REPOSITORY / ".venv-3.13" / "bin" / "python"

HostKind = Literal["local", "worker", "protocol"]
OURS = ("PERSONALIZER_", "AzureWebJobs")
"""Settings of the developer's shell that must not leak into a test."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Asked(Protocol):
    """What answers requests: an app, or a loop in one."""

    def request(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None, keyed: bool = True
    ) -> Answer:
        """Send one request; it is keyed unless told otherwise."""

    @property
    def logs(self) -> str:
        """Everything the process that answers has written so far."""


class AppDidNotStartError(Exception):
    """The host ended, or did not answer in time; the text is its log."""


class RunningApp:
    """Starts one host process on a free port and stops it when the block is left: ``with RunningApp(storage) as app: ...``.

    This repository's app runs under all rules of the real host, unless ``as_azure`` says that it is as `make run` serves it.
    """

    def __init__(
        self,
        storage: str,
        *,
        kind: HostKind = "local",
        settings: Mapping[str, str] | None = None,
        timers: bool = False,
        queues: bool = False,
        queue_hold: int = 60,
        folder: Path = REPOSITORY,
        ready: str = "/status",
        ready_status: int = 200,
        as_azure: bool | None = None,
        local_settings: bool = False,
    ) -> None:
        self.storage = storage
        self.key = secrets.token_hex(16)
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self._ready, self._ready_status = ready, ready_status
        self._log = Path(tempfile.gettempdir()) / f"host-{secrets.token_hex(8)}.log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.environment = {**inherited, **settings_of(storage), "PERSONALIZER_KEYS": self.key, **(settings or {})}
        self.as_azure = folder == REPOSITORY if as_azure is None else as_azure
        self.handed: tuple[int, ...] = ()
        """Descriptors that the process is given."""
        self.command = [
            *host_command(kind),
            *("--app", str(folder), "--port", str(self.port), "--stop-with-parent"),
            "--local-settings" if local_settings else "--no-local-settings",
            "--timers" if timers else "--no-timers",
            *(("--as-azure",) if self.as_azure else ()),
            *(("--queues", "--queue-hold", str(queue_hold)) if queues else ("--no-queues",)),
        ]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._log.unlink()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._log.unlink()

    def start(self) -> None:
        """Start, or start again after `stop` or `kill`: same port, key and settings."""
        self._process: subprocess.Popen[bytes] | ready_hosts.Fork
        with self._log.open("ab") as log:
            if self._may_be_a_fork():
                self._process = ready_hosts.start(self.command, environment=self.environment, log=log)
            else:
                self._process = subprocess.Popen(
                    self.command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=self.environment, cwd=REPOSITORY, pass_fds=self.handed
                )
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> int:
        """Stop gracefully (SIGTERM) and return the exit code."""
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it like a power cut: SIGKILL."""
        self.send(signal.SIGKILL)
        self.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        self._process.send_signal(number)

    def close_input(self) -> None:
        """End the process's standard input, as the end of its parent would."""
        if self._process.stdin:
            self._process.stdin.close()

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for its end and return the exit code."""
        code = self._process.wait(seconds)
        self.close_input()
        return code

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def logs(self) -> str:
        """Everything the process has written so far."""
        return self._log.read_text(errors="replace")

    @property
    def log_lines(self) -> list[dict[str, Any]]:
        """The structured log lines so far."""
        return [json.loads(line) for line in self.logs.splitlines() if line.startswith("{")]

    def request(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None, keyed: bool = True
    ) -> Answer:
        """Send one request on a connection of its own; dicts and lists go as JSON, the key goes along unless told otherwise."""
        sent = {"Ocp-Apim-Subscription-Key": self.key} if keyed else {}
        payload: Any = body
        if isinstance(body, (dict, list)):
            payload = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, payload, {**sent, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def _may_be_a_fork(self) -> bool:
        """Whether this is the app in a host of the usual kinds, so that it can start without its imports."""
        is_usual = self.folder == REPOSITORY and self.command[1:3] in (["-m", "local.host"], ["-m", "tests.worker_host"])
        return sys.platform == "linux" and is_usual and not self.handed

    def _wait_until_ready(self, seconds: float = PATIENCE) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.request("GET", self._ready).status == self._ready_status:
                    return
            time.sleep(0.05)
        raise AppDidNotStartError(f"exit code {self._process.poll()}\n{self.logs}")


def host_command(kind: HostKind) -> list[str]:
    """Say how a host of this kind is started; skips the test, with the reason, where that is impossible."""
    if kind == "local":
        return [sys.executable, "-m", "local.host"]
    if kind == "protocol":
        return [sys.executable, "-m", "tests.functions_host"]
    if not WORKER_PYTHON.exists():
        pytest.skip("Microsoft's worker needs Python 3.13: `make test` sets it up where python3.13 is installed")
    return [str(WORKER_PYTHON), "-m", "tests.worker_host"]
