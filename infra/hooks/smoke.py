"""Tries a deployed service: Rank, Reward, and what the status says of them. Needs nothing but Python 3.8.

The event is deferred and never activated, so the loop counts it and does not learn from it. The key is the first of those in
``PERSONALIZER_KEYS``. Exit code 0: it works; 1: it does not, and the last line says why.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import Any, NamedTuple

PAUSE = 2.0
BUSY = (429, 502, 503, 504)


class SmokeError(Exception):
    """The service does not do what it should; the text says what it did."""


class Answer(NamedTuple):
    """A status, and the body if there is one: JSON, or text that is none."""

    status: int
    body: Any


class Service:
    """A service at an address. What passes is tried again until ``patience`` seconds are over."""

    def __init__(self, endpoint: str, key: str, patience: float) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._key = key
        self._until = time.monotonic() + patience

    def expect(self, status: int, method: str, path: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> Any:
        """Send a request until it is answered with this status, and give the body; raises `SmokeError` for another, or without one."""
        while True:
            try:
                answer = self._send(method, path, body, self._key if key is None else key)
                said = f"{method} {path} was answered with {answer.status} {answer.body}, not {status}"
                may_pass = answer.status in BUSY or (answer.status == 404 and status != 404)  # 404: the platform's, while it starts
            except (OSError, http.client.HTTPException) as error:
                answer, said, may_pass = Answer(0, None), f"{method} {path} was not answered: {error}", True
            if answer.status == status:
                return answer.body
            if not may_pass or time.monotonic() + PAUSE > self._until:
                raise SmokeError(said)
            time.sleep(PAUSE)

    def _send(self, method: str, path: str, body: dict[str, Any] | None, key: str) -> Answer:
        headers = {"Ocp-Apim-Subscription-Key": key} if key else {}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self._endpoint + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return Answer(response.status, _read(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _read(error.read()))


def _read(content: bytes) -> Any:
    text = content[:2000].decode(errors="replace")
    try:
        return json.loads(content) if content else ""
    except ValueError:
        return text


def smoke(service: Service) -> str:
    """Try it, and say how it went; raises `SmokeError`."""
    service.expect(200, "GET", "/status", key="")
    before = _counters(service)
    event_id = f"smoke-{uuid.uuid4().hex}"
    actions = [{"id": "one", "features": [{"smoke": 1}]}, {"id": "two", "features": [{"smoke": 2}]}]
    asked = {"eventId": event_id, "contextFeatures": [{"smoke": True}], "actions": actions, "deferActivation": True}
    answer = service.expect(201, "POST", "/personalizer/v1.0/rank", asked)
    if answer.get("eventId") != event_id or answer.get("rewardActionId") not in ("one", "two"):
        raise SmokeError(f"Rank answered {answer}")
    service.expect(204, "POST", f"/personalizer/v1.0/events/{event_id}/reward", {"value": 1.0})
    service.expect(401, "POST", "/personalizer/v1.0/rank", asked, key="not-a-key")
    after = _counters(service)
    for name in ("ranked", "rewards"):
        if after[name] <= before[name]:
            raise SmokeError(f"{name} was {before[name]} and is {after[name]} after one more")
    return f"It works: {answer['rewardActionId']!r} was shown and rewarded; {after['ranked']} events so far."


def _counters(service: Service) -> dict[str, int]:
    status = service.expect(200, "GET", "/status")
    loop = status.get("loop") if isinstance(status, dict) else None
    counters = loop.get("counters") if isinstance(loop, dict) else None
    if not isinstance(counters, dict) or status.get("apiStatus") != "Valid":
        raise SmokeError(f"the status is {status}")
    return counters


def main() -> int:
    """Read the command line and try the service."""
    parser = argparse.ArgumentParser(description="Try a deployed Open Personalizer.")
    parser.add_argument("endpoint", help="such as https://func-NAME.azurewebsites.net")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds it may take to become ready (default: 300)")
    options = parser.parse_args()
    key = os.environ.get("PERSONALIZER_KEYS", "").split(",")[0].strip()
    if not key:
        print("PERSONALIZER_KEYS is not set, and without a key nothing can be tried.", file=sys.stderr)
        return 1
    try:
        print(smoke(Service(options.endpoint, key, options.patience)))
    except SmokeError as error:
        print(f"It does not work: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
