"""A worker ends at SIGTERM at once, as behind the Functions host: what it acknowledged is stored, and nothing was left to its end."""

import os
import signal
import threading
import time

import pytest

from tests.functions_host.workers import SETTING, worker_of
from tests.http.building import rank_body
from tests.running import RunningApp

pytestmark = pytest.mark.slow

CALLERS = 4


def test_what_a_worker_acknowledged_before_sigterm_is_stored(worker, new_store):
    acknowledged: list[str] = []
    over = threading.Event()

    def call(app: RunningApp, caller: int) -> None:
        for number in range(10_000):
            if over.is_set() or app.request("POST", "/personalizer/v1.0/rank", rank_body(eventId=f"e{caller}-{number}")).status != 201:
                return
            acknowledged.append(f"e{caller}-{number}")

    with RunningApp(new_store(), kind="protocol", settings={SETTING: worker}) as app:
        callers = [threading.Thread(target=call, args=(app, caller)) for caller in range(CALLERS)]
        for each in callers:
            each.start()
        while len(acknowledged) < 20:
            time.sleep(0.01)
        os.kill(worker_of(app), signal.SIGTERM)
        for each in callers:
            each.join(20)
        assert f"the worker ended with code {-signal.SIGTERM}" in app.logs
        app.kill()
        app.start()
        found = [app.request("GET", f"/personalizer/v1.0/events/{event}").json["decisions"] for event in acknowledged]
        assert [len(decisions) for decisions in found] == [1] * len(acknowledged)
