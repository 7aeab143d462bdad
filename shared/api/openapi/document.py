"""The OpenAPI document, from the endpoints and the wire models."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from shared.api.errors import ErrorResponse
from shared.api.openapi.catalogue import PATH_PARAMETERS, TAGS
from shared.api.openapi.described import JSON, Answer, Body, Endpoint, Parameter, Refusal
from shared.api.openapi.links import linked
from shared.api.openapi.schemas import Components

OPENAPI: Final = "3.1.0"
RELEASE: Final = "0.1.0"
"""Of the app."""

CODES: Final = "x-error-codes"
"""In an answer: which codes it may carry, and when."""
LINE: Final = "x-line-schema"
"""In a body of JSON lines: what each line holds."""

_TITLE: Final = "Open Personalizer"
_ABOUT: Final = (
    "Ranks actions and learns from rewards. The operations of Azure Personalizer are there under the paths of its versions v1.0 to "
    "v1.1-preview.3 (`/personalizer/{version}/...`) and of 2022-09-01-preview (`/personalizer/...?api-version=2022-09-01-preview`). "
    "Those of another loop than the default one stand after `/loops/{loop}`: see the servers. Case, doubled slashes and a trailing slash "
    "of a path do not matter. A path under a method that is not described here is answered with 405, and any other path with 404, in the "
    "shape of all errors."
)
_SERVERS: Final = (
    {"url": "/", "description": "The default loop."},
    {
        "url": "/loops/{loop}",
        "description": "Another loop, with keys of its own.",
        "variables": {"loop": {"default": "default", "description": "The loop's name."}},
    },
)
_HEADER: Final = "Ocp-Apim-Subscription-Key"
_SECURITY: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "": (),
    "loop": ({"key": []},),
    "optional": ({}, {"key": []}),
    "administrator": ({"administrator": []},),
}
_SCHEMES: Final = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": _HEADER,
        "description": "One of the loop's two keys; for Rank, Reward and Activate its client key too.",
    },
    "administrator": {"type": "apiKey", "in": "header", "name": _HEADER, "description": "The administrator's key."},
}
_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "RequestId": {
        "description": "The request's id, under which a failure is logged.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "ErrorCode": {"description": "The code that is in the body too.", "required": True, "schema": {"type": "string"}},
    "RetryAfter": {
        "description": "After how many seconds to repeat the call.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "Allow": {"description": "The methods of this path.", "required": True, "schema": {"type": "string"}},
}
_HINTS: Final = {405: ("Allow", "Allow"), 503: ("Retry-After", "RetryAfter")}


def document(endpoints: Sequence[Endpoint], unrouted: Sequence[Refusal]) -> dict[str, Any]:
    """Describe all endpoints; ``unrouted`` are the refusals of requests that reach none of them."""
    return _Writer(endpoints).written(unrouted)


class _Writer:
    """Writes one document."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._components = Components()
        bodies = [endpoint.described.body for endpoint in endpoints]
        asked = [kind for body in bodies if body is not None for kind in (body.kind, body.line) if kind is not None]
        answers = [answer for endpoint in endpoints for answer in endpoint.described.answers]
        self._asked = self._components.asked(asked)
        self._answered = self._components.answered([answer.kind for answer in answers if answer.kind is not None] + [ErrorResponse])
        self._refusals: dict[str, Any] = {}

    def written(self, unrouted: Sequence[Refusal]) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = defaultdict(dict)
        for endpoint in self._endpoints:
            paths[f"/{endpoint.route}"][endpoint.method.lower()] = self._operation(endpoint)
        self._refused(unrouted)
        return {
            "openapi": OPENAPI,
            "info": {"title": _TITLE, "version": RELEASE, "description": _ABOUT, "license": {"name": "MIT", "identifier": "MIT"}},
            "servers": _SERVERS,
            "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
            "paths": dict(paths),
            "components": {
                "schemas": self._components.schemas,
                "responses": dict(sorted(self._refusals.items())),
                "headers": _HEADERS,
                "securitySchemes": _SCHEMES,
            },
        }

    def _operation(self, endpoint: Endpoint) -> dict[str, Any]:
        described = endpoint.described
        written: dict[str, Any] = {"operationId": endpoint.name, "tags": [described.tag], "summary": described.summary}
        if described.description:
            written["description"] = described.description
        if parameters := [*_of_path(endpoint), *map(_parameter, described.parameters)]:
            written["parameters"] = parameters
        if described.body is not None:
            written["requestBody"] = self._body(described.body)
        answers = {str(answer.status): self._answer(endpoint, answer) for answer in described.answers}
        written["responses"] = answers | self._refused(endpoint.refusals)
        written["security"] = _SECURITY[endpoint.key]
        if endpoint.key == "administrator":
            written["servers"] = _SERVERS[:1]
        return written

    def _body(self, body: Body) -> dict[str, Any]:
        content: dict[str, Any] = {"schema": self._asked[body.kind] if body.kind else {"type": "string"}}
        if body.kind is None and body.line is None:
            content["schema"]["format"] = "binary"
        if body.line is not None:
            content[LINE] = self._asked[body.line]
        if body.example is not None:
            content["example"] = body.example
        described = {"description": body.description} if body.description else {}
        return {**described, "required": body.required, "content": {body.media_type: content}}

    def _answer(self, endpoint: Endpoint, answer: Answer) -> dict[str, Any]:
        headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()}
        written: dict[str, Any] = {"description": answer.description, "headers": {**_REQUEST_ID, **headers}}
        if answer.content_type:
            written["content"] = {answer.content_type: self._content(answer)}
        if links := linked(endpoint, answer.status, self._endpoints):
            written["links"] = links
        return written

    def _content(self, answer: Answer) -> dict[str, Any]:
        if answer.kind is None:
            return {"schema": {"type": "object"} if answer.media_type == JSON else _TEXT.get(answer.media_type, _BINARY)}
        return {"schema": self._answered[answer.kind]} | ({} if answer.example is None else {"example": answer.example})

    def _refused(self, refusals: Sequence[Refusal]) -> dict[str, Any]:
        by_status: dict[int, dict[str, str]] = defaultdict(dict)
        for refusal in refusals:
            by_status[refusal.status].setdefault(refusal.code, refusal.meaning)
        return {str(status): self._refusal(status, codes) for status, codes in sorted(by_status.items())}

    def _refusal(self, status: int, codes: Mapping[str, str]) -> dict[str, Any]:
        """Describe what answers this status with one of these codes; where there is one only, it is shared by all operations."""
        written = _refusal(status, dict(sorted(codes.items())), self._answered[ErrorResponse])
        if len(codes) > 1:
            return written
        name = f"{status}-{next(iter(codes))}"
        self._refusals.setdefault(name, written)
        return {"$ref": f"#/components/responses/{name}"}


_REQUEST_ID: Final = {name: {"$ref": "#/components/headers/RequestId"} for name in ("apim-request-id", "x-ms-request-id")}
_BINARY: Final = {"type": "string", "format": "binary"}
_TEXT: Final = {"text/html": {"type": "string"}}


def _refusal(status: int, codes: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    hints = {_HINTS[status][0]: {"$ref": f"#/components/headers/{_HINTS[status][1]}"}} if status in _HINTS else {}
    narrowed = {"properties": {"error": {"properties": {"code": {"enum": [*codes]}}}}}
    code, meaning = next(iter(codes.items()))
    return {
        "description": " ".join(f"`{each}`: {text}" for each, text in codes.items()),
        "headers": {**_REQUEST_ID, "x-ms-error-code": {"$ref": "#/components/headers/ErrorCode"}, **hints},
        "content": {JSON: {"schema": {"allOf": [schema, narrowed]}, "example": {"error": {"code": code, "message": meaning}}}},
        CODES: codes,
    }


def _of_path(endpoint: Endpoint) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", endpoint.route):
        if name == "version":
            schema: Mapping[str, Any] = {"type": "string", "enum": [*endpoint.versions]}
            yield _written(name, "path", schema, "The version of the API.", endpoint.versions[0])
        else:
            yield _written(name, "path", *PATH_PARAMETERS[name])
    if endpoint.api_version:
        schema = {"type": "string", "enum": [endpoint.api_version]}
        yield _written("api-version", "query", schema, "The version of the API.", endpoint.api_version)


def _written(name: str, place: str, schema: Mapping[str, Any], description: str, example: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "required": True, "description": description, "schema": schema, "example": example}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": parameter.schema,
    }
