"""HTTP: the description of the API, for tools and for people; it needs no key."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache

import azure.functions as func
import orjson

from shared.api.openapi.catalogue import DESCRIBED
from shared.api.openapi.described import HTML, JSON, Described, Endpoint, Refusal
from shared.api.openapi.document import document
from shared.api.openapi.page import HEADERS, page
from shared.api.openapi.schemas import plain
from shared.domain import errors
from shared.runtime.failures import INTERNAL, STATUS
from shared.runtime.http import PATH_VERSIONS, QUERY_VERSION, Call, Operation, resource

_MEANINGS: dict[type[errors.PersonalizerError], str] = {
    errors.InvalidRequestError: "The path, the query or the body is malformed: a wrong `api-version`, no body, not JSON.",
    errors.ResourceNotFoundError: "There is no such path, version, loop, event or kept model.",
    errors.InvalidContainerError: plain(errors.InvalidSasUriError.__doc__ or ""),
    errors.AccessDeniedError: "No key was sent, or not one that opens this.",
    errors.StorageUnavailableError: "Storage is unavailable, too many calls wait for it, or others keep changing the same record: "
    "nothing was acknowledged.",
}
"""Where the error's own docstring says too little to a caller."""
_FAILED = Refusal(*INTERNAL, "The service failed; its log has the reason under the request's id.")


def operations(others: Sequence[Operation]) -> tuple[Operation, ...]:
    """Give the operations that describe these, and themselves; the description is made when it is first asked for."""

    @cache
    def written() -> bytes:
        endpoints = [endpoint for operation in (*others, *own) for endpoint in _endpoints(operation)]
        unrouted = [_refusal(errors.ResourceNotFoundError), _refusal(errors.MethodNotAllowedError)]
        return orjson.dumps(document(endpoints, unrouted))

    @cache
    def readable() -> bytes:
        return page(orjson.loads(written())).encode()

    own = (
        Operation("openapi", "GET", "openapi.json", _handler(written, JSON), versioned=False, needs_key=False),
        Operation("docs", "GET", "docs", _handler(readable, f"{HTML}; charset=utf-8", HEADERS), versioned=False, needs_key=False),
    )
    return own


def _handler(
    content: Callable[[], bytes], media_type: str, headers: Mapping[str, str] | None = None
) -> Callable[[Call], Awaitable[func.HttpResponse]]:
    async def get(call: Call) -> func.HttpResponse:
        return await resource(call, await asyncio.to_thread(content), media_type=media_type, headers=headers)

    return get


def _endpoints(operation: Operation) -> Iterator[Endpoint]:
    for name, route in operation.routes:
        described = DESCRIBED.get(name) or DESCRIBED[operation.name]
        in_path = "{version}" in route
        yield Endpoint(
            name=name,
            method=operation.method,
            route=route,
            described=described,
            key=_key(operation, described),
            versions=[version for version in operation.versions if version in PATH_VERSIONS] if in_path else (),
            api_version=QUERY_VERSION if operation.versioned and not in_path else "",
            refusals=[*map(_refusal, [*described.errors, *_general(operation, route, described)]), _FAILED],
        )


def _key(operation: Operation, described: Described) -> str:
    if operation.needs_admin:
        return "administrator"
    if operation.needs_key:
        return "loop"
    return "optional" if described.takes_key else ""


def _general(operation: Operation, route: str, described: Described) -> Iterator[type[errors.PersonalizerError]]:
    """Give the errors that come before an operation's own rules, or from below them."""
    key, body = _key(operation, described), described.body
    asks = any(parameter.place == "query" for parameter in described.parameters)
    if asks or (operation.versioned and "{version}" not in route) or (body and (body.kind or body.line)):
        yield errors.InvalidRequestError
    if key:
        yield from (errors.AccessDeniedError, errors.StorageUnavailableError)
    if key and (key != "administrator" or "{" in route):
        yield errors.ResourceNotFoundError
    if body:
        yield errors.BodyTooLargeError
    if body and operation.reads_json:
        yield errors.UnsupportedMediaTypeError
    if operation.metered:
        yield errors.QuotaExceededError


def _refusal(kind: type[errors.PersonalizerError]) -> Refusal:
    return Refusal(*STATUS[kind], _MEANINGS.get(kind) or plain(kind.__doc__ or ""))
