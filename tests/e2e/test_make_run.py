"""What ``make run`` starts, driven by the official SDK; and the app's process killed under load."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import RankableAction, RankRequest
from msrest.authentication import ApiKeyCredentials

from local.azurite import ensure_installed
from local.processes import free_port
from tests.patience import PATIENCE
from tests.running import OURS, REPOSITORY, RunningApp
from tests.stores import on_both

pytestmark = [pytest.mark.slow, pytest.mark.long]

KEY = "0123456789abcdef"
PAUSE = 0.02
"""Seconds between two calls of a thread: it is killed under load, but the machine need not be busy for that."""
JSON = {"Content-Type": "application/json"}
QUICK = {
    "PERSONALIZER_REWARD_WAIT_TIME": "PT2S",
    "PERSONALIZER_INGEST_GRACE": "PT1S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.5S",
    "PERSONALIZER_TRAINER_SCHEDULE": "* * * * * *",
}


class Service:
    """`make run` with short waits; it has neither Node.js nor Azurite unless that is the storage."""

    def __init__(self, home: Path, storage: str) -> None:
        self.storage = storage
        self.port = free_port()
        self.home = home
        self.output = home.with_suffix(".log")

    def start(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        environment = {**kept, **QUICK, "PORT": str(self.port), "PERSONALIZER_LOCAL_DIR": str(self.home), "PERSONALIZER_KEYS": KEY}
        with self.output.open("ab") as output:
            command = [sys.executable, "-m", "local", "--storage", self.storage]
            self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
        self.until(lambda: self.status()["apiStatus"] == "Valid")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill_all(self) -> None:
        """End all of its processes at once, like a power cut."""
        listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout.split()[2:]
        parents = dict(zip(listed[::2], listed[1::2], strict=True))
        number = str(self.process.pid)
        for each in [number, *[child for child, parent in parents.items() if parent == number]]:
            os.kill(int(each), signal.SIGKILL)
        self.process.wait()

    def status(self) -> dict[str, Any]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request("GET", "/status", headers={"Ocp-Apim-Subscription-Key": KEY})
            status: dict[str, Any] = json.loads(connection.getresponse().read())
            return status

    def until(self, is_true: Any, *, seconds: float = PATIENCE) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if is_true():
                    return
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.1)
        pytest.fail(f"it did not happen\n{self.output.read_text()[-3000:]}")


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def service(request, tmp_path) -> Iterator[Service]:
    if request.param == "azurite":
        ensure_installed()
    service = Service(tmp_path / "home", request.param)
    service.start()
    yield service
    assert service.stop() == 0


def client(port: int, key: str) -> Any:  # the SDK types its operations for no one
    return PersonalizerClient(f"http://127.0.0.1:{port}/", ApiKeyCredentials(in_headers={"Ocp-Apim-Subscription-Key": key}))


def request(event_id: str, *, deferred: bool = False) -> RankRequest:
    actions = [RankableAction(id=name, features=[{"topic": name}]) for name in ("news", "sports", "weather")]
    return RankRequest(actions=actions, context_features=[{"time": "morning"}], event_id=event_id, defer_activation=deferred)


@pytest.mark.sweep(keep=1)
def test_the_official_sdk_drives_the_loop_and_state_is_kept_over_a_restart(service):
    service.until((service.home / "demo-key").exists)
    with client(service.port, KEY) as sdk:
        for number in range(30):
            answer = sdk.rank(request(f"e{number}", deferred=number == 0))
            assert answer.event_id == f"e{number}"
            if number == 0:
                sdk.events.activate("e0")  # at once: a busy machine may take longer than the reward wait for them all
            sdk.events.reward(answer.event_id, value=float(answer.reward_action_id == "sports"))
    service.until(lambda: service.status()["loop"]["counters"]["learned"] == 30)
    service.until(lambda: service.status()["loop"]["modelVersion"] is not None)
    before = service.status()["loop"]
    counters = before["counters"]
    assert counters["ranked"] == counters["learned"] + sum(counters["skipped"].values()) + counters["pending"]
    assert (counters["rewards"], counters["lateRewards"], counters["unknownRewards"]) == (30, 0, 0)
    assert before["modelAgeSeconds"] < 60
    assert service.stop() == 0
    service.start()
    after = service.status()["loop"]
    assert (after["counters"], after["publishedModelVersion"]) == (counters, before["publishedModelVersion"])
    with client(service.port, KEY) as sdk:
        assert len({round(action.probability, 3) for action in sdk.rank(request("again")).ranking}) > 1


def test_all_processes_killed_at_once_under_load_lose_nothing_that_was_acknowledged(tmp_path):
    """Rank and Reward from four threads while the whole tree is killed (−9) three times; then each 201 and 204 is in the books, once."""
    service = Service(tmp_path / "home", "embedded")
    service.start()
    decided: list[str] = []
    rewarded: list[str] = []
    refused: list[str] = []
    done = threading.Event()

    def send(path: str, body: object) -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)) as connection:
            connection.request("POST", f"/personalizer/v1.0/{path}", json.dumps(body), {"Ocp-Apim-Subscription-Key": KEY, **JSON})
            return connection.getresponse().status

    def call_until_done() -> None:
        while not done.wait(PAUSE):
            event_id = uuid.uuid4().hex
            try:
                if send("rank", {"eventId": event_id, "actions": [{"id": name, "features": [{"topic": name}]} for name in "abc"]}) == 201:
                    decided.append(event_id)
                    if send(f"events/{event_id}/reward", {"value": 1}) == 204:
                        rewarded.append(event_id)
            except (OSError, http.client.HTTPException):
                refused.append(event_id)
                time.sleep(0.02)

    threads = [threading.Thread(target=call_until_done) for _ in range(4)]
    for thread in threads:
        thread.start()
    for wait in (0.5, 1.1, 1.9):
        time.sleep(wait)
        service.kill_all()
        service.start()
    time.sleep(0.5)
    done.set()
    for thread in threads:
        thread.join()

    def is_counted() -> bool:
        counters = service.status()["loop"]["counters"]
        return not counters["pending"] and counters["learned"] >= len(decided)

    service.until(is_counted)
    counters = service.status()["loop"]["counters"]
    assert service.stop() == 0
    assert len(rewarded) > 50
    assert counters["skipped"] == {}
    assert len(decided) <= counters["learned"] <= len(decided) + len(refused)
    assert len(rewarded) <= counters["rewards"] + counters["lateRewards"] <= len(rewarded) + len(refused)


@on_both
@pytest.mark.exhaustive
def test_an_app_killed_under_load_loses_nothing_it_acknowledged(storage):
    """Rank calls from four threads while the process is killed (−9) three times; then every 201 is found, once, in the counters."""
    acknowledged: list[str] = []
    refused: list[str] = []
    done = threading.Event()
    with RunningApp(storage, settings=QUICK) as app:

        def call_until_done() -> None:
            while not done.wait(PAUSE):
                event_id = uuid.uuid4().hex
                body = {"eventId": event_id, "actions": [{"id": name, "features": [{"topic": name}]} for name in "abc"]}
                try:
                    status = app.request("POST", "/personalizer/v1.0/rank", body).status
                except (OSError, http.client.HTTPException):
                    refused.append(event_id)
                    time.sleep(0.02)
                    continue
                assert status == 201
                acknowledged.append(event_id)

        threads = [threading.Thread(target=call_until_done) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            time.sleep(0.7)
            app.kill()
            app.start()
        time.sleep(0.3)
        done.set()
        for thread in threads:
            thread.join()
        until = time.monotonic() + PATIENCE
        while (counters := app.request("GET", "/status").json["loop"]["counters"])["pending"] and time.monotonic() < until:
            app.request("POST", "/admin/functions/train", {})
            time.sleep(0.3)
    assert len(acknowledged) > 50
    assert counters["skipped"] == {}
    assert len(acknowledged) <= counters["learned"] <= len(acknowledged) + len(refused)


def test_a_setting_that_cannot_be_used_stops_the_start_with_its_name(tmp_path):
    environment = {**os.environ, "PORT": "0", "PERSONALIZER_LOCAL_DIR": str(tmp_path), "PERSONALIZER_REWARD_WAIT_TIME": "ten minutes"}
    ended = subprocess.run(
        [sys.executable, "-m", "local"], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert json.loads(line)["message"].startswith("A setting cannot be used: PERSONALIZER_REWARD_WAIT_TIME is 'ten minutes', but must be")
