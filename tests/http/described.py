"""The description of the API, as the app makes it, for the tests that hold the app to it."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote

import jsonschema

import rank_function
import reward_function
from evaluation_function.operations import OPERATIONS as EVALUATING
from manage_function.operations import OPERATIONS as MANAGING
from manage_function.operations import with_description
from shared.runtime.http import Operation
from tests.http.building import KEY, QUERY_VERSION
from tests.running import Answer, RunningApp

OPERATIONS: tuple[Operation, ...] = with_description((*rank_function.OPERATIONS, *reward_function.OPERATIONS, *MANAGING, *EVALUATING))
ADMIN = "the-administrators-key"
SEVERAL_SLOTS = {"name": "several", "arguments": "--ccb_explore_adf"}


@cache
def content(name: str) -> bytes:
    """Give what the operation of this name answers to a caller who has nothing of it yet."""
    handler: Any = next(operation.handler for operation in OPERATIONS if operation.name == name)

    async def answered() -> bytes:
        return bytes((await handler(SimpleNamespace(request=SimpleNamespace(headers={})))).get_body())

    return asyncio.run(answered())


@cache
def document() -> dict[str, Any]:
    """Give the OpenAPI document, which nobody changes."""
    found: dict[str, Any] = json.loads(content("openapi"))
    return found


def page() -> str:
    """Give the page that is made from it."""
    return content("docs").decode()


class Said(NamedTuple):
    """What the document says of an operation."""

    path: str
    method: str
    operation: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def example(self) -> Any:
        """An example of the request's body, None if there is none."""
        contents = self.operation.get("requestBody", {}).get("content", {})
        return next((each["example"] for each in contents.values() if "example" in each), None)

    def address(self, *, query: Mapping[str, str] = MappingProxyType({}), **values: str) -> str:
        """Give the path with the examples of its parameters, or these values, and with what the query needs and is given."""
        needed = {each["name"]: values.get(each["name"], each.get("example")) for each in self.parameters("path")}
        asked = {each["name"]: values.get(each["name"], each.get("example")) for each in self.parameters("query") if each["required"]}
        asked |= {name: quote(value) for name, value in query.items()}
        return self.path.format(**needed) + ("?" + "&".join(f"{name}={value}" for name, value in asked.items()) if asked else "")

    def parameters(self, place: str) -> list[dict[str, Any]]:
        return [each for each in self.operation.get("parameters", []) if each["in"] == place]


def said() -> list[Said]:
    """List all operations of the document."""
    return [Said(path, method.upper(), each) for path, methods in document()["paths"].items() for method, each in methods.items()]


def resolved(each: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference into the document's components."""
    if "$ref" not in each:
        return each
    found: Any = document()
    for name in each["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


LINES = {"application/x-ndjson", "text/csv"}


def fits(value: Any, schema: dict[str, Any]) -> None:
    """Demand that a value is as a schema of the document says."""
    whole = {**schema, "components": document()["components"]}
    jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)


def conforms(answer: Answer, asked: Said) -> None:
    """Demand that an answer is one that the document says the operation gives."""
    assert str(answer.status) in asked.operation["responses"], (asked.path, answer)
    response = resolved(asked.operation["responses"][str(answer.status)])
    for name, header in response["headers"].items():
        assert name.lower() in answer.headers or not resolved(header).get("required"), (name, answer.headers)
    contents = response.get("content")
    assert bool(contents) == bool(answer.body) or (contents and set(contents) <= LINES)  # there may be no line
    if contents and answer.headers["content-type"].startswith("application/json"):
        fits(answer.json, contents["application/json"]["schema"])


class DescribedApp(NamedTuple):
    """An app with an administrator and a loop for several slots."""

    app: RunningApp
    slots_key: str

    def reached(self, operation: dict[str, Any]) -> tuple[str, str]:
        """Give what stands before an operation's path here, and the key that opens it."""
        if operation["tags"] == ["Several slots"]:
            return "/loops/slots", self.slots_key
        return "", ADMIN if operation["security"] == [{"administrator": []}] else self.app.key

    def ask(
        self,
        asked: Said,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        query: Mapping[str, str] = MappingProxyType({}),
        **values: str,
    ) -> Answer:
        """Call an operation with the examples of its parameters, or these values; the answer is as described."""
        before, key = self.reached(asked.operation)
        payload = body.encode() if isinstance(body, str) else body
        kinds = {} if body is None else {"Content-Type": next(iter(asked.operation["requestBody"]["content"]))}
        answer = self.app.request(
            asked.method, before + asked.address(query=query, **values), payload, headers={KEY: key, **kinds, **(headers or {})}
        )
        conforms(answer, asked)
        return answer


@contextmanager
def described_app(storage: str, **settings: str) -> Iterator[DescribedApp]:
    """Start such an app."""
    with RunningApp(storage, settings={"PERSONALIZER_ADMIN_KEY": ADMIN, **settings}) as app:
        made = app.request("PUT", "/loops/slots", {}, headers={KEY: ADMIN})
        key = made.json["keys"][0]
        policy = f"/loops/slots/personalizer/configurations/policy?api-version={QUERY_VERSION}"
        assert app.request("PUT", policy, SEVERAL_SLOTS, headers={KEY: key}).status == 200
        yield DescribedApp(app, key)
