"""Searches for receipts while storage is slow: few at a time, the others are told to come back, and Rank goes on."""

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.http.building import code_of, path, rank
from tests.running import Answer, RunningApp
from tests.storage_proxy import Call, Fault, StorageProxy

SLOW = 3.0
"""Seconds that each list of tables takes, which is what a search begins with."""


@pytest.fixture
def searched(proxy: StorageProxy) -> Iterator[RunningApp]:
    with RunningApp(proxy.connection_string) as app:
        assert rank(app, eventId="e1").status == 201
        assert search(app).status == 200
        proxy.plan = slow_lists
        yield app


def slow_lists(call: Call) -> Fault | None:
    return Fault(passes=True, delay=SLOW) if call.method == "GET" and call.path.split("?")[0].endswith("/Tables") else None


def search(app: RunningApp, event_id: str = "e1") -> Answer:
    return app.request("GET", path(f"events/{event_id}"))


def test_few_searches_run_at_a_time_and_ranks_go_on_meanwhile(searched):
    with ThreadPoolExecutor(12) as callers:
        answers = [callers.submit(search, searched) for _ in range(12)]
        time.sleep(0.5)
        began = time.monotonic()
        assert rank(searched, eventId="e2").status == 201
        assert time.monotonic() - began < SLOW / 2
        found = [each.result() for each in answers]
    assert {answer.status for answer in found} == {200, 503}
    refused = [answer for answer in found if answer.status == 503]
    assert {code_of(answer) for answer in refused} == {"OperationNotAllowed"}
    assert {answer.headers["retry-after"] for answer in refused} == {"2"}
    assert len(refused) >= 6


def test_callers_that_go_away_leave_their_places_to_others(searched):
    for _ in range(6):
        gone = http.client.HTTPConnection("127.0.0.1", searched.port, timeout=5)
        gone.request("GET", path("events/e1"), headers={"Ocp-Apim-Subscription-Key": searched.key})
        time.sleep(0.05)
        gone.close()
    began = time.monotonic()
    assert search(searched).status == 200
    assert time.monotonic() - began < 2 * SLOW + 2
