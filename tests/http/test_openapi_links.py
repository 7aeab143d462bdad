"""The links of the description lead from each answer to the operations that follow on it, and every one of them can be followed."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
import requests
import schemathesis
from schemathesis.core.transport import Response
from schemathesis.generation.stateful.state_machine import StepOutput
from schemathesis.specs.openapi.stateful.links import OpenApiLink

from shared.api.openapi.links import LINKS
from tests.clocks import SetClock
from tests.http.described import SEVERAL_SLOTS, Said, document, resolved, said
from tests.http.in_process import ADMIN, KEY, Process, Sent
from tests.running import Answer

BEGIN = datetime(2026, 5, 25, 12, tzinfo=UTC)


class Told(NamedTuple):
    """A link as the document has it."""

    source: Said
    status: str
    name: str
    link: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.source.operation['operationId']} {self.status} {self.name}"

    @property
    def target(self) -> Said:
        return next(each for each in said() if each.operation["operationId"] == self.link["operationId"])

    @property
    def parameters(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Those of both operations."""
        return self.source.operation.get("parameters", []), self.target.operation.get("parameters", [])

    @property
    def values(self) -> dict[str, str]:
        found: dict[str, str] = self.link.get("parameters", {})
        return found


def links() -> list[Told]:
    return [
        Told(source, status, name, link)
        for source in said()
        for status, answer in source.operation["responses"].items()
        for name, link in answer.get("links", {}).items()
    ]


def at(pointer: str, document: Any) -> Any:
    """Follow a JSON pointer."""
    for step in pointer.split("/")[1:]:
        document = document[int(step) if isinstance(document, list) else step]
    return document


def value(expression: str, source: Said, body: Any, answered: Any) -> str:
    """Give what a runtime expression comes to when the source was asked with the examples of its parameters."""
    if not expression.startswith("$"):
        return expression
    origin, _, pointer = expression.partition("#")
    if origin == "$request.body":
        return str(at(pointer, body))
    if origin == "$response.body":
        return str(at(pointer, answered))
    _, place, name = expression.split(".")
    return str(next(each["example"] for each in source.parameters(place) if each["name"] == name))


def test_every_link_that_is_told_is_in_the_document_and_no_other():
    told = {
        (name, str(status), link.to) for name, statuses in LINKS.items() for status, followers in statuses.items() for link in followers
    }
    found = {(each.source.operation["operationId"].removesuffix("_2022"), each.status, each.name) for each in links()}
    assert found <= told
    assert {name for name, *_ in found} == {*LINKS}
    assert len(links()) > 30


def test_a_link_names_an_operation_and_gives_it_all_that_it_needs():
    for each in links():
        parameters = {one["name"]: one for one in each.target.operation.get("parameters", [])}
        needed = {name for name, one in parameters.items() if one["required"]}
        assert {*each.values} == needed, each
        assert each.link["description"].endswith("."), each


def test_a_link_goes_on_in_the_version_that_was_called():
    for each in links():
        versions, following = ({one["name"]: one["schema"].get("enum") for one in parts} for parts in each.parameters)
        for name in versions.keys() & {"version", "api-version"}:
            assert {*versions[name]} <= {*following[name]}, each


def test_what_a_link_takes_is_in_the_examples_of_the_document():
    for each in links():
        answer = resolved(each.source.operation["responses"][each.status])
        example = next((content.get("example") for content in answer.get("content", {}).values()), None)
        for expression in each.values.values():
            assert value(expression, each.source, each.source.example, example), each


# --- followed --------------------------------------------------------------------------------------------------------------


class Followed(NamedTuple):
    """A process that has everything that an example names."""

    process: Process
    slots: str

    def loop(self, of: Said) -> Sent:
        """Give the loop that an operation is for: all that follows on it is asked of that one as well."""
        if of.operation["tags"] == ["Several slots"]:
            return Sent("slots", self.slots)
        return Sent("default", ADMIN if of.operation["tags"] == ["Loops"] else KEY)

    def ask(self, asked: Said, body: Any, *, to: Sent, **values: str) -> Answer:
        sent = body.encode() if isinstance(body, str) else body
        return self.process.ask(asked, to, sent, headers={"x-ms-client-request-id": "the same"}, **values)


@pytest.fixture(scope="module")
def followed(new_store) -> Iterator[Followed]:
    with asyncio.Runner() as runner:
        process = Process(new_store(), SetClock(BEGIN), runner)
        made = process.ask("loops_put", Sent("default", ADMIN), {}, loop="slots")
        slots = Sent("slots", made.json["keys"][0])
        assert process.ask("policy_put", slots, SEVERAL_SLOTS).status == 200
        yield Followed(process, slots.key)
        process.close()


@pytest.fixture(scope="module")
def whole() -> Any:
    """The description as schemathesis reads it."""
    return schemathesis.openapi.from_dict(document())


def read_by_schemathesis(whole: Any, each: Told, answer: Answer) -> dict[str, str]:
    """Give what another program takes from an answer by the same link."""
    source = whole.find_operation_by_id(each.source.operation["operationId"])
    path, query = ({one["name"]: one.get("example") for one in each.source.parameters(place)} for place in ("path", "query"))
    body = {} if each.source.example is None else {"body": each.source.example, "media_type": "application/json"}
    request = requests.Request(each.source.method, f"http://personalizer{each.source.address()}").prepare()
    headers = {name: [value] for name, value in answer.headers.items()}
    response = Response(answer.status, headers, answer.body, request, elapsed=0.0, verify=False)
    link = OpenApiLink(each.name, each.status, each.link, source)
    found: Any = link.extract(StepOutput(response, source.Case(path_parameters=path, query=query, **body))).parameters
    return {name: one.value.ok() for values in found.values() for name, one in values.items()}


@pytest.mark.parametrize("each", links(), ids=str)
def test_every_link_can_be_followed(followed, whole, each):
    """What the source needs is made here, so that it does not matter which tests ran before."""
    to = followed.loop(each.source)
    if each.source.operation["operationId"] == "loops_put":
        followed.process.ask("loops_delete", to, loop="news")
        if each.status == "200":
            assert followed.ask(each.source, each.source.example, to=to).status == 201
    first = followed.ask(each.source, each.source.example, to=to)
    assert str(first.status) == each.status, first
    answered = first.json if first.body else None
    values = {key: value(expression, each.source, each.source.example, answered) for key, expression in each.values.items()}
    assert read_by_schemathesis(whole, each, first) == values
    following = followed.ask(each.target, each.target.example, to=to, **values)
    assert following.status < 300, following
