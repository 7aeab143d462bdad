"""HTTP: the three operations of the service that are called."""

import encodings.cp437
import encodings.idna  # noqa: F401 - for names of hosts, likewise
import http.client
import io
import json
import socket
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Final, NamedTuple

import urllib3
import urllib3.connection

from open_personalizer.errors import PersonalizerError

KEY: Final = "Ocp-Apim-Subscription-Key"
SERVING: Final = "/models/serving"
DECISIONS: Final = "/logs/decisions"
OBSERVATIONS: Final = "/personalizer/v1.1-preview.3/logs/observations"

LARGEST_ANSWER: Final = 128 << 20


class Seconds(NamedTuple):
    """How long it may take to connect, to send a body, to wait for the next bytes of an answer, and until all of the answer is there."""

    connect: float = 5.0
    send: float = 60.0
    read: float = 60.0
    answer: float = 180.0


_LONGEST_TOLD: Final = 500
_LONGEST_WAIT: Final = 300.0


class WireError(PersonalizerError):
    """The service gave no answer, or none that can be used; ``retry_after`` are the seconds that it asks to wait."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body; None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def error(self) -> Mapping[str, Any]:
        """The error that it tells of, in the service's shape; empty if there is none."""
        body = self.json
        error = body.get("error") if isinstance(body, dict) else None
        return error if isinstance(error, dict) else {}

    @property
    def told(self) -> str:
        """The error in one sentence."""
        message = self.error.get("message")
        return f"the service answered {self.status}: {message or self.body[:_LONGEST_TOLD].decode(errors='replace')}"

    @property
    def retry_after(self) -> float:
        """Seconds to wait before another try, as far as the service asks for that."""
        try:
            seconds = float(self.headers.get("Retry-After", "0"))
        except ValueError:
            return 0.0
        return min(max(seconds, 0.0), _LONGEST_WAIT) if isfinite(seconds) else 0.0

    @property
    def date(self) -> datetime | None:
        """The time at which the service answered."""
        try:
            return parsedate_to_datetime(self.headers["Date"]).astimezone(UTC)
        except (KeyError, ValueError):
            return None


class Wire:
    """Speaks to one loop of the service; may be shared between threads."""

    def __init__(self, endpoint: str, key: str, http: urllib3.PoolManager | None = None, *, seconds: Seconds | None = None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._headers = {KEY: key}
        self._own = http is None
        self._seconds = seconds or Seconds()
        self._http = http or _pools(self._seconds)

    def serving(self, tag: str | None) -> Answer:
        """Ask for model and settings; 304 where the last answer, of this tag, still holds. Raises `WireError`."""
        return self._send("GET", SERVING, headers={"If-None-Match": tag} if tag else {})

    def post(self, path: str, body: bytes) -> Answer:
        """Send lines; raises `WireError` if there is no answer."""
        return self._send("POST", path, body=body, headers={"Content-Type": "application/x-ndjson"})

    def after_fork(self) -> "Wire":
        """Give one without the connections of the process from which this one was forked."""
        if self._own:
            return Wire(self.endpoint, self._headers[KEY], seconds=self._seconds)
        self._http.clear()
        return self

    @property
    def _timeout(self) -> urllib3.Timeout:
        """Of someone's own `urllib3.PoolManager`, a body that is sent has no more time than it may take to connect."""
        seconds = self._seconds
        return urllib3.Timeout(connect=seconds.connect if self._own else seconds.send, read=seconds.read)

    def _send(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        try:
            response = self._http.request(
                method,
                f"{self.endpoint}{path}",
                body=body,
                headers={**self._headers, **headers},
                retries=False,
                redirect=False,
                timeout=self._timeout,
                preload_content=False,
            )
            try:
                data = response.read(LARGEST_ANSWER + 1)
            finally:
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as cause:
            raise WireError(f"no answer from {self.endpoint}{path}: {type(cause).__name__}: {cause}") from cause
        if len(data) > LARGEST_ANSWER:
            raise WireError(f"the answer to {path} is longer than {LARGEST_ANSWER} bytes")
        return Answer(response.status, response.headers, data)


class _Bounded(io.RawIOBase):
    """The bytes of an answer, which have to be there in time, however slowly they come: urllib3 has a limit for each read alone."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, until: float) -> None:
        self._raw = raw
        self._sock = sock
        self._until = until
        self._each = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._sock.settimeout(left if self._each is None else min(self._each, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._raw.close()


def _pools(seconds: Seconds) -> urllib3.PoolManager:
    """Make a manager whose connections have these limits."""

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
            super().__init__(sock, *args, **more)
            raw = self.fp.detach()
            self.fp = io.BufferedReader(_Bounded(raw, sock, time.monotonic() + seconds.answer))

    class Connection(urllib3.connection.HTTPConnection):
        response_class = Response

        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(seconds.send)

    class SecureConnection(urllib3.connection.HTTPSConnection):
        response_class = Response

        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(seconds.send)

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    made = urllib3.PoolManager(num_pools=2, maxsize=4)
    made.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}
    return made


def model_bytes(text: object) -> bytes | None:
    """Read the model in an answer; None if there is none. Raises `ValueError`."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError("the model is no text")
    return b64decode(text, validate=True)
