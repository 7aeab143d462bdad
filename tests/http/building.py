"""Requests with all that does not matter filled in, and what every refusal must look like."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from shared.domain.events import Decision, Observation
from shared.runtime.settings import read_settings
from shared.runtime.wiring import build
from tests.running import Answer, Asked, RunningApp

QUERY_VERSION = "2022-09-01-preview"
VERSIONS = ("v1.0", "v1.1-preview.1", "v1.1-preview.2", "v1.1-preview.3", QUERY_VERSION)
KEY = "Ocp-Apim-Subscription-Key"
ON_ONE_HOST = pytest.mark.parametrize("host", ["local"], indirect=True, scope="session")
"""What goes on behind the functions is the same under every host; routes, bodies, headers and statuses are tried under both."""
TWO_KEYS = ("the-key-in-use", "the-key-to-change-to")


def path(rest: str, *, version: str = "v1.0") -> str:
    if version == QUERY_VERSION:
        return f"/personalizer/{rest}?api-version={version}"
    return f"/personalizer/{version}/{rest}"


def event_path(event_id: str, verb: str, *, version: str = "v1.0") -> str:
    return path(f"events/{quote(event_id, safe='')}/{verb}", version=version)


def actions(*ids: str) -> list[dict[str, Any]]:
    return [{"id": each, "features": [{"topic": f"of {each}"}]} for each in ids or ("a", "b", "c")]


def rank_body(*ids: str, **members: Any) -> dict[str, Any]:
    return {"contextFeatures": [{"user": {"segment": "s1", "age": 30}}], "actions": actions(*ids), **members}


def rank(app: Asked, *ids: str, **members: Any) -> Answer:
    return app.request("POST", path("rank"), rank_body(*ids, **members))


def reward(app: Asked, event_id: str, value: float = 1.0) -> Answer:
    return app.request("POST", event_path(event_id, "reward"), {"value": value})


def activate(app: Asked, event_id: str) -> Answer:
    return app.request("POST", event_path(event_id, "activate"))


def probabilities(answer: Answer) -> list[tuple[str, float]]:
    return [(action["id"], action["probability"]) for action in answer.json["ranking"]]


def refused(answer: Answer, status: int, code: str, *, naming: str = "", target: str | None = None) -> None:
    """Demand the contract's error shape, and a message that names what is wrong."""
    assert (answer.status, code_of(answer)) == (status, code), answer.body
    error = answer.json["error"]
    assert naming in error["message"]
    assert error.get("target") == target


def code_of(answer: Answer) -> str:
    """Give the code of an error, once its shape is the contract's."""
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json.keys() == {"error"}
    error = answer.json["error"]
    assert {"code", "message"} <= error.keys() <= {"code", "message", "target", "details"}
    assert all(isinstance(value, str) and value for name, value in error.items() if name != "details")
    assert answer.headers["x-ms-error-code"] == error["code"]
    return str(error["code"])


def counters(app: Asked) -> dict[str, Any]:
    found: dict[str, Any] = app.request("GET", "/status").json["loop"]["counters"]
    return found


@contextmanager
def nothing_logged(app: Asked) -> Iterator[None]:
    before = counters(app)
    yield
    assert counters(app) == before


class Log(NamedTuple):
    decisions: list[Decision]
    observations: list[Observation]


async def log_since(app: RunningApp, since: datetime) -> Log:
    """Read what the app stored from then on, past its HTTP interface."""
    services = build(read_settings(app.environment))
    until = datetime.now(UTC) + timedelta(minutes=1)
    try:
        decisions = [
            event
            async for heads in services.log.decision_heads(since, until)
            for segment in await services.log.decisions(heads)
            for event in segment.events or ()
        ]
        observations = [
            event
            async for heads in services.log.observation_heads(since, until)
            for segment in await services.log.observations(heads)
            for event in segment.events or ()
        ]
    finally:
        await services.close()
    return Log(decisions, observations)
