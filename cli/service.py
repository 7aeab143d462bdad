"""The running service, spoken to over HTTP as its other callers do; what it refuses is told in its own words."""

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import orjson

from shared.domain.errors import GateNotPassedError, InvalidRequestError, SettingsError, StorageUnavailableError
from shared.domain.loop import DEFAULT_LOOP
from shared.runtime.auth import HEADER
from shared.runtime.http import QUERY_VERSION
from shared.runtime.own_machine import OwnService, own_folder, read_own_service

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:7071"
_VERSION: Final = {"api-version": QUERY_VERSION}
_OF_A_GATE: Final = "GateNotPassed"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, connect=10)


@dataclass(frozen=True, slots=True)
class Service:
    """Where it is, and a key: a loop's for what is the loop's, or the administrator's for the ``is_whole`` deployment."""

    endpoint: str
    key: str = field(repr=False)
    loop: str = DEFAULT_LOOP
    trust: str | None = None
    is_whole: bool = False

    @classmethod
    def of_loop(cls, endpoint: str, key: str, loop: str) -> Self:
        """Give the service to whom asks about a loop; what is not told is that of the service of this machine, if there is one."""
        own = _own(endpoint)
        if own is None:
            return cls(endpoint or DEFAULT_ENDPOINT, key, loop)
        return cls(own.endpoint, key or own.key(loop), loop, own.trust)

    @classmethod
    def of_deployment(cls, endpoint: str, admin_key: str) -> Self:
        """Give the service to its administrator; what is not told is that of the service of this machine, if there is one."""
        own = _own(endpoint)
        if own is None:
            return cls(endpoint or DEFAULT_ENDPOINT, admin_key, is_whole=True)
        return cls(own.endpoint, admin_key or own.admin_key, trust=own.trust, is_whole=True)

    def ask(self, method: str, path: str, body: object = None, *, query: Mapping[str, str] | None = None) -> Any:
        """Send a request about the loop, and give the answer's JSON, None if it has none; raises as `root`."""
        return self.root(method, self._path(path), body, query=_VERSION | dict(query or {}))

    def beside(self, path: str, *, query: Mapping[str, str]) -> Any:
        """Read what the loop has beside the contract's paths, which has no version; raises as `root`."""
        return self.place("GET", path, query=query)

    def place(self, method: str, path: str, body: object = None, *, query: Mapping[str, str] | None = None) -> Any:
        """Send a request to such a path; raises as `root`."""
        return self.root(method, f"{self._loop_path()}{path}", body, query=query)

    def content(self, path: str, *, query: Mapping[str, str]) -> bytes:
        """Read what is no JSON; raises as `root`."""
        status, content = self._sent("GET", self._path(path), None, query=_VERSION | dict(query))
        if status != HTTPStatus.OK:
            _read_answer(status, content)
        return content

    def root(self, method: str, path: str, body: object = None, *, query: Mapping[str, str] | None = None) -> Any:
        """Send a request to a path under the endpoint; a ``body`` of bytes is sent as it is, any other as JSON.

        Raises `InvalidRequestError`, in the service's own words, for what it refuses, or `GateNotPassedError` where a gate was the reason,
        and `StorageUnavailableError` when it does not answer.
        """
        return _read_answer(*self._sent(method, path, body, query=query or {}))

    def _path(self, path: str) -> str:
        return f"{self._loop_path()}personalizer/{path}"

    def _loop_path(self) -> str:
        return "" if self.loop == DEFAULT_LOOP else f"loops/{quote(self.loop, safe='')}/"

    def _sent(self, method: str, path: str, body: object, *, query: Mapping[str, str]) -> tuple[int, bytes]:
        if not self.key:
            whose = "key of the administrator" if self.is_whole else f"key of the loop {self.loop[:40]}"
            raise SettingsError(f"no {whose} was given, nor is one kept here: {self._way_to_a_key()}")
        return asyncio.run(self._send(method, f"{self.endpoint.rstrip('/')}/{path}", body, query))

    def _way_to_a_key(self) -> str:
        if self.is_whole:
            return "use --admin-key or PERSONALIZER_ADMIN_KEY. The setting of the app with that name has it"
        if self.loop == DEFAULT_LOOP:
            return "use --key or PERSONALIZER_KEY. The app's setting PERSONALIZER_KEYS has the keys"
        new = f"python -m cli keys regenerate 1 --loop {self.loop[:40]}"
        return f"use --key or PERSONALIZER_KEY. The keys were shown when the loop was made; {new} makes a new one"

    async def _send(self, method: str, url: str, body: object, query: Mapping[str, str]) -> tuple[int, bytes]:
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        headers = {HEADER: self.key, "Content-Type": kind}
        data = None if body is None else _written(body)
        try:
            trusted = ssl.create_default_context(cafile=self.trust) if self.trust else True
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.request(method, url, params=query, data=data, headers=headers, allow_redirects=False, ssl=trusted) as response,
            ):
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as cause:
            reason = _why(cause)
            raise StorageUnavailableError(f"the service at {self.endpoint} does not answer: {reason}") from cause


def _own(endpoint: str) -> OwnService | None:
    """Give the service of this machine if that is the one that is meant: its keys are sent nowhere else."""
    try:
        own = read_own_service(own_folder(os.environ))
    except SettingsError:
        if not endpoint:
            raise
        return None
    return own if own is not None and endpoint.rstrip("/") in ("", own.endpoint) else None


def _why(cause: Exception) -> str:
    """Say why there is no answer: that nothing listens there needs no more words."""
    if isinstance(cause, aiohttp.ClientConnectorError) and isinstance(cause.os_error, ConnectionRefusedError):
        return "nothing listens there, so it is not running, or listens elsewhere"
    return str(cause) or type(cause).__name__


def _written(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    try:
        return orjson.dumps(body)
    except TypeError as cause:
        raise InvalidRequestError(f"the request cannot be written as JSON: {cause}") from cause


def _read_answer(status: int, text: bytes) -> Any:
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
    if code == _OF_A_GATE:
        details = [each for each in error.get("details") or () if isinstance(each, dict)]
        raise GateNotPassedError(str(error.get("message")), checks=[(str(each.get("code")), str(each.get("message"))) for each in details])
    message = str(error.get("message")).removesuffix(".")
    raise InvalidRequestError(f"{message} ({status})" if code == str(status) else f"{message} ({status} {code})")
