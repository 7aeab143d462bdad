"""The running service, spoken to over HTTP as its other callers do; what it refuses is told in its own words."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson

from shared.domain.errors import InvalidRequestError, SettingsError, StorageUnavailableError
from shared.domain.loop import DEFAULT_LOOP
from shared.runtime.auth import HEADER
from shared.runtime.http import QUERY_VERSION

_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, connect=10)


@dataclass(frozen=True, slots=True)
class Service:
    """Where it is, and a key: a loop's for what is the loop's, or the administrator's."""

    endpoint: str
    key: str = field(repr=False)
    loop: str = DEFAULT_LOOP

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request about the loop, and give the answer's JSON, None if it has none; raises as `root`."""
        prefix = "" if self.loop == DEFAULT_LOOP else f"loops/{quote(self.loop, safe='')}/"
        return self.root(method, f"{prefix}personalizer/{path}", body, query={"api-version": QUERY_VERSION})

    def root(self, method: str, path: str, body: object = None, *, query: Mapping[str, str] | None = None) -> Any:
        """Send a request to a path under the endpoint.

        Raises `InvalidRequestError`, in the service's own words, for what it refuses, `StorageUnavailableError` when it does not answer.
        """
        if not self.key:
            raise SettingsError("no key was given: see --help for the option, or the variable of the environment, that takes it")
        return asyncio.run(self._send(method, f"{self.endpoint.rstrip('/')}/{path}", body, query or {}))

    async def _send(self, method: str, url: str, body: object, query: Mapping[str, str]) -> Any:
        headers = {HEADER: self.key, "Content-Type": "application/json"}
        data = None if body is None else _written(body)
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.request(method, url, params=query, data=data, headers=headers, allow_redirects=False) as response,
            ):
                text = await response.read()
                return _answer(response.status, text)
        except (aiohttp.ClientError, TimeoutError, ValueError) as cause:
            reason = str(cause) or type(cause).__name__
            raise StorageUnavailableError(f"the service at {self.endpoint} does not answer: {reason}") from cause


def _written(body: object) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as cause:
        raise InvalidRequestError(f"the request cannot be written as JSON: {cause}") from cause


def _answer(status: int, text: bytes) -> Any:
    try:
        document = orjson.loads(text) if text else None
    except orjson.JSONDecodeError as cause:
        raise InvalidRequestError(f"the service answered {status}, and not with JSON: is the endpoint right?") from cause
    if status < 300:
        return document
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        raise InvalidRequestError(f"the service answered {status} without saying why: is the endpoint right?")
    code = str(error.get("code"))
    raise InvalidRequestError(f"{error.get('message')} ({status})" if code == str(status) else f"{error.get('message')} ({status} {code})")
