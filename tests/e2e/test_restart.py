"""The service restarted under traffic of the official SDK, as a server restarts it: no call fails, and nothing acknowledged is lost."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import RankableAction, RankRequest
from msrest.authentication import ApiKeyCredentials

from local.host import LULL
from local.listening import FIRST_HANDED, listening, place_of
from tests.patience import PATIENCE
from tests.running import OURS, REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.long]

KEY = "0123456789abcdef0123456789abcdef"
ACTIONS = [RankableAction(id=name, features=[{"topic": name}]) for name in ("news", "sports", "weather")]


class Server:
    """`python -m local` as systemd runs it: on a socket that outlives it, and telling when it is ready."""

    def __init__(self, listener: socket.socket, folder: Path, *, processes: int) -> None:
        self._processes = processes
        self.port = place_of(listener).port
        self.log = folder / "log"
        self._listener = listener
        self._folder = folder
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.bind(str(folder / "notify"))
        self._told.settimeout(60)

    def start(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "PORT", "PROCESSES"))}
        settings = {
            "PERSONALIZER_KEYS": KEY,
            "PERSONALIZER_LOCAL_DIR": str(self._folder / "home"),
            "NOTIFY_SOCKET": str(self._folder / "notify"),
            "LISTEN_FDS": "1",
            "PROCESSES": str(self._processes),
        }
        handing = f'exec env LISTEN_PID=$$ "$@" {FIRST_HANDED}<&{self._listener.fileno()}'
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", handing, "bash", sys.executable, "-m", "local", "--no-demo"],
                pass_fds=[self._listener.fileno()],
                cwd=REPOSITORY,
                env={**clean, **settings},
                stdout=log,
                stderr=log,
            )
        assert self._told.recv(100) == b"READY=1", self.log.read_text()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(PATIENCE) == 0, self.log.read_text()
        assert self._told.recv(100) == b"STOPPING=1"

    def replace_each(self) -> None:
        """Ask each process that answers calls to end, one after the other; the service starts another in its place."""
        for name, number in self._answering().items():
            os.kill(number, signal.SIGTERM)
            until = time.monotonic() + PATIENCE
            while self._answering().get(name) in (None, number):
                assert time.monotonic() < until, f"nothing took the place of {name}"
                time.sleep(0.05)

    def _answering(self) -> dict[str, int]:
        listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
        mine = [line.split() for line in listed if line.split()[1] == str(self._process.pid)]
        return {word: int(words[0]) for words in mine for word in words if word.startswith("--process=http")}

    def counters(self) -> dict[str, Any]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request("GET", "/status", headers={"Ocp-Apim-Subscription-Key": KEY})
            found: dict[str, Any] = json.loads(connection.getresponse().read())["loop"]["counters"]
            return found

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._told.close()


@pytest.fixture(params=[1, 3], ids=["one process", "three"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with listening(["127.0.0.1"], 0) as (listener,):
        server = Server(listener, tmp_path, processes=request.param)
        server.start()
        try:
            yield server
        finally:
            server.close()


class Caller(threading.Thread):
    """Ranks and rewards through one client of the SDK, one call after another, and keeps what was answered and what failed."""

    def __init__(self, port: int, *, pause: float, done: threading.Event) -> None:
        super().__init__()
        self.ranked: list[str] = []
        self.rewarded: list[str] = []
        self.failures: list[str] = []
        self.crossed: list[str] = []
        """Failures of calls that were sent while the service may have closed their connection, since that had been idle for too long."""
        self.longest = 0.0
        self._port, self._pause, self._done = port, pause, done

    def run(self) -> None:
        credentials: Any = ApiKeyCredentials(in_headers={"Ocp-Apim-Subscription-Key": KEY})
        client: Any = PersonalizerClient(f"http://127.0.0.1:{self._port}/", credentials)  # the SDK types its operations for no one
        answered = time.monotonic()
        with client as sdk:
            while not self._done.wait(self._pause):
                event_id, began = uuid.uuid4().hex, time.monotonic()
                try:
                    sdk.rank(RankRequest(actions=ACTIONS, context_features=[{"time": "morning"}], event_id=event_id))
                    self.ranked.append(event_id)
                    sdk.events.reward(event_id, value=1.0)
                    self.rewarded.append(event_id)
                except Exception as failure:  # noqa: BLE001  # whatever it is, the application would have seen it
                    was_idle = began - answered > LULL
                    (self.crossed if was_idle else self.failures).append(repr(failure))
                answered = time.monotonic()
                self.longest = max(self.longest, answered - began)


@pytest.mark.sweep(keep=1)
def test_a_restart_under_traffic_fails_no_call_and_loses_nothing(server):
    done = threading.Event()
    callers = [Caller(server.port, pause=pause, done=done) for pause in (0.01, 0.05, 0.1, 0.2, 0.6, 1.1)]
    for each in callers:
        each.start()
    try:
        time.sleep(1.5)
        server.stop()
        server.start()
        time.sleep(1.5)
        server.replace_each()
        time.sleep(1.0)
    finally:
        done.set()
        for each in callers:
            each.join(60)
    assert [failure for each in callers for failure in each.failures] == []
    assert sum(len(each.crossed) for each in callers) <= 1  # its moment is a fraction of a millisecond, and no server can help it
    assert all(each.ranked for each in callers)
    counters = server.counters()
    assert counters["ranked"] == sum(len(each.ranked) for each in callers)
    assert counters["rewards"] == sum(len(each.rewarded) for each in callers)
    server.stop()
