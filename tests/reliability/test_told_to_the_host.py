"""Storage fails, and the host hears why: nothing is logged where it drops it, and each refusal tells its cause.

The worker is a process of its own that speaks the host's protocol: the tests' own, and the one that ``FUNCTIONS_WORKER_DIR`` names.
"""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.functions_host.__main__ import DROPPED
from tests.functions_host.workers import SETTING
from tests.http.building import rank_body
from tests.patience import PATIENCE
from tests.running import RunningApp
from tests.storage_proxy import Fault

pytestmark = pytest.mark.slow

QUICK = {"PERSONALIZER_INGEST_GRACE": "PT2S", "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.2S"}
CALLERS = 12
FAULTS = {"refuses": Fault(403), "hangs up": Fault(), "is silent": Fault(delay=30)}


def status(app: RunningApp, number: int) -> int:
    """Rank, or reward, and give the status."""
    calls: list[tuple[str, dict[str, Any]]] = [("rank", rank_body()), (f"events/e{number}/reward", {"value": 1})]
    path, body = calls[number % 2]
    return app.request("POST", f"/personalizer/v1.0/{path}", body).status


def warnings(app: RunningApp) -> list[dict[str, Any]]:
    """What the host heard of, from warnings up; fails if it dropped anything."""
    assert [line for line in app.log_lines if line["logger"] == DROPPED] == []
    return [line for line in app.log_lines if line["level"] in ("WARNING", "ERROR")]


def wait_for(app: RunningApp, *beginnings: str, since: int = 0) -> dict[str, Any]:
    """Give the first message that begins so; calls go on meanwhile."""
    until = time.monotonic() + PATIENCE
    while not (found := [line for line in warnings(app)[since:] if line["message"].startswith(beginnings)]):
        assert time.monotonic() < until
        app.request("GET", "/status")
        time.sleep(0.1)
    return found[0]


def test_what_fails_on_the_way_to_an_account_is_told_in_calls_that_are_under_way(worker, proxy):
    with (
        RunningApp(proxy.connection_string, kind="protocol", settings=QUICK | {SETTING: worker}) as app,
        ThreadPoolExecutor(CALLERS) as callers,
    ):
        assert set(callers.map(lambda number: status(app, number), range(CALLERS))) == {201, 204}
        for name, fault in FAULTS.items():
            before, proxy.plan = len(warnings(app)), lambda _, fault=fault: fault
            assert set(callers.map(lambda number: status(app, number), range(CALLERS))) == {503}
            refusals = [line["cause"] for line in warnings(app)[before:] if line["message"] == "refused"]
            assert len(refusals) == CALLERS, name
            assert all(cause.startswith("StorageUnavailableError: ") for cause in refusals), refusals
            assert wait_for(app, "storage ", "an append ", since=before)["function"], name
            assert wait_for(app, "not everything could be refreshed")["error"].startswith("storage ")


def test_what_a_folders_threads_tell_is_told_in_calls_that_are_under_way(worker, new_store):
    place = new_store()
    with RunningApp(place, kind="protocol", settings=QUICK | {SETTING: worker}) as app:
        assert status(app, 0) == 201
        held = [sqlite3.connect(file, isolation_level=None) for file in Path(place).rglob("*.db")]
        for each in held:
            each.execute("BEGIN EXCLUSIVE")
        assert status(app, 2) == 503
        assert wait_for(app, "refused")["cause"].startswith("StorageUnavailableError: ")
        assert wait_for(app, "the store's disk refused")["function"]
        for each in held:
            each.close()
