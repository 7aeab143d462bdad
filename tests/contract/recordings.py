"""Requests that were sent and what was answered, a story for each version of the contract: kept, played again and compared.

A story is a list of steps, which one loop is asked after another. What an answer has anew each time is written as its kind, like
``<time>``; what a later request needs of it is kept under a name, and stands there as ``{name}``.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.http.own_loops import ADMIN, OwnLoop
from tests.running import Answer, Asked, RunningApp

FOLDER: Final = Path(__file__).parent / "recorded"
HEADERS: Final = ("content-type", "last-modified", "location", "retry-after", "x-ms-error-code")
"""What is compared; others are the host's."""
KINDS: Final[Mapping[str, re.Pattern[str]]] = {
    "<time>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|\+00:00)"),
    "<date>": re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"),
    "<id>": re.compile(r"(?=[a-f-]*\d)[0-9a-f-]{20,}"),
}
"""How texts are written that are others each time."""
HERE: Final = re.compile(r"http://127\.0\.0\.1:\d+(/loops/\w+)?")
PATIENCE: Final = 30
Step = dict[str, Any]


class Played(NamedTuple):
    """A step, what was answered to it, and what is known by then of the answers before it."""

    step: Step
    answer: Answer
    known: Mapping[str, Any]


def story(version: str) -> list[Step]:
    """Read the steps of a version."""
    found: list[Step] = json.loads((FOLDER / f"{version}.json").read_text("utf-8"))
    return found


def loop_of(app: RunningApp, version: str) -> OwnLoop:
    """Make the loop that a version's story is told to; its name is a seed of what is chosen there."""
    name = f"of{re.sub(r'[^0-9]', '', version)}"
    made = app.request("PUT", f"/loops/{name}", {}, headers=ADMIN)
    assert made.status == 201, made.body
    return OwnLoop(app, name, made.json["keys"][0])


def played(loop: Asked, steps: list[Step]) -> Iterator[Played]:
    """Send the requests of a story to a loop that nobody else uses."""
    known: dict[str, Any] = {}
    for step in steps:
        answer = sent(loop, step, known)
        yield Played(step, answer, dict(known))
        for name, place in step.get("keeps", {}).items():
            known[name] = found_at(answer, place)


def sent(loop: Asked, step: Step, known: Mapping[str, Any], *, headers: Mapping[str, str] | None = None, **other: Any) -> Answer:
    """Send a step's request, or one with another ``body``."""
    asked = step["request"]
    body = other.get("body", filled(asked.get("body"), known))
    kind = {"Content-Type": asked["contentType"]} if "contentType" in asked else {}
    payload = body.encode() if isinstance(body, str) else body
    for _ in range(PATIENCE):
        answer = loop.request(asked["method"], filled(asked["path"], known), payload, headers={**kind, **(headers or {})})
        if answer.status != 503:
            break
        time.sleep(float(answer.headers["retry-after"]))  # as a client does: a machine may be too busy for a while
    return answer


def found_at(answer: Answer, place: str) -> Any:
    """Give the member of an answer at a place like ``value.0.id``, or its whole body."""
    if place == "body":
        return answer.body
    found = answer.json
    for name in place.split("."):
        found = found[int(name)] if name.isdigit() else found[name]
    return found


def filled(document: Any, known: Mapping[str, Any]) -> Any:
    """Put what is known in the places that have its name.

    >>> filled({"evaluationId": "{first}", "path": "/of/{first}"}, {"first": "e1"})
    {'evaluationId': 'e1', 'path': '/of/e1'}
    """
    if isinstance(document, dict):
        return {name: filled(value, known) for name, value in document.items()}
    if not isinstance(document, str):
        return document
    for name, value in known.items():
        if document == f"{{{name}}}":
            return value
        if isinstance(value, str):
            document = document.replace(f"{{{name}}}", value)
    return document


def seen(answer: Answer, *, only: Sequence[str] = ()) -> dict[str, Any]:
    """Write down what an answer consists of: status, headers and body, or ``only`` these members of the body."""
    headers = {name: HERE.sub("<here>", answer.headers[name]) for name in HEADERS if answer.headers.get(name)}
    if not answer.body:
        return {"status": answer.status, "headers": headers}
    is_json = headers.get("content-type", "").startswith("application/json")
    body = answer.json if is_json else "<bytes>"
    if only and isinstance(body, dict):
        body = {name: body[name] for name in only}
    return {"status": answer.status, "headers": headers, "body": body}


def differences(recorded: Any, found: Any, known: Mapping[str, Any], *, at: str = "answer") -> list[str]:
    """List where an answer is another than the recorded one; a kind stands for whatever is of it.

    >>> differences({"id": "{first}", "at": "<time>"}, {"id": "e1", "at": "2026-05-17T12:00:00Z"}, {"first": "e1"})
    []
    >>> differences({"id": "e1", "values": [1]}, {"id": "e2", "values": []}, {})
    ['answer.id is e2, not e1', 'answer.values has 0 values, not 1']
    """
    if isinstance(recorded, dict) and isinstance(found, dict):
        if recorded.keys() != found.keys():
            return [f"{at} has {sorted(found)}, not {sorted(recorded)}"]
        return [each for name, value in recorded.items() for each in differences(value, found[name], known, at=f"{at}.{name}")]
    if isinstance(recorded, list) and isinstance(found, list):
        if len(recorded) != len(found):
            return [f"{at} has {len(found)} values, not {len(recorded)}"]
        return [each for number, value in enumerate(recorded) for each in differences(value, found[number], known, at=f"{at}.{number}")]
    is_same = type(recorded) is type(found) and (filled(recorded, known) == found or is_of(recorded, found))
    return [] if is_same else [f"{at} is {found}, not {recorded}"]


def is_of(recorded: Any, found: Any) -> bool:
    """Whether a text is recorded as a kind, or has kinds in it, and the one that is found is of it.

    >>> is_of("/evaluations/<id>", "/evaluations/0d3f9c4e8105b2a7d6e4"), is_of("<time>", "soon")
    (True, False)
    """
    if not isinstance(recorded, str) or "<" not in recorded:
        return False
    parts = re.split(f"({'|'.join(KINDS)})", recorded)
    wanted = "".join(KINDS[part].pattern if part in KINDS else re.escape(part) for part in parts)
    return re.fullmatch(wanted, found) is not None
