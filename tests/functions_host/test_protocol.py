"""An app whose worker is spoken with in the Functions host's own protocol, and what that host drops."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functions_host.__main__ import DROPPED
from tests.functions_host.workers import OWN, SETTING, NoWorkerError, nested_file, worker_command, worker_file, worker_of
from tests.local.queue_place import QueuePlace
from tests.patience import PATIENCE
from tests.running import RunningApp
from tests.stores import NewStorage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(new_store: NewStorage) -> str:
    return new_store()


@pytest.fixture(scope="module")
def app(worker: str, place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("logging")
    shutil.copy(Path(__file__).with_name("logging_app.py"), folder / "function_app.py")
    (folder / "host.json").write_text('{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}')
    with RunningApp(place, kind="protocol", folder=folder, ready="/admin/host/status", queues=True, settings={SETTING: worker}) as running:
        yield running


def logged(app: RunningApp, message: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while not (found := [line for line in app.log_lines if line["message"] == message]):
        assert time.monotonic() < until, app.logs
        time.sleep(0.05)
    return found[-1]


def test_a_request_and_its_answer_go_through_the_protocol(app):
    answer = app.request("POST", "/logs", b"sent", headers={"X-Agent": "someone"})
    assert (answer.status, answer.body, answer.headers["x-agent"]) == (200, b"sent", "someone")
    assert app.request("POST", "/logs").body == b"no body"


def test_a_function_that_fails_is_answered_with_500_and_its_failure_is_told(app):
    answer = app.request("GET", "/fails")
    assert (answer.status, answer.body) == (500, b"")
    assert "LookupError: on purpose" in logged(app, "function failed")["exception"]


def test_a_timer_runs_through_the_protocol(app):
    assert app.request("POST", "/admin/functions/yearly").status == 202
    assert logged(app, "the timer ran, past due: False")["function"] == "yearly"


def test_a_queue_function_gets_its_message_through_the_protocol(app, place):
    async def send() -> None:
        queue = QueuePlace(place)
        await queue.send("a message", queue="sample")
        await queue.storage.close()

    asyncio.run(send())
    assert logged(app, "took a message, try 1")["function"] == "take"


@pytest.mark.parametrize(
    ("message", "logger"),
    [("in its call", "root"), ("in a thread of its call", DROPPED), ("in a thread", DROPPED), ("after its call", DROPPED)],
)
def test_the_host_drops_what_belongs_to_no_call_that_is_under_way(app, message, logger):
    assert app.request("POST", "/logs").status == 200
    assert logged(app, message)["logger"] == logger


def test_a_worker_is_found_in_its_folder_and_in_core_tools_folder_of_all_pythons(tmp_path):
    with pytest.raises(NoWorkerError, match=r"neither worker\.py nor"):
        worker_file(tmp_path)
    nested = nested_file(tmp_path)
    nested.parent.mkdir(parents=True)
    nested.touch()
    assert worker_file(tmp_path) == nested
    (tmp_path / "worker.py").touch()
    assert worker_file(tmp_path) == tmp_path / "worker.py"


def test_without_a_named_folder_the_tests_own_worker_is_started():
    assert worker_command(OWN)[1:] == ("-m", "tests.functions_host.worker")


def test_why_an_app_is_out_of_order_is_told_in_its_first_call_and_as_the_cause_of_each_refusal(worker, new_store):
    wrong = {"PERSONALIZER_REWARD_WAIT_TIME": "soon", SETTING: worker}
    with RunningApp(new_store(), kind="protocol", settings=wrong, ready="/admin/host/status") as app:
        assert app.request("POST", "/personalizer/v1.0/rank").status == 503
        refused = logged(app, "refused")
        assert (refused["status"], refused["function"]) == (503, "unmatched")
        assert "PERSONALIZER_REWARD_WAIT_TIME" in refused["cause"]
        told = next(line for line in app.log_lines if line["message"].startswith("the app is out of order"))
        assert (told["function"], told["level"]) == ("unmatched", "ERROR")


def test_when_the_worker_is_gone_every_call_is_told_so_at_once(worker, new_store, tmp_path):
    shutil.copy(Path(__file__).with_name("logging_app.py"), tmp_path / "function_app.py")
    (tmp_path / "host.json").write_text('{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}')
    with RunningApp(new_store(), kind="protocol", folder=tmp_path, ready="/admin/host/status", settings={SETTING: worker}) as app:
        os.kill(worker_of(app), signal.SIGKILL)
        assert [app.request("POST", "/logs").status for _ in range(2)] == [500, 500]
        assert f"the worker ended with code {-signal.SIGKILL}" in logged(app, "function failed")["exception"]
