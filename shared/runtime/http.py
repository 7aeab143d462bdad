"""HTTP in and out: operations, their routes under every version of the contract, and errors in its shape."""

import asyncio
import gzip
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from http import HTTPStatus
from time import perf_counter_ns
from typing import Any, Final

import azure.functions as func

from shared.api.errors import ErrorDetail, ErrorPart, ErrorResponse
from shared.api.rules import with_slashes
from shared.api.wire import WireModel, check_encoding
from shared.domain.changes import ADMINISTRATOR, called_by
from shared.domain.errors import (
    BodyTooLargeError,
    GateNotPassedError,
    InvalidRequestError,
    MethodNotAllowedError,
    OutOfOrderError,
    PersonalizerError,
    RequestError,
    ResourceNotFoundError,
    SettingsError,
    StorageUnavailableError,
    UnavailableError,
    UnsupportedMediaTypeError,
)
from shared.domain.loop import DEFAULT_LOOP
from shared.domain.patience import patience
from shared.runtime import cors
from shared.runtime.auth import check_admin, key_name
from shared.runtime.failures import INTERNAL, cause_of, status_of
from shared.runtime.loading import AtFirstUse
from shared.runtime.loop_services import LoopServices
from shared.runtime.paths import Paths, Reading
from shared.runtime.telemetry import in_a_call
from shared.runtime.wiring import Deployment

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
PATH_VERSIONS = ("v1.0", "v1.1-preview.1", "v1.1-preview.2", "v1.1-preview.3")
QUERY_VERSION = "2022-09-01-preview"
VERSIONS = (*PATH_VERSIONS, QUERY_VERSION)
PREVIEWS = VERSIONS[1:]
"""All but the first, which knows less."""
_MAJOR, _MINOR = "v1.", "minor"
"""What all versions that stand in a path begin with, and what a function's route calls the rest of one."""
LOOP_PREFIX = "loops/{loop}/"
"""What stands before the routes of a loop that is not the default one."""

_JSON = "application/json; charset=utf-8"
_BYTES = "application/octet-stream"
_ALWAYS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Strict-Transport-Security": "max-age=31536000",
}
_READ_AS_JSON = frozenset({"application/json", "text/json", "text/plain", "application/x-www-form-urlencoded"})
"""The last two are what clients send that were told nothing."""

_CLIENT_ID = "x-ms-client-request-id"
_WANTS_CLIENT_ID = "x-ms-return-client-request-id"
_IS_CLIENT_ID = re.compile(r"[!-~]{1,128}")
_LEAST_SAVED = 100
"""Bytes by which an answer has to become shorter for being compressed."""
_NO_TYPE = {"Content-Type": ""}
"""Of an answer without a body: the Functions host leaves an empty one out, and gives text/plain where there is none."""

_WITHOUT_ID = re.compile(r"/events/(reward|activate)/*$", re.IGNORECASE)
"""How a path ends that had an empty id in it, where a server in front of the app makes one slash of two."""

_ORIGIN = re.compile(r"\w+://[^/?]*")

_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


class Query(Mapping[str, str]):
    """The parameters of a query: their names may be in any case, as to the original.

    >>> Query({"API-Version": "1"})["api-version"]
    '1'
    """

    def __init__(self, params: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in params.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, with what its route captured."""

    deployment: Deployment
    request: func.HttpRequest
    params: Mapping[str, str]
    max_body: int = MAX_BODY_BYTES
    admitted: LoopServices | None = None

    @property
    def services(self) -> LoopServices:
        """The services of the loop whose key was sent: only for operations that need one."""
        if self.admitted is None:
            raise RuntimeError("this operation admits callers without a loop's key")
        return self.admitted

    @property
    def loop(self) -> str:
        """The name of the loop that the path names, whether there is one or not."""
        return self.params.get("loop", DEFAULT_LOOP).lower()

    @property
    def version(self) -> str:
        """The version of the contract that is spoken."""
        return self.params.get("version", "").lower() or QUERY_VERSION

    @property
    def query(self) -> "Query":
        """The parameters of the query."""
        return Query(self.request.params)

    @property
    def origin(self) -> str:
        """The scheme and host that were called, whatever a client has put there."""
        found = _ORIGIN.match(self.request.url)
        return found[0] if found else ""

    @property
    def address(self) -> str:
        """The address that was called, without the query, and without the doubled slashes that an endpoint with one at its end makes."""
        path = self.request.url[len(self.origin) :].partition("?")[0]
        return f"{self.origin}{re.sub(r'/{2,}', '/', path).rstrip('/')}"

    def sibling(self, rest: str, *, versions: Sequence[str] = VERSIONS) -> str:
        """Give the path of another operation of this loop, in the version of this call, or in the last of those that have it."""
        version = self.version if self.version in versions else PATH_VERSIONS[-1]
        loop = f"/loops/{self.loop}" if "loop" in self.params else ""
        if version == QUERY_VERSION:
            return f"{loop}/personalizer/{rest}?api-version={QUERY_VERSION}"
        return f"{loop}/personalizer/{version}/{rest}"

    @property
    def body(self) -> bytes:
        """The request's body; raises `BodyTooLargeError`, and `UnsupportedMediaTypeError` for one that is said to be compressed."""
        body = self.request.get_body()
        if len(body) > self.max_body:
            raise BodyTooLargeError(f"the body has {len(body)} bytes; at most {self.max_body} are read")
        check_encoding(self.request.headers.get("content-encoding", ""), body)
        return body


Handler = Callable[[Call], Awaitable[func.HttpResponse]]


def first_used(load: Callable[[], Handler]) -> Handler:
    """Give a handler that has ``load`` import the real one when it is first called."""
    real = AtFirstUse(load)

    async def handle(call: Call) -> func.HttpResponse:
        return await (await real.get())(call)

    return handle


@dataclass(frozen=True, slots=True)
class Time:
    """How long an operation may take in all, and how long each of its uses of storage: what takes longer is refused with 503.

    Storage that does not answer at all is so given up after ``each``; ``limit`` is for much to be read of storage that answers.
    """

    limit: timedelta
    each: timedelta


BRIEF: Final = Time(timedelta(seconds=8), timedelta(seconds=5))
MUCH: Final = Time(timedelta(seconds=30), timedelta(seconds=7))
"""For what reads a lot, or carries a model."""
WORK: Final = Time(timedelta(seconds=200), timedelta(seconds=7))
"""For what goes through all that waits, or learns; Azure itself ends a call after 230 seconds."""
_MENDING: Final = timedelta(minutes=1)
"""After what time a call may be repeated that a wrong setting was the reason to refuse."""
_MARGIN: Final = timedelta(seconds=1)
"""What is left to an operation to answer by itself when its time is over."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the service: ``path`` stands under the prefix of each of its versions, or at the root for what has none.

    Every operation is there for the default loop and for the others under `LOOP_PREFIX`, but those of the administrator. A metered one
    counts against what the loop's tier answers a month; how long a ``timed`` one takes, unless it is refused, is counted under that name.
    ``reads_json`` is false where a body may be anything. Of those that share a ``room`` a process answers a few at a time. What
    ``appends`` to the log has its ``time`` beside the deadline of an append. A client key opens only what is ``for_clients``.
    """

    name: str
    method: str
    path: str
    handler: Handler
    versioned: bool = True
    needs_key: bool = True
    needs_admin: bool = False
    metered: bool = False
    timed: str = ""
    reads_json: bool = True
    room: str = ""
    max_body: int = MAX_BODY_BYTES
    time: Time = BRIEF
    appends: bool = False
    for_clients: bool = False
    versions: tuple[str, ...] = VERSIONS

    @property
    def methods(self) -> tuple[str, ...]:
        """What it is called by: whatever can be read can be asked about by HEAD, whose answer has no body."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)

    @property
    def routes(self) -> tuple[tuple[str, str], ...]:
        """Names and route templates of the default loop; the contract's 2022 version has no version in its path."""
        if not self.versioned:
            return ((self.name, self.path),)
        with_version = ((self.name, f"personalizer/{{version}}/{self.path}"),) if self.versions != (QUERY_VERSION,) else ()
        without = ((f"{self.name}_2022", f"personalizer/{self.path}"),) if QUERY_VERSION in self.versions else ()
        return with_version + without

    @property
    def functions(self) -> tuple[tuple[str, str], ...]:
        """Names and route templates of the functions that it has if it has functions of its own, those of other loops included.

        The Functions host tries routes in the order of the functions' names and takes the first that fits. So a version is matched by its
        beginning: ``personalizer/{version}/events/{eventId}/activate`` would take what is meant for ``personalizer/multislot/events/...``.
        """
        own = tuple((name, template.replace("{version}", f"{_MAJOR}{{{_MINOR}}}")) for name, template in self.routes)
        return own if self.needs_admin else (*own, *((f"{name}_loop", LOOP_PREFIX + template) for name, template in own))

    @property
    def templates(self) -> tuple[str, ...]:
        """Route templates of all loops; an empty path is there once."""
        templates = tuple(template for _, template in self.routes)
        return templates if self.needs_admin or not self.path else (*templates, *(LOOP_PREFIX + template for template in templates))


def blueprint(operations: Sequence[Operation], deployment: Callable[[], Deployment]) -> func.Blueprint:
    """Register each operation as HTTP functions of its own, one for each of its routes."""
    functions = func.Blueprint()
    for operation in operations:
        for name, route in operation.functions:
            trigger = functions.route(route=route, methods=operation.methods, auth_level=func.AuthLevel.ANONYMOUS)
            functions.function_name(name)(trigger(_entry(operation, deployment, route)))
    return functions


def dispatcher(
    name: str, prefix: str, operations: Callable[[], Sequence[Operation]], deployment: Callable[[], Deployment]
) -> func.Blueprint:
    """Register one function for all paths that begin so; what is none of these operations gets a 404 or 405 in the contract's shape.

    Its name has to come after those of all functions whose routes begin so: the Functions host tries them in the order of their names.
    ``operations`` is called, in a thread, when the function is: what they import is loaded then.
    """
    functions = func.Blueprint()
    known = AtFirstUse(lambda: Paths([(template, operation) for operation in operations() for template in operation.templates]))

    @in_a_call
    async def dispatch(req: func.HttpRequest) -> func.HttpResponse:
        path = f"{prefix}{req.route_params.get('path') or ''}"
        paths = await known.get()
        found = paths.readings(path)
        spoken = [reading for reading in found if _is_spoken(reading)] or found
        not_found: func.HttpResponse | None = None
        for reading in [each for each in spoken if req.method.upper() in each.target.methods and _is_safe(each, spoken)]:
            response = await _serve(reading.target, deployment, req, reading.values)
            if response.status_code != HTTPStatus.NOT_FOUND and not (not_found and response.status_code >= HTTPStatus.BAD_REQUEST):
                return response
            if not reading.is_open:
                not_found = not_found or response
        if not_found is not None:
            return not_found
        allowed = [reading.target.method for reading in spoken if not reading.is_open]
        return await _serve(_refusal(allowed, path, _meant(paths, path, req)), deployment, req, {})

    trigger = functions.route(route=f"{prefix}{{*path}}", methods=list(_METHODS), auth_level=func.AuthLevel.ANONYMOUS)
    functions.function_name(name)(trigger(dispatch))
    return functions


def out_of_order(cause: SettingsError) -> func.Blueprint:
    """Register one function that answers every call with 503, and with what setting has to be mended."""

    def no_deployment() -> Deployment:
        raise OutOfOrderError(f"the service does not work until a setting is corrected: {cause.public}", retry_after=_MENDING)

    return dispatcher("unmatched", "", tuple, no_deployment)


def answer(status: int, body: WireModel | bytes | None = None, *, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """Make a response with the headers that every one has; ``body`` is a model, or JSON text already."""
    all_headers = {**_ALWAYS, **(headers or {})}
    if body is None:
        return func.HttpResponse(b"", status_code=status, headers={**all_headers, **_NO_TYPE})
    content = body if isinstance(body, bytes) else body.to_wire()
    return func.HttpResponse(content, status_code=status, headers={**all_headers, "Content-Type": _JSON}, mimetype="application/json")


def attachment(
    content: bytes,
    *,
    name: str,
    modified_at: datetime | None = None,
    media_type: str = _BYTES,
    headers: Mapping[str, str] | None = None,
) -> func.HttpResponse:
    """Make a response that a client saves as a file of this name."""
    given = {**_ALWAYS, "Content-Disposition": f"attachment; filename={name}", "Content-Type": media_type, **(headers or {})}
    if modified_at is not None:
        given["Last-Modified"] = format_datetime(modified_at.astimezone(UTC), usegmt=True)
    return func.HttpResponse(content, status_code=200, headers=given, mimetype=media_type.partition(";")[0])


def page(content: bytes, *, headers: Mapping[str, str]) -> func.HttpResponse:
    """Make a page for a browser that differs from call to call, and so is not kept."""
    all_headers = {**_ALWAYS, **headers, "Content-Type": "text/html; charset=utf-8"}
    return func.HttpResponse(content, status_code=200, headers=all_headers, mimetype="text/html")


async def resource(call: Call, content: bytes, *, media_type: str, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """Make a response that callers may keep, if they ask each time whether it is still so; 304 to who has it already.

    It is compressed for who takes that, once in a process for each content.
    """
    kept = await asyncio.to_thread(_packed, content)
    is_compressed = bool(kept.compressed) and takes_gzip(call.request.headers.get("accept-encoding", ""))
    tag = f'"{kept.digest}-gzip"' if is_compressed else f'"{kept.digest}"'
    all_headers = {**_ALWAYS, "Cache-Control": "no-cache", "ETag": tag, "Vary": "Accept-Encoding", **(headers or {})}
    if kept.digest in call.request.headers.get("if-none-match", ""):
        return func.HttpResponse(b"", status_code=304, headers={**all_headers, **_NO_TYPE})
    kind = media_type.partition(";")[0]
    if is_compressed:
        all_headers["Content-Encoding"] = "gzip"
    sent = kept.compressed if is_compressed else content
    return func.HttpResponse(sent, status_code=200, headers={**all_headers, "Content-Type": media_type}, mimetype=kind)


@dataclass(frozen=True, slots=True)
class _Packed:
    """What a content is known by, and its compressed form; that is empty where little is saved."""

    digest: str
    compressed: bytes


@lru_cache(maxsize=256)
def _packed(content: bytes) -> _Packed:
    compressed = gzip.compress(content, compresslevel=9, mtime=0)
    return _Packed(sha256(content).hexdigest()[:32], compressed if len(compressed) + _LEAST_SAVED < len(content) else b"")


def takes_gzip(accepted: str) -> bool:
    """Whether an answer to who sends this ``Accept-Encoding`` may be compressed with gzip.

    >>> [takes_gzip(each) for each in ("gzip, deflate, br", "", "br", "gzip;q=0, *", "*;q=0.1", "GZIP ; q=0.5")]
    [True, False, False, False, True, True]
    """
    wanted: dict[str, bool] = {}
    for each in accepted.lower().split(","):
        name, _, weight = each.partition(";")
        wanted[name.strip()] = not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight)
    return wanted.get("gzip", wanted.get("x-gzip", wanted.get("*", False)))


def _entry(operation: Operation, deployment: Callable[[], Deployment], route: str) -> Callable[..., Any]:
    captured = [name for name in re.findall(r"\{(\w+)\}", route) if name != _MINOR]
    is_versioned = f"{{{_MINOR}}}" in route

    @in_a_call
    async def handle(req: func.HttpRequest) -> func.HttpResponse:
        params = {name: req.route_params.get(name) for name in captured}
        if is_versioned:
            params["version"] = f"{_MAJOR}{req.route_params.get(_MINOR)}"
        return await _serve(operation, deployment, req, params)

    handle.__name__ = operation.name
    return handle


async def _serve(
    operation: Operation, deployment: Callable[[], Deployment], req: func.HttpRequest, params: Mapping[str, str | None]
) -> func.HttpResponse:
    begin, request_id = perf_counter_ns(), str(uuid.uuid4())
    of_origins: Mapping[str, str] = {}
    try:
        given = {name: with_slashes(value) for name, value in params.items() if value is not None}
        call = Call(deployment(), req, given, operation.max_body)
        settings = call.deployment.settings
        of_origins = cors.marks(req.headers, settings.cors_origins, of_platform=settings.cors_of_platform)
        response = _preflight(call) or await _in_time(operation, call)
        if operation.timed:
            call.deployment.latencies.of[operation.timed].add(perf_counter_ns() - begin)
    except PersonalizerError as error:
        response = _refused(error, operation, request_id)
    except Exception:
        logger.exception("unexpected failure", extra={"operation": operation.name, "request_id": request_id})
        response = _error(*INTERNAL, "the service failed unexpectedly; the failure was logged under this request's id")
    told = {**of_origins, **_ids(req, request_id)}
    for name, value in told.items():  # not by `update`, which older versions of azure-functions do not have
        before = response.headers.get(name) if name == "Vary" else None
        response.headers[name] = f"{before}, {value}" if before else value
    return response


def _preflight(call: Call) -> func.HttpResponse | None:
    """Answer a browser that asks what a page of another origin may send; who asks this has no key yet."""
    if call.request.method.upper() != "OPTIONS":
        return None
    allowed = cors.preflight(call.request.headers, call.deployment.settings.cors_origins)
    return None if allowed is None else answer(204, headers=allowed)


def _ids(req: func.HttpRequest, request_id: str) -> dict[str, str]:
    """Give the request's id under both names that clients read, and the client's own where it asks for it."""
    ids = {"apim-request-id": request_id, "x-ms-request-id": request_id}
    own = req.headers.get(_CLIENT_ID, "")
    if req.headers.get(_WANTS_CLIENT_ID, "").lower() == "true" and _IS_CLIENT_ID.fullmatch(own):
        ids[_CLIENT_ID] = own
    return ids


async def _in_time(operation: Operation, call: Call) -> func.HttpResponse:
    """Answer within the operation's time: its uses of storage heed it, and what else it may be waiting for is broken off a little later."""
    limit = operation.time.limit + (call.deployment.settings.append_deadline if operation.appends else timedelta(0))
    try:
        with patience(limit, each=operation.time.each):
            async with asyncio.timeout((limit + _MARGIN).total_seconds()):
                call = await _admitted(operation, call)
                if operation.method == "GET" or operation.for_clients:
                    return await _answered(operation, call)
                with called_by(_caller(operation, call)):
                    return await _answered(operation, call)
    except TimeoutError as cause:
        raise StorageUnavailableError(f"this took longer than {limit.total_seconds():g} seconds; repeat the call") from cause


async def _admitted(operation: Operation, call: Call) -> Call:
    """Check key, version and kind of body, in this order: who has no key is told nothing else."""
    if operation.needs_admin:
        check_admin(call.request.headers, call.deployment.settings.admin_digests)
    elif operation.needs_key:
        call = replace(call, admitted=await call.deployment.admit(call.loop, call.request.headers, by_client_key=operation.for_clients))
    if operation.versioned:
        _check_version(operation, call)
    if operation.reads_json and operation.method in ("POST", "PUT"):
        _check_media_type(call.request)
    return call


def _caller(operation: Operation, call: Call) -> str:
    """Name who calls, for the list of what was changed."""
    if operation.needs_admin:
        return ADMINISTRATOR
    return "nobody" if call.admitted is None else key_name(call.request.headers, call.admitted.key_digests)


async def _answered(operation: Operation, call: Call) -> func.HttpResponse:
    """Answer, and count it if it is counted and not refused."""
    if operation.room:
        async with call.deployment.rooms[operation.room].place():
            return await operation.handler(call)
    if not operation.metered:
        return await operation.handler(call)
    month = await call.services.allowance.take(call.services.record.tier)
    try:
        return await operation.handler(call)
    except PersonalizerError:
        call.services.allowance.give_back(month)
        raise


def _check_version(operation: Operation, call: Call) -> None:
    version = call.params.get("version", "")
    if version.lower() == QUERY_VERSION:
        loop = f"/loops/{call.loop}" if "loop" in call.params else ""
        there = f"{loop}/personalizer/{operation.path}?api-version={QUERY_VERSION}"
        raise ResourceNotFoundError(f"API version {QUERY_VERSION} is named in the query, and not in the path: {there}")
    if version and version.lower() not in PATH_VERSIONS:
        raise ResourceNotFoundError(f"there is no API version {version[:40]!r}; there are {', '.join(PATH_VERSIONS)}")
    if not version and call.query.get("api-version", "").lower() != QUERY_VERSION:
        raise InvalidRequestError(f"a path without a version needs the query parameter api-version={QUERY_VERSION}", target="api-version")
    if call.version not in operation.versions:
        raise ResourceNotFoundError(f"this is not part of API version {call.version}, but of {', '.join(operation.versions)}")


def _check_media_type(req: func.HttpRequest) -> None:
    sent = re.split("[;,]", req.headers.get("content-type", ""))[0].strip().lower()  # the first, if a client sends the header twice
    if "/" not in sent or sent in _READ_AS_JSON or sent.endswith("+json") or not req.get_body():
        return
    raise UnsupportedMediaTypeError(f"Content-Type: the body has to be JSON (application/json), not {sent[:100]!r}", target="Content-Type")


def _is_spoken(reading: Reading[Operation]) -> bool:
    """Whether the operation is part of the version that the path names; one that names none that is known is left to be refused."""
    version = (reading.values.get("version") or "").lower() or QUERY_VERSION
    return not reading.target.versioned or version in reading.target.versions or version not in VERSIONS


def _is_safe(reading: Reading[Operation], found: Sequence[Reading[Operation]]) -> bool:
    """Whether nothing is made by a path that more likely means something else: who only asks is told that it is not there."""
    return not reading.is_open or reading.target.method in ("GET", "DELETE") or not any(each.is_plain for each in found)


def _meant(paths: Paths[Operation], path: str, req: func.HttpRequest) -> str | None:
    """Give the path that was likely meant by one that leads nowhere."""
    names_version = Query(req.params).get("api-version") is not None

    def is_right(reading: Reading[Operation]) -> bool:
        operation, version = reading.target, (reading.values.get("version") or "").lower()
        is_known = version in operation.versions or not operation.versioned or (names_version and not version)
        return is_known and req.method.upper() in operation.methods

    return paths.nearest(path, ("", "personalizer", f"personalizer/{PATH_VERSIONS[0]}", f"personalizer/{PATH_VERSIONS[-1]}"), is_right)


def _refused(error: PersonalizerError, operation: Operation, request_id: str) -> func.HttpResponse:
    status, code = status_of(error)
    facts = {"operation": operation.name, "status": status, "code": code, "reason": str(error), "request_id": request_id}
    facts["cause"] = cause_of(error) if status >= 500 else None
    logger.log(logging.WARNING if status >= 500 else logging.INFO, "refused", extra=facts)
    if status == INTERNAL[0]:
        return _error(status, code, "the service failed; the failure was logged under this request's id")
    target = error.target if isinstance(error, RequestError) else None
    return _error(status, code, str(error), target=target, headers=_hints(error), details=_details(error))


def _details(error: PersonalizerError) -> list[ErrorPart] | None:
    """Give what the gate found of each of its rules."""
    return [ErrorPart(code=code, message=text) for code, text in error.checks] if isinstance(error, GateNotPassedError) else None


def _hints(error: PersonalizerError) -> dict[str, str]:
    if isinstance(error, UnavailableError):
        return {"Retry-After": str(max(1, round(error.retry_after.total_seconds())))}
    if isinstance(error, MethodNotAllowedError):
        return {"Allow": ", ".join(error.allowed)}
    return {}


def _error(
    status: int,
    code: str,
    message: str,
    *,
    target: str | None = None,
    headers: Mapping[str, str] | None = None,
    details: list[ErrorPart] | None = None,
) -> func.HttpResponse:
    body = ErrorResponse(error=ErrorDetail(code=code, message=message, target=target, details=details))
    return answer(status, body, headers={"x-ms-error-code": code, **(headers or {})})


def _refusal(allowed: Sequence[str], path: str, meant: str | None) -> Operation:
    methods = tuple(dict.fromkeys(allowed))

    async def refuse(call: Call) -> func.HttpResponse:
        if call.request.method.upper() == "POST" and (found := _WITHOUT_ID.search(path)):
            raise InvalidRequestError(f"eventId: is missing between /events/ and /{found[1].lower()}", target="eventId")
        if methods:
            raise MethodNotAllowedError(f"use {' or '.join(methods)} for this path", allowed=methods)
        hint = f"; did you mean /{meant}?" if meant else ""
        raise ResourceNotFoundError(f"there is nothing at /{path.lstrip('/')[:100]}{hint}")

    return Operation("unmatched", "", "", refuse, versioned=False, needs_key=False)
