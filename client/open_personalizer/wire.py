"""HTTP: the three operations of the service that are called."""

import encodings.cp437
import encodings.idna  # noqa: F401 - for names of hosts, likewise
import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Final

import urllib3

from open_personalizer.errors import PersonalizerError

KEY: Final = "Ocp-Apim-Subscription-Key"
SERVING: Final = "/models/serving"
DECISIONS: Final = "/logs/decisions"
OBSERVATIONS: Final = "/personalizer/v1.1-preview.3/logs/observations"

LARGEST_ANSWER: Final = 128 << 20
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

    def __init__(self, endpoint: str, key: str, http: urllib3.PoolManager | None = None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._headers = {KEY: key}
        self._own = http is None
        self._http = http or urllib3.PoolManager(num_pools=2, maxsize=4)

    def serving(self, tag: str | None) -> Answer:
        """Ask for model and settings; 304 where the last answer, of this tag, still holds. Raises `WireError`."""
        return self._send("GET", SERVING, headers={"If-None-Match": tag} if tag else {})

    def post(self, path: str, body: bytes) -> Answer:
        """Send lines; raises `WireError` if there is no answer."""
        return self._send("POST", path, body=body, headers={"Content-Type": "application/x-ndjson"})

    def after_fork(self) -> "Wire":
        """Give one without the connections of the process from which this one was forked."""
        if self._own:
            return Wire(self.endpoint, self._headers[KEY])
        self._http.clear()
        return self

    def _send(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        try:
            response = self._http.request(
                method,
                f"{self.endpoint}{path}",
                body=body,
                headers={**self._headers, **headers},
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=5.0, read=60.0),
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


def model_bytes(text: object) -> bytes | None:
    """Read the model in an answer; None if there is none. Raises `ValueError`."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError("the model is no text")
    return b64decode(text, validate=True)
