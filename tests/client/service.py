"""A service that speaks the wire of clients which decide by themselves, and fails as it is told to."""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

SETTINGS: dict[str, Any] = {
    "learningMode": "Online",
    "apprenticeLearning": "Imitate",
    "explorationPercentage": 0.2,
    "policyArguments": "--cb_explore_adf",
}
SERVING: dict[str, Any] = {
    "algorithm": 1,
    "loop": "default",
    "modelVersion": "",
    "settings": SETTINGS,
    "pollSeconds": 0.05,
    "ticket": "first",
    "model": None,
}


@dataclass
class Reply:
    """An answer that is given in place of the usual one, once."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Sent:
    """A body that came."""

    path: str
    lines: list[dict[str, Any]]

    @property
    def decisions(self) -> list[dict[str, Any]]:
        return [each for each in self.lines if "rewardActionId" in each or "filled" in each]


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that are killed."""


class Service:
    """``with Service() as service: ...``; `replies` are given first, and `gate` holds all uploads back while it is cleared."""

    def __init__(self) -> None:
        self.serving: dict[str, Any] = dict(SERVING)
        self.serving_replies: deque[Reply] = deque()
        self.replies: deque[Reply] = deque()
        self.sent: list[Sent] = []
        self.looks = 0
        self.gate = threading.Event()
        self.gate.set()
        self.changed = threading.Condition()
        self.judge: Callable[[dict[str, Any]], str | None] = lambda line: None
        self.answer: Callable[[str, bytes], Reply] = self.answer_as_usual

    def __enter__(self) -> Self:
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """All decisions that came and were stored, repetitions too."""
        return [line for each in self.sent for line in each.decisions]

    @property
    def observations(self) -> list[dict[str, Any]]:
        return [line for each in self.sent if each.path.endswith("observations") for line in each.lines]

    def answer_as_usual(self, path: str, body: bytes) -> Reply:
        """Take a body of lines."""
        self.gate.wait()
        with self.changed:
            if self.replies:
                return self.replies.popleft()
            sent = Sent(path, [json.loads(line) for line in body.splitlines()])
            self.sent.append(sent)
            self.changed.notify_all()
        if path.endswith("observations"):
            return Reply(204)
        judged = [(number, line, self.judge(line)) for number, line in enumerate(sent.lines, start=1)]
        refused = [{"line": number, "eventId": line.get("eventId"), "code": code, "message": "no"} for number, line, code in judged if code]
        return Reply(200, {"stored": len(sent.decisions) - len(refused), "repeated": 0, "refused": refused})

    def _look(self, tag: str | None) -> Reply:
        self.looks += 1
        if self.serving_replies:
            return self.serving_replies.popleft()
        etag = f'"{hash(json.dumps(self.serving, sort_keys=True))}"'
        return Reply(304) if tag == etag else Reply(200, self.serving, {"ETag": etag})

    def _handler(service) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler's own self is another one
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer leaves at once, and not its head alone

            def do_GET(self) -> None:
                self._send(service._look(self.headers.get("If-None-Match")))

            def do_POST(self) -> None:
                self._send(service.answer(self.path, self.rfile.read(int(self.headers["Content-Length"]))))

            def _send(self, reply: Reply) -> None:
                body = b"" if reply.body is None else json.dumps(reply.body).encode()
                self.send_response_only(reply.status)
                headers = {"Date": format_datetime(datetime.now(UTC), usegmt=True), **reply.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                if reply.status not in {204, 304}:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def error(code: str, message: str = "no", target: str | None = None) -> dict[str, Any]:
    """Write an error as the service does."""
    return {"error": {"code": code, "message": message, "target": target}}
