"""Whether the service is well, as a monitor asks."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import free_port
from tests.patience import PATIENCE
from tests.running import OURS, REPOSITORY

KEY = "the-key-in-use"


class Service(http.server.BaseHTTPRequestHandler):
    """Says it is well to those without a key, and what it was told to say to those who have it."""

    port = 0
    with_key: tuple[int, bytes] = (200, b"")

    def do_GET(self) -> None:
        well = json.dumps({"apiStatus": "Valid", "apiStatusMessage": "The service is running."}).encode()
        status, body = self.with_key if self.headers.get("Ocp-Apim-Subscription-Key") == KEY else (200, well)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[type[Service]]:
    class Own(Service):
        """One test's."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Own.port = server.server_address[1]
        yield Own
        server.shutdown()


def health(port: int, *arguments: str, **settings: str) -> tuple[int, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    ended = subprocess.run(
        [sys.executable, "-m", "local.health", *arguments],
        env={**clean, "PORT": str(port), **settings},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return ended.returncode, ended.stdout.strip()


def test_without_a_key_it_asks_whether_the_service_answers(service):
    service.with_key = (500, b"")
    assert health(service.port) == (0, "Valid: The service is running.")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b'{"apiStatus": "Valid", "apiStatusMessage": "It is well."}', (0, "Valid: It is well.")),
        (200, b'{"apiStatus": "Degraded", "apiStatusMessage": "The disk is full."}', (1, "Degraded: The disk is full.")),
        (503, b"storage is away", (1, "503 storage is away")),
        (401, b"no", (1, "401 no")),
    ],
)
def test_with_the_key_it_asks_how_the_loop_is(service, tmp_path, status, body, told):
    service.with_key = (status, body)
    assert health(service.port, "--loop", PERSONALIZER_KEYS=f" {KEY} ,another") == told
    (tmp_path / "keys").write_text(f"{KEY}\n")
    assert health(service.port, "--loop", PERSONALIZER_LOCAL_DIR=str(tmp_path)) == told


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}"])
def test_another_program_is_not_the_service(service, body):
    service.with_key = (200, body)
    code, told = health(service.port, "--loop", PERSONALIZER_KEYS=KEY)
    assert code == 1
    assert told.startswith(f"http://127.0.0.1:{service.port}")


def test_nobody_there_and_no_key_to_ask_with_are_said_in_a_line(tmp_path: Path):
    nobody = free_port()
    code, told = health(nobody)
    assert (code, len(told.splitlines())) == (1, 1)
    assert str(nobody) in told
    code, told = health(nobody, "--loop", PERSONALIZER_LOCAL_DIR=str(tmp_path))
    assert (code, len(told.splitlines())) == (1, 1)
    assert str(tmp_path / "keys") in told
