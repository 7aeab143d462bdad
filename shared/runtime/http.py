"""HTTP in and out: operations, their routes under every version of the contract, and errors in its shape."""

import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from shared.api.errors import ErrorDetail, ErrorResponse
from shared.api.wire import WireModel
from shared.domain.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    MethodNotAllowedError,
    PersonalizerError,
    RequestError,
    ResourceNotFoundError,
    UnavailableError,
)
from shared.runtime.auth import check_key
from shared.runtime.failures import INTERNAL, status_of
from shared.runtime.wiring import Services

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
PATH_VERSIONS = ("v1.0", "v1.1-preview.1", "v1.1-preview.2", "v1.1-preview.3")
QUERY_VERSION = "2022-09-01-preview"

_JSON = "application/json; charset=utf-8"
_ALWAYS: Mapping[str, str] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, with what its route captured."""

    services: Services
    request: func.HttpRequest
    params: Mapping[str, str]

    @property
    def body(self) -> bytes:
        """The request's body; raises `BodyTooLargeError`."""
        body = self.request.get_body()
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLargeError(f"the body has {len(body)} bytes; at most {MAX_BODY_BYTES} are read")
        return body


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the service: ``path`` stands under every version's prefix, or at the root for what is not versioned."""

    name: str
    method: str
    path: str
    handler: Callable[[Call], Awaitable[func.HttpResponse]]
    versioned: bool = True
    needs_key: bool = True

    @property
    def routes(self) -> tuple[tuple[str, str], ...]:
        """Function names and route templates; the contract's 2022 version has no version in its path."""
        if not self.versioned:
            return ((self.name, self.path),)
        return ((self.name, f"personalizer/{{version}}/{self.path}"), (f"{self.name}_2022", f"personalizer/{self.path}"))


def blueprint(operations: Sequence[Operation], services: Callable[[], Services]) -> func.Blueprint:
    """Register each operation as an HTTP function under each of its routes."""
    functions = func.Blueprint()
    for operation in operations:
        for name, route in operation.routes:
            handler = _entry(operation, services, by_query=not route.startswith("personalizer/{") and operation.versioned)
            trigger = functions.route(route=route, methods=[operation.method], auth_level=func.AuthLevel.ANONYMOUS)
            functions.function_name(name)(trigger(handler))
    return functions


def fallback(operations: Sequence[Operation], services: Callable[[], Services]) -> func.Blueprint:
    """Register what takes all other paths: those with doubled slashes are served, the rest get a 404 or 405 in the contract's shape."""
    functions = func.Blueprint()
    matchers = [(_pattern(route), operation) for operation in operations for _, route in operation.routes]

    async def unmatched(req: func.HttpRequest) -> func.HttpResponse:
        path = re.sub(r"/{2,}", "/", req.route_params.get("path", "")).strip("/")
        found = [(operation, match) for pattern, operation in matchers if (match := pattern.fullmatch(path))]
        for operation, match in found:
            if operation.method == req.method.upper():
                return await _serve(operation, services, req, match.groupdict())
        return await _serve(_refusal([operation.method for operation, _ in found], path), services, req, {})

    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
    trigger = functions.route(route="{*path}", methods=methods, auth_level=func.AuthLevel.ANONYMOUS)
    functions.function_name("unmatched")(trigger(unmatched))
    return functions


def answer(status: int, body: WireModel | bytes | None = None, *, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """Make a response with the headers that every one has; ``body`` is a model, or JSON text already."""
    all_headers = {**_ALWAYS, **(headers or {})}
    if body is None:
        return func.HttpResponse(b"", status_code=status, headers=all_headers)
    content = body if isinstance(body, bytes) else body.to_wire()
    return func.HttpResponse(content, status_code=status, headers={**all_headers, "Content-Type": _JSON}, mimetype="application/json")


def decoded(value: str) -> str:
    """Finish decoding a captured part of the path: hosts decode all but an encoded slash.

    >>> decoded("a%2Fb c")
    'a/b c'
    """
    return re.sub("%2F", "/", value, flags=re.IGNORECASE)


def _entry(operation: Operation, services: Callable[[], Services], *, by_query: bool) -> Callable[..., Any]:
    async def handle(req: func.HttpRequest) -> func.HttpResponse:
        params = dict(req.route_params) if not by_query else {**req.route_params, "version": ""}
        return await _serve(operation, services, req, params)

    handle.__name__ = operation.name
    return handle


async def _serve(
    operation: Operation, services: Callable[[], Services], req: func.HttpRequest, params: Mapping[str, str | None]
) -> func.HttpResponse:
    request_id = str(uuid.uuid4())
    try:
        call = Call(services(), req, {name: decoded(value) for name, value in params.items() if value is not None})
        if operation.needs_key:
            check_key(req.headers, call.services.settings.keys)
        if operation.versioned:
            _check_version(req, call.params.get("version", ""))
        response = await operation.handler(call)
    except PersonalizerError as error:
        response = _refused(error, operation, request_id)
    except Exception:
        logger.exception("unexpected failure", extra={"operation": operation.name, "request_id": request_id})
        response = _error(*INTERNAL, "the service failed unexpectedly; the failure was logged under this request's id")
    response.headers["apim-request-id"] = request_id
    return response


def _check_version(req: func.HttpRequest, version: str) -> None:
    if version:
        if version.lower() not in PATH_VERSIONS:
            raise ResourceNotFoundError(f"there is no API version {version[:40]!r}; there are {', '.join(PATH_VERSIONS)}")
        return
    asked = req.params.get("api-version", "")
    if asked != QUERY_VERSION:
        raise InvalidRequestError(f"a path without a version needs the query parameter api-version={QUERY_VERSION}", target="api-version")


def _refused(error: PersonalizerError, operation: Operation, request_id: str) -> func.HttpResponse:
    status, code = status_of(error)
    facts = {"operation": operation.name, "status": status, "code": code, "reason": str(error), "request_id": request_id}
    logger.log(logging.WARNING if status >= 500 else logging.INFO, "refused", extra=facts)
    if status == INTERNAL[0]:
        return _error(status, code, "the service failed; the failure was logged under this request's id")
    return _error(status, code, str(error), target=error.target if isinstance(error, RequestError) else None, headers=_hints(error))


def _hints(error: PersonalizerError) -> dict[str, str]:
    if isinstance(error, UnavailableError):
        return {"Retry-After": str(max(1, round(error.retry_after.total_seconds())))}
    if isinstance(error, MethodNotAllowedError):
        return {"Allow": ", ".join(error.allowed)}
    return {}


def _error(
    status: int, code: str, message: str, *, target: str | None = None, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    body = ErrorResponse(error=ErrorDetail(code=code, message=message, target=target))
    return answer(status, body, headers={"x-ms-error-code": code, **(headers or {})})


def _refusal(allowed: Sequence[str], path: str) -> Operation:
    async def refuse(_: Call) -> func.HttpResponse:
        if allowed:
            raise MethodNotAllowedError(f"use {' or '.join(allowed)} for this path", allowed=tuple(allowed))
        raise ResourceNotFoundError(f"there is nothing at /{path[:100]}")

    return Operation("unmatched", "", "", refuse, versioned=False, needs_key=False)


def _pattern(route: str) -> re.Pattern[str]:
    parts = (f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part) for part in route.split("/"))
    return re.compile("/".join(parts), re.IGNORECASE)
