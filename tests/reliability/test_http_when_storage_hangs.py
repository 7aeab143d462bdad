"""Storage takes calls and does not answer: every operation says so in time, and all is well again when storage is."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.runtime.http import BRIEF, MUCH, WORK
from tests.http.described import DescribedApp, Said, described_app, said
from tests.patience import BUSY, PATIENCE
from tests.running import Answer
from tests.storage_proxy import Fault, no_faults

pytestmark = pytest.mark.slow

IN_TIME = 10.0
"""Seconds: the longest that one use of storage may take, and what a busy machine and the callers beside it add."""

APPEND = 4.0
"""Seconds: a third of the grace below, and more. For so long the log's deletion waits for a row that is being written."""


@pytest.fixture
def described(proxy) -> Iterator[DescribedApp]:
    with described_app(proxy.connection_string, PERSONALIZER_MODEL_POLL_INTERVAL="PT1S", PERSONALIZER_INGEST_GRACE="PT8S") as app:
        assert app.app.request("GET", "/status").status == 200
        yield app
        proxy.plan = no_faults


def asked(app: DescribedApp, each: Said) -> tuple[Answer, float]:
    began = time.monotonic()
    answer = app.ask(each, each.example)
    return answer, time.monotonic() - began


def all_asked(app: DescribedApp) -> dict[str, tuple[Answer, float]]:
    """Ask for everything that the service does, at once."""
    with ThreadPoolExecutor(64) as callers:
        found = {str(each): callers.submit(asked, app, each) for each in said()}
        return {what: each.result() for what, each in found.items()}


@pytest.mark.parametrize("fault", [Fault(delay=60), Fault()], ids=["silent", "torn"])
@pytest.mark.sweep(keep=1)
def test_every_operation_ends_in_time_with_503_and_goes_on_when_storage_is_back(proxy, described, fault):
    proxy.plan = lambda call: fault
    answers = all_asked(described)
    late = {what: seconds for what, (_, seconds) in answers.items() if seconds > IN_TIME + BUSY + (APPEND if what.endswith("/logs") else 0)}
    assert late == {}
    refused = {what: answer for what, (answer, _) in answers.items() if answer.status == 503}
    assert len(refused) > 35
    for what, answer in refused.items():
        assert answer.json["error"]["code"] == "OperationNotAllowed", what
        assert int(answer.headers["retry-after"]) >= 1
    others = {what: answer for what, (answer, _) in answers.items() if answer.status != 503}
    assert {what: answer.status for what, answer in others.items() if answer.status >= 500} == {}
    states = {"GET /status", "GET /personalizer/status", "GET /personalizer/{version}/status"}
    assert {what for what, answer in others.items() if answer.status < 400} == states | {"GET /openapi.json", "GET /docs"}
    assert {others[what].json["apiStatus"] for what in states} == {"Degraded"}
    proxy.plan = no_faults
    until = time.monotonic() + PATIENCE
    while described.app.request("GET", "/status").json["apiStatus"] != "Valid":
        assert time.monotonic() < until
        time.sleep(0.5)
    assert described.app.request("POST", "/personalizer/v1.0/rank", {"actions": [{"id": "a", "features": [{"x": 1}]}]}).status == 201
    again = {str(each): asked(described, each)[0].status for each in said()}  # one by one: all at once is much for a busy machine
    busy = {what for what, status in again.items() if status == 503}
    assert {what for what in busy if not what.endswith("/logs")} == set(), "only deletions of the log may be in each other's way"
    assert {what: status for what, status in again.items() if status >= 500 and status != 503} == {}


def test_no_operation_takes_longer_than_the_platform_waits():
    assert max(each.limit for each in (BRIEF, MUCH, WORK)).total_seconds() < 230
    assert max(each.each for each in (BRIEF, MUCH, WORK)).total_seconds() < IN_TIME
