"""The command against a service that exists only for the test: what it survives, what it says, how it exits."""

import io
import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from examples.demo import Stage, _parse, main, perform
from examples.errors import KeyRefusedError, OwnAppError, RefusedError, UnreachableError
from examples.news import news
from examples.own_app import OwnApp
from examples.player import ATTEMPTS, Player
from examples.session import Pace
from examples.status import LoopStatus, parse_status, read_status
from tests.patience import PATIENCE

KEY = "the-key"
ROOT = Path(__file__).resolve().parents[2]
FAST = Pace(seconds=0.0, rounds=10, patience=0.0)


class Service(ThreadingHTTPServer):
    """Speaks Rank, Reward and `/status`; `troubles` are answered first, one a call."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, choose=lambda body: body["actions"][0]["id"], *, troubles=(), loop=None, pause=0.0):
        super().__init__(("127.0.0.1", 0), Handler)
        self.choose, self.loop, self.pause = choose, loop if loop is not None else {}, pause
        self.troubles = list(troubles)
        self.ranked: Counter[str] = Counter()
        self.rewards: dict[str, float] = {}
        self.lock = threading.Lock()
        self.endpoint = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.answer(200 if self.allowed() else 401, {"service": "x", "loop": self.server.loop})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.server.pause)
        if not self.allowed():
            return self.answer(401, {"error": {"code": "401", "message": "no such key"}})
        with self.server.lock:
            trouble = self.server.troubles.pop(0) if self.server.troubles else None
        if trouble is not None:
            status, headers = trouble
            return self.answer(status, {"error": {"code": "Trouble", "message": "not now"}}, headers)
        if self.path == "/personalizer/v1.0/rank":
            self.server.ranked[body["eventId"]] += 1
            ranking = [{"id": action["id"], "probability": 0.1} for action in body["actions"]]
            return self.answer(201, {"ranking": ranking, "eventId": body["eventId"], "rewardActionId": self.server.choose(body)})
        self.server.rewards[self.path.split("/")[-2]] = body["value"]
        return self.answer(204)

    def allowed(self):
        return self.headers["Ocp-Apim-Subscription-Key"] == KEY

    def answer(self, status, body=None, headers=()):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (*headers, ("Content-Type", "application/json"), ("Content-Length", str(len(data)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def oracle(programme):
    """Choose as somebody who knows the probabilities; events are recognised by what is offered to whom."""

    def key(context, ids):
        return json.dumps(context, sort_keys=True), tuple(ids)

    best = {}
    for event in programme.events:
        context = [{name: dict(features)} for name, features in event.context.items()]
        ids = [action.id for action in event.actions]
        best[key(context, ids)] = ids[int(np.argmax(event.expected))]
    return lambda body: best[key(body["contextFeatures"], [action["id"] for action in body["actions"]])]


def played(programme, service, **options):
    written = io.StringIO()
    console = Console(file=written, force_terminal=False, width=120, highlight=False, markup=False, soft_wrap=True)
    code = perform(programme, Stage(service.endpoint, KEY), console=console, workers=4, pace=FAST, **options)
    return code, written.getvalue()


def test_a_service_that_chooses_well_passes_and_every_event_is_rewarded_under_its_own_id():
    programme = news(events=200, seed=3)
    with Service(oracle(programme), loop={"name": "demo", "modelVersion": "9", "counters": {"learned": 77}}) as service:
        code, text = played(programme, service)
    assert code == 0
    assert "The loop learned." in text
    assert "model 9, learned 77 events" in text
    assert "tastes change now" in text
    assert text.count(" %  ") == 10
    assert "\x1b" not in text
    assert len(service.ranked) == len(service.rewards) == 200
    assert service.ranked.keys() == service.rewards.keys()
    assert {str(uuid.UUID(event_id)) for event_id in service.ranked} == set(service.ranked)
    assert sum(service.rewards.values()) == pytest.approx(float(text.split("overall")[1].split("│")[2]) * 200, abs=0.1)


def test_a_service_that_never_learns_fails_and_is_told_where():
    with Service() as service:
        code, text = played(news(events=200, seed=3), service)
    assert code == 1
    assert "Not learned: last quarter " in text
    assert "short run" in text


def test_a_long_reward_wait_is_warned_of_and_played_all_the_same():
    with Service(loop={"rewardWaitTime": "PT10M"}) as service:
        _, text = played(news(events=100, seed=0), service)
    assert "waits 0:10:00" in text
    assert "PERSONALIZER_REWARD_WAIT_TIME='PT2S'" in text
    assert len(service.rewards) == 100


def test_busy_answers_are_retried_with_the_same_event_id_after_the_time_they_ask_for():
    pauses: list[float] = []
    with Service(troubles=[(503, [("Retry-After", "3")]), (429, []), (503, [("Retry-After", "900")])]) as service:
        player = Player(service.endpoint, KEY, pause=pauses.append)
        player.play(news(events=1, seed=0).events[0])
    assert pauses == [3.0, 0.5, 10.0]
    assert player.retries == 3
    assert len(service.ranked) == len(service.rewards) == 1


def test_a_lost_connection_is_retried_and_after_some_attempts_given_up():
    pauses: list[float] = []
    with Service() as service:
        endpoint = service.endpoint
    with pytest.raises(UnreachableError, match="refused"):
        Player(endpoint, KEY, pause=pauses.append).play(news(events=1, seed=0).events[0])
    assert len(pauses) == ATTEMPTS - 1
    assert pauses == sorted(pauses)


def test_a_service_that_stays_busy_ends_the_run_with_what_was_seen():
    written = io.StringIO()
    troubles = [None] * 60 + [(503, [("Retry-After", "0")])] * 1000
    with Service(troubles=troubles) as service, pytest.raises(UnreachableError, match="8 attempts: 503 Service Unavailable"):
        perform(news(events=200, seed=0), Stage(service.endpoint, KEY), console=Console(file=written, width=120), workers=4, pace=FAST)
    assert "The rewards so far" in written.getvalue()
    assert len(service.troubles) > 500


def test_a_refused_key_is_not_retried():
    with Service() as service, pytest.raises(KeyRefusedError):
        Player(service.endpoint, "wrong").play(news(events=1, seed=0).events[0])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"troubles": [(400, [])]}, "400"),
        ({"choose": lambda body: "article-x"}, "not offered"),
        ({"choose": lambda body: None}, "not offered"),
    ],
)
def test_nonsense_is_not_retried(options, reason):
    with Service(**options) as service, pytest.raises(RefusedError, match=reason):
        Player(service.endpoint, KEY).play(news(events=1, seed=0).events[0])


def test_the_command_says_what_is_in_the_way_and_exits_2(capsys, tmp_path):
    with Service() as service:
        assert main(["--endpoint", service.endpoint, "--key", "wrong"]) == 2
        assert "refused the key" in capsys.readouterr().out
        assert main(["--endpoint", service.endpoint, "--key", KEY, "--data", str(tmp_path / "none.npz")]) == 2
        assert "none.npz" in capsys.readouterr().out
    assert main(["--endpoint", service.endpoint, "--key", KEY]) == 2
    assert "Nothing answers" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--endpoint", "https://nowhere.example"],
        ["--endpoint", "127.0.0.1:1", "--key", "k"],
        ["--events", "5"],
        ["--workers", "0"],
        ["--seed", "-1"],
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert "error" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_shows_what_was_seen_and_exits_130(number):
    with Service() as service:
        command = [sys.executable, "-m", "examples.demo", "--events", "300", "--endpoint", service.endpoint, "--key", KEY]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
            until = time.monotonic() + PATIENCE
            while len(service.rewards) < 10 and time.monotonic() < until:
                time.sleep(0.1)
            demo.send_signal(number)
            text, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 130, text
    assert "The rewards so far" in text
    assert "Traceback" not in text


def test_a_status_page_that_is_odd_or_absent_is_no_obstacle():
    assert parse_status({"loop": {"rewardWaitTime": "soon", "counters": 3}}) == LoopStatus()
    assert parse_status([]) == LoopStatus()
    with Service(loop={"modelVersion": 4, "rewardWaitTime": "P1DT1H"}) as service:
        assert read_status(service.endpoint, KEY) == LoopStatus(model_version="4", reward_wait=timedelta(hours=25))
        with pytest.raises(KeyRefusedError):
            read_status(service.endpoint, "wrong")


STAND_IN = """
import http.server, os, pathlib, signal, sys
folder = pathlib.Path(os.environ["PERSONALIZER_LOCAL_DIR"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'{}')
def stop(*_):
    pathlib.Path(sys.argv[1]).write_text("stopped in order")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
assert os.environ["PERSONALIZER_KEYS"] and "AzureWebJobsStorage" not in os.environ and "PERSONALIZER_OTHER" not in os.environ
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_an_app_of_its_own_is_started_apart_from_other_stores_and_stopped_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("AzureWebJobsStorage", "somebody's")
    monkeypatch.setenv("PERSONALIZER_OTHER", "somebody's")
    trace = tmp_path / "trace"
    with OwnApp((sys.executable, "-c", STAND_IN, str(trace))) as app:
        app.wait_until_ready()
        assert read_status(app.endpoint, app.key) == LoopStatus()
        folder = app.log.parent
    assert trace.read_text() == "stopped in order"
    assert not folder.exists()


def test_local_settings_do_not_reach_an_app_of_the_demos_own(tmp_path, monkeypatch):
    monkeypatch.setattr("examples.own_app.LOCAL_SETTINGS", tmp_path / "local.settings.json")
    write = (tmp_path / "local.settings.json").write_text
    write('{"Values": {"PERSONALIZER_LEARNING_MODE": "Apprentice", "PERSONALIZER_STORE": "/somebody/s", "PORT": "1"}}')
    command = (
        sys.executable,
        "-c",
        "import os; print([os.environ['PERSONALIZER_' + name] for name in ('LEARNING_MODE', 'STORE')], os.environ['PORT'])",
    )
    with OwnApp(command) as app:
        with pytest.raises(OwnAppError, match="code 0"):
            app.wait_until_ready()
        assert app.log.read_text() == f"['', ''] {app.endpoint.rsplit(':', 1)[1]}\n"
    write('{"Values": {"PERSONALIZER_STORAGE__accountName": "production"}}')
    with pytest.raises(OwnAppError, match="PERSONALIZER_STORAGE__accountName"), OwnApp(command):
        pass


def test_a_loop_with_other_events_is_refused(capsys):
    with Service(loop={"name": "news", "counters": {"ranked": 1234}}) as service:
        given = ["--endpoint", service.endpoint, "--key", KEY, "--events", "100"]
        assert main(given) == 2
        assert "1,234 events already" in capsys.readouterr().out
        assert not service.ranked
        assert _parse([*given, "--anyway"]).anyway


def test_an_empty_loop_is_played_at_and_it_is_said_that_this_stays():
    with Service(loop={"name": "default", "counters": {"ranked": 0}}) as service:
        _, text = played(news(events=100, seed=0), service)
    assert "The loop default learns these simulated events, and its log keeps them." in text


def test_without_a_key_it_plays_at_the_loop_that_make_run_keeps_for_it_and_sends_its_key_nowhere_else(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSONALIZER_LOCAL_DIR", str(tmp_path))
    (tmp_path / "demo-key").write_text("its-key\n")
    options = _parse(["--endpoint", "http://127.0.0.1:7071/"])
    assert (options.endpoint, options.key) == ("http://127.0.0.1:7071/loops/demo", "its-key")
    for elsewhere in ("https://mine.example", "http://127.0.0.1:7071/loops/shop"):
        with pytest.raises(SystemExit):
            _parse(["--endpoint", elsewhere])


def test_the_makefile_hands_its_options_over_by_environment(monkeypatch, capsys):
    monkeypatch.setenv("DATA", "/no/such/file.npz")
    monkeypatch.setenv("ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("KEY", "k")
    assert main([]) == 2
    assert "/no/such/file.npz" in capsys.readouterr().out
    monkeypatch.setenv("DATA", "")
    assert main([]) == 2
    assert "Nothing answers at http://127.0.0.1:1" in capsys.readouterr().out


def test_an_app_that_dies_leaves_the_end_of_its_log():
    with OwnApp((sys.executable, "-c", "print('first\\nlast words'); raise SystemExit(3)")) as app:
        with pytest.raises(OwnAppError, match=r"code 3(.|\n)*last words"):
            app.wait_until_ready()
        assert not app.endpoint.endswith(":0")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_the_demo_learns_on_an_app_of_its_own():
    run = subprocess.run(
        [sys.executable, "-c", QUICKER, "--events", "3000", "--seed", "1"],
        cwd=ROOT, capture_output=True, text=True, timeout=550, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert "The loop learned." in run.stdout
    assert "\x1b" not in run.stdout


QUICKER = """
import sys

from examples.demo import main
from examples.session import Pace

# Instead of 72 seconds: still enough models after the change of tastes, for a slow machine is waited for.
Pace.for_events = lambda events: Pace(seconds=50.0, patience=30.0, allowance=300)
sys.exit(main())
"""
