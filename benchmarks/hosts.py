"""Function apps as processes of their own, and connections to them that stay open."""

import contextlib
import http.client
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from local.processes import Child, LocalError, free_port, stopped_at_the_end
from local.settings import REPOSITORY

_OURS = ("PERSONALIZER_", "AzureWebJobs")
"""Settings of the shell that must not leak into a measurement."""

_READY_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Host:
    """Where a started host listens, and its key."""

    port: int
    key: str

    @contextlib.contextmanager
    def connection(self) -> Iterator["Connection"]:
        """Open a connection that is kept alive while the block lasts."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as opened:
            yield Connection(opened, {"Content-Type": "application/json", "Ocp-Apim-Subscription-Key": self.key})


@dataclass(frozen=True, slots=True)
class Connection:
    """One caller."""

    _opened: http.client.HTTPConnection
    _headers: Mapping[str, str]

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Send a request and read its answer; raises `LocalError` for anything but success."""
        self._opened.request(method, path, body, dict(self._headers))
        response = self._opened.getresponse()
        content = response.read()
        if response.status >= 300:
            raise LocalError(f"{method} {path} answered {response.status}: {content[:500].decode(errors='replace')}")
        return content

    def rank(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Rank."""
        answer: dict[str, Any] = orjson.loads(self.send("POST", "/personalizer/v1.0/rank", orjson.dumps(body)))
        return answer

    def reward(self, event_id: str, value: float) -> None:
        """Reward."""
        self.send("POST", f"/personalizer/v1.0/events/{event_id}/reward", orjson.dumps({"value": value}))

    def loop(self) -> dict[str, Any]:
        """Ask how far the loop has come."""
        loop: dict[str, Any] = orjson.loads(self.send("GET", "/status"))["loop"]
        return loop


@contextlib.contextmanager
def running_host(
    storage: str, *, app: Path = REPOSITORY, settings: Mapping[str, str] | None = None, timers: bool = False
) -> Iterator[Host]:
    """Serve an app on a free port until the block is left; its ``GET /status`` answers 200 by then."""
    host = Host(free_port(), secrets.token_hex(16))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    environment = {**inherited, "AzureWebJobsStorage": storage, "PERSONALIZER_KEYS": host.key, **(settings or {})}
    command = [sys.executable, "-m", "local.host", "--app", str(app), "--port", str(host.port)]
    command += ["--no-local-settings", "--stop-with-parent", "--timers" if timers else "--no-timers"]
    with tempfile.TemporaryFile() as log:
        child = Child(f"The host of {app.name}", command, environment=environment, output=log)
        with stopped_at_the_end(child, grace=15):
            try:
                _wait_until_ready(host, child)
            except LocalError as error:
                log.seek(0)
                raise LocalError(f"{error}\n{log.read()[-3000:].decode(errors='replace')}") from error
            yield host


def _wait_until_ready(host: Host, child: Child) -> None:
    until = time.monotonic() + _READY_WITHIN
    while time.monotonic() < until and child.exit_code is None:
        with contextlib.suppress(OSError, http.client.HTTPException), host.connection() as connection:
            connection.send("GET", "/status")
            return
        time.sleep(0.05)
    raise LocalError(f"{child.name} did not become ready (exit code {child.exit_code})")
