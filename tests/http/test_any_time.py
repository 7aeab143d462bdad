"""Properties: a time or a duration that a caller gives is taken or refused precisely, wherever it stands and however far it lies."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.api.durations import read_duration
from shared.api.times import read_time
from tests.http.building import rank
from tests.http.described import DescribedApp, Said, described_app, resolved, said
from tests.http.test_any_json import changed, places

ENDS = [
    *["0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:59.9999999Z", "0001-01-02T00:00:00-12:00"],
    *["9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59-12:00", "9999-12-31T23:58:30+14:00"],
    *["1969-12-31T23:59:59Z", "1970-01-01T00:00:00+14:00", "0000-01-01", "10000-01-01", "9999-12-31T24:00:00Z", "2026-05-17T12:00:60Z"],
    *["9999-12-31T23:59:59+99:99", "9999-12-31 23:59:59 12:00"],
]
LENGTHS = ["P999999999D", "P9999999999D", "P999999999DT23H59M59.999999S", "P2739725Y", "-P1D", "PT0.000001S", "P1D", "PT99999999999999H"]

times = st.sampled_from(ENDS) | st.datetimes().map(lambda at: f"{at.isoformat()}Z")
durations = st.sampled_from(LENGTHS) | st.integers(0, 10**10).map(lambda days: f"P{days}D")
numbers = st.sampled_from([2**31 - 1, 10**9, 999_999_999, 3_652_058, 800_000, -1, 0])
given_anywhere = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def is_time(value: Any) -> bool:
    with suppress(ValueError):
        return isinstance(value, str) and bool(read_time(value))
    return False


def is_duration(value: Any) -> bool:
    with suppress(ValueError):
        return isinstance(value, str) and bool(read_duration(value))
    return False


def at(document: Any, place: tuple) -> Any:
    for key in place:
        document = document[key]
    return document


def bodies(asked: Said) -> list[Any]:
    """Give an operation's example, or each of its lines, as parsed JSON, with the members that examples leave out."""
    if asked.example is None:
        return []
    examples = [json.loads(line) for line in asked.example.splitlines()] if isinstance(asked.example, str) else [asked.example]
    return [with_optional(each, asked.operation["operationId"].removesuffix("_2022")) for each in examples]


def with_optional(body: Any, name: str) -> Any:
    if name == "loops_put":
        return {**body, "configuration": {**body.get("configuration", {}), **OPTIONAL["configuration_put"]}}
    return {**body, **OPTIONAL.get(name, {})}


OPTIONAL: dict[str, dict[str, Any]] = {
    "configuration_put": {
        "autoOptimizationStartDate": "2026-05-17",
        "autoOptimizationFrequency": "P7D",
        "logRetentionDays": 90,
        "modelRetrainDays": 2,
    },
    "logs_interactions": {"timestamp": "2026-05-17T12:00:00Z"},
    "logs_observations": {"timestamp": "2026-05-17T12:00:00Z"},
}


def of_query(asked: Said) -> list[str]:
    return [each["name"] for each in asked.parameters("query") if resolved(each["schema"]).get("format") == "date-time"]


def in_body(body: Any) -> list[tuple]:
    return [place for place in places(body) if is_time(at(body, place)) or is_duration(at(body, place)) or place[-1:] in DAYS]


DAYS = [("logRetentionDays",), ("modelRetrainDays",)]
WITH_TIMES = [each for each in said() if of_query(each) or any(in_body(body) for body in bodies(each))]


@pytest.fixture(scope="module")
def described(new_store) -> Iterator[DescribedApp]:
    with described_app(new_store()) as running:
        assert rank(running.app, eventId="e1").status == 201
        yield running


def test_the_operations_with_times_are_found():
    names = {each.operation["operationId"].removesuffix("_2022") for each in WITH_TIMES}
    assert {"evaluations_put", "evaluations_create", "evaluations_get", "importances_put", "configuration_put", "receipt"} <= names
    assert {"figures", "loops_put", "logs_interactions", "logs_observations"} <= names


@pytest.mark.slow
@pytest.mark.parametrize("asked", WITH_TIMES, ids=lambda each: each.operation["operationId"])
@given_anywhere
@given(data=st.data())
def test_a_time_anywhere_in_a_request_is_taken_or_refused(asked, described, data):
    query = {name: data.draw(times) for name in of_query(asked)}
    changes = [varied(body, data) for body in bodies(asked)]
    body = "\n".join(map(json.dumps, changes)) if isinstance(asked.example, str) else json.dumps(changes[0]) if changes else None
    answer = described.ask(asked, body, query=query)
    assert answer.status < 500, (query, body, answer.body)


def varied(body: Any, data: st.DataObject) -> Any:
    for place in in_body(body):
        value = at(body, place)
        drawn = data.draw(numbers if isinstance(value, int) else durations if is_duration(value) else times)
        body = changed(body, place, drawn)
    return body
