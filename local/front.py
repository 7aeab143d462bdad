"""The local host's HTTP side: an ASGI app that stands where the Functions host would."""

import asyncio
import ipaddress
import json
import logging
import os
import random
import re
import secrets
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, MutableMapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from local.backend import Backend, HttpCall, HttpReply, HttpTrigger, OtherTrigger, QueueTrigger, TimerTrigger, Trigger, described
from local.processes import GRACE
from local.queues import HELD_FOR, Queues
from local.routes import Match, Router, decode_path
from local.rules import check_routes, has_length, is_the_hosts, refused_at_once
from local.settings import QueueSettings, queue_settings, route_prefix
from local.timers import Timers

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 100 * 1024 * 1024
"""The Functions host's default limit, in bytes."""

_READING = frozenset({"GET", "HEAD"})
BODILESS = frozenset({204, 304})
OF_PAGES = frozenset({"origin", "referer", "sec-fetch-site"})
OF_PROXIES = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"})
HOST = re.compile(r"^(?:\[([^\]]*)\]|([^:\]]*))(?::\d*)?$")
KEY_HEADER = "ocp-apim-subscription-key"
JSON = (("content-type", "application/json"),)
SET_BY_SERVER = frozenset({"content-length", "transfer-encoding"})
REFUSED = (
    [("content-type", "application/json; charset=utf-8")],
    b'{"error":{"code":"AccessDenied","message":"Access denied: from another machine, through a proxy or from a page, this needs the'
    b" administrator's key (PERSONALIZER_ADMIN_KEY) in the Ocp-Apim-Subscription-Key header.\"}}",
)

log = logging.getLogger("local.host")


class BodyTooLargeError(Exception):
    """The request's body is over the limit."""


class CallerGoneError(Exception):
    """The connection closed before the whole body arrived, or before an answer that changes nothing was there."""


class Front:
    """Serves one app's HTTP functions and, if wanted, runs its timers and reads its queues.

    ``as_azure`` has it do what the real host does and what helps nobody: a chunked body arrives empty, and a path that begins with two
    slashes leads nowhere.
    """

    def __init__(
        self, backend: Backend, folder: Path, *, timers: bool, queues: bool, held_for: timedelta = HELD_FOR, as_azure: bool = False
    ) -> None:
        self._backend = backend
        self._folder = folder
        self._runs_timers = timers
        self._reads_queues = queues
        self._held_for = held_for
        self._as_azure = as_azure
        self._functions: Sequence[Trigger] = ()
        self._router = Router([], prefix="")
        self._timers = Timers(backend, [])
        self._queues = Queues(backend, [], settings=QueueSettings(), held_for=held_for)
        self.only: Collection[str] | None = None
        """The timers and queue functions that are run (None: all); set before it starts."""
        self.keeps_connections = True
        """Whether a connection may bring another call after an answer; set to false before the host ends."""
        self.last_answers = 0.0
        """The share of the answers that end their connection although the host goes on."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Take one ASGI connection: the server's lifespan or a request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            reply = await self._answer(scope, receive)
        except BodyTooLargeError:
            reply = HttpReply(413, [("connection", "close")])
        except CallerGoneError:
            return
        if scope["scheme"] == "https":
            reply = without_pinning(reply)
        is_last = not self.keeps_connections or random.random() < self.last_answers
        await send_reply(with_farewell(reply) if is_last else reply, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.gather(self._timers.stop(grace=GRACE), self._queues.stop(grace=GRACE))
        await self._backend.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        triggers = await self._backend.load(self._folder)
        over_http = [trigger for trigger in triggers if isinstance(trigger, HttpTrigger)]
        check_routes(over_http)
        self._functions = triggers
        self._router = Router(over_http, prefix=route_prefix(self._folder))
        wanted = [trigger for trigger in triggers if self.only is None or trigger.name in self.only]
        self._timers = Timers(self._backend, (t for t in wanted if isinstance(t, TimerTrigger)))
        of_queues = (t for t in wanted if isinstance(t, QueueTrigger))
        self._queues = Queues(self._backend, of_queues, settings=queue_settings(self._folder), held_for=self._held_for)
        for trigger in triggers:
            if isinstance(trigger, OtherTrigger):
                log.warning("the local host does not run this function", extra={"function": trigger.name, "trigger": trigger.kind})
        if self._runs_timers:
            self._timers.start()
        if self._reads_queues:
            self._queues.start()

    async def _answer(self, scope: Message, receive: Receive) -> HttpReply:
        refused = refused_at_once(scope)
        if refused is not None:
            return HttpReply(refused, [("connection", "close")])
        method, path = scope["method"], decode_path(scope["raw_path"].decode("ascii"))
        if "\0" in path:
            return HttpReply(400)
        if path[:7].lower() == "/admin/":
            body = await read_body(scope, receive)
            return self._administer(method, path, body) if may_administer(scope, os.environ) else HttpReply(401, *REFUSED)
        match = None if is_the_hosts(path) else self._router.match(path if self._as_azure else f"/{path.lstrip('/')}", method)
        if match is None:
            return HttpReply(404)
        body = await read_body(scope, receive)
        answering = self._call(match, http_call(scope, match, body if has_length(scope) or not self._as_azure else b""))
        return await (unless_gone(answering, receive) if method in _READING else answering)

    async def _call(self, match: Match, call: HttpCall) -> HttpReply:
        try:
            return checked(await self._backend.call_http(match.trigger, call))
        except Exception:
            log.exception("function failed", extra={"function": match.trigger.name})
            return HttpReply(500)

    def _administer(self, method: str, path: str, body: bytes) -> HttpReply:
        """Do those of the real host's own operations that help a developer or an administrator."""
        parts = path.strip("/").split("/")
        if method == "POST" and len(parts) == 3 and parts[1].lower() == "functions":
            return self._run_by_hand(parts[2], body)
        if method == "GET" and path.lower() == "/admin/host/status":
            return HttpReply(200, JSON, b'{"state":"Running"}')
        if method == "GET" and path.lower() == "/admin/functions":
            return HttpReply(200, JSON, json.dumps([described(each) for each in self._functions]).encode())
        return HttpReply(404)

    def _run_by_hand(self, name: str, body: bytes) -> HttpReply:
        if self._timers.run_by_hand(name):
            return HttpReply(202)
        text = given_input(body)
        if text is None:
            return HttpReply(400)
        return HttpReply(202 if self._queues.run_by_hand(name, text) else 404)


def may_administer(scope: Message, environment: Mapping[str, str]) -> bool:
    """Whether a caller may use the host's own operations: with the administrator's key, or from this machine and not through a proxy.

    The real host wants its master key. A proxy of this machine shows by the name that was called, or by the headers it adds; a page that
    a browser of this machine shows by those that a browser adds.
    """
    headers = headers_of(scope)
    expected = environment.get("PERSONALIZER_ADMIN_KEY", "").strip()
    if expected and secrets.compare_digest(headers.get(KEY_HEADER, "").encode(), expected.encode()):
        return True
    ends = [scope.get("client"), scope.get("server")]
    is_here = all(end is not None and is_loopback(end[0]) for end in ends) and is_loopback(headers.get("host", ""))
    return is_here and not (OF_PROXIES | OF_PAGES) & headers.keys()


def is_loopback(host: str) -> bool:
    """Whether a name or address, with or without a port, is one that this machine calls itself.

    >>> is_loopback("localhost:7071"), is_loopback("127.0.0.2"), is_loopback("[::1]:7071"), is_loopback("personalizer.example.com")
    (True, True, True, False)
    """
    name = host if host.count(":") > 1 and not host.startswith("[") else HOST.sub(r"\1\2", host)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def given_input(body: bytes) -> str | None:
    """Read what a function is to be run on by hand; None when the body cannot be read.

    >>> given_input(b'{"input": "a message"}')
    'a message'
    >>> given_input(b'{"input": {"loop": "default"}}')
    '{"loop": "default"}'
    """
    try:
        found = json.loads(body or b"{}").get("input", "")
    except (ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) else json.dumps(found)


async def unless_gone(answering: Coroutine[None, None, HttpReply], receive: Receive) -> HttpReply:
    """Answer who only reads, and stop when nobody waits for it any more; raises `CallerGoneError`.

    What changes something is always done to its end.
    """
    call, gone = asyncio.create_task(answering), asyncio.create_task(_until_gone(receive))
    try:
        await asyncio.wait({call, gone}, return_when=asyncio.FIRST_COMPLETED)
        if call.done():
            return call.result()
        raise CallerGoneError
    finally:
        for task in (call, gone):
            task.cancel()
        await asyncio.gather(call, gone, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def read_body(scope: Message, receive: Receive) -> bytes:
    """Collect the body, chunked or not; an announced length over the limit is refused before anything is read."""
    announced = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
    body = bytearray()
    more = True
    while more:
        if max(announced, len(body)) > MAX_BODY:
            raise BodyTooLargeError
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def http_call(scope: Message, match: Match, body: bytes) -> HttpCall:
    """Describe a request the way the Functions host does to its workers."""
    headers = headers_of(scope)
    raw_query = scope["query_string"].decode("latin-1")
    is_encrypted = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower() == "https"  # nobody but the caller is told
    url = f"{'https' if is_encrypted else scope['scheme']}://{headers.get('host', '')}{scope['raw_path'].decode('ascii')}"
    return HttpCall(
        method=scope["method"],
        url=f"{url}?{raw_query}" if raw_query else url,
        headers=headers,
        query=query_of(raw_query) if raw_query else {},
        route_values=match.values,
        body=body,
    )


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Make one value of a repeated name, as ASP.NET does.

    >>> joined([("accept", "text/html"), ("accept", "text/plain")])
    {'accept': 'text/html,text/plain'}
    """
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def headers_of(scope: Message) -> dict[str, str]:
    """Give the headers of a request by their names; blanks around a value are no part of it, which not every server sees to."""
    return joined((name.decode("latin-1"), value.decode("latin-1").strip(" \t")) for name, value in scope["headers"])


def query_of(raw: str) -> dict[str, str]:
    """Read a query as ASP.NET does: names that differ in case alone are one, and what is empty in the end is dropped.

    >>> query_of("Top=1&top=2&skip=&filter")
    {'Top': '1,2'}
    """
    names: dict[str, str] = {}
    pairs = parse_qsl(raw, keep_blank_values=True)
    values = joined((names.setdefault(name.lower(), name), value) for name, value in pairs)
    return {name: value for name, value in values.items() if value}


def with_farewell(reply: HttpReply) -> HttpReply:
    """Tell the caller that the connection ends with this answer."""
    return HttpReply(
        reply.status, [*(each for each in reply.headers if each[0].lower() != "connection"), ("connection", "close")], reply.body
    )


def without_pinning(reply: HttpReply) -> HttpReply:
    """Do not have browsers insist on HTTPS: this host speaks it on this machine alone, where localhost names everything else as well."""
    return HttpReply(reply.status, [each for each in reply.headers if each[0].lower() != "strict-transport-security"], reply.body)


def checked(reply: HttpReply) -> HttpReply:
    """Leave out an empty type, as the real host does; refuse headers that no server can send, while a 500 can still be answered."""
    headers = [(name, value) for name, value in reply.headers if value or name.lower() != "content-type"]
    for name, value in headers:
        f"{name}: {value}".encode("latin-1")
    return HttpReply(reply.status, headers, reply.body)


async def send_reply(reply: HttpReply, send: Send) -> None:
    """Send status, headers and body; the length is ours to say, and there is none where there is no body."""
    body = b"" if reply.status in BODILESS else reply.body
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers if name.lower() not in SET_BY_SERVER
    ]
    if reply.status not in BODILESS:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
