"""The host as a process: its timers, how it stops, what it refuses to start with."""

import contextlib
import http.client
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.host import KEEP_ALIVE, LULL
from local.listening import listening, place_of
from tests.patience import PATIENCE
from tests.running import REPOSITORY, AppDidNotStartError, RunningApp

pytestmark = [pytest.mark.slow, pytest.mark.long]


def wait_for(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def logged(app: RunningApp, message: str) -> list[dict]:
    return [line for line in app.log_lines if line["message"] == message]


def test_timers_start_on_time_and_never_overlap_themselves(host, sample_folder):
    with RunningApp("unused", kind=host, folder=sample_folder, timers=True) as app:
        wait_for(lambda: len(logged(app, "every_second started")) >= 3)
        turns = [line["message"] for line in app.log_lines if line["message"].startswith("every_second")]
        assert turns[:4] == ["every_second started", "every_second ended"] * 2
        late = sorted(float(line["time"][20:23]) % 999 for line in logged(app, "every_second started"))
        assert late[len(late) // 2] < 150  # milliseconds; a turn ends 200 after the second, and a busy machine may be late once
        assert len(logged(app, "at_startup ran")) == 1


def test_a_failing_timer_is_logged_and_runs_again(host, sample_folder):
    with RunningApp("unused", kind=host, folder=sample_folder, timers=True) as app:
        wait_for(lambda: len(logged(app, "timer failed")) >= 2)
        assert logged(app, "timer failed")[0]["function"] == "failing"
        assert "the timer's own fault" in logged(app, "timer failed")[0]["exception"]


def test_without_timers_none_runs(sample_folder):
    with RunningApp("unused", folder=sample_folder, timers=False) as app:
        time.sleep(1.2)
        assert not logged(app, "at_startup ran")
        assert not logged(app, "every_second started")


def test_requests_under_way_are_answered_before_the_host_stops(host, sample_folder):
    with RunningApp("unused", kind=host, folder=sample_folder) as app:
        answers: list[bytes] = []
        caller = threading.Thread(target=lambda: answers.append(app.request("GET", "/slow").body))
        caller.start()
        wait_for(lambda: bool(logged(app, "slow started")))
        assert app.stop() == 0
        caller.join()
        assert answers == [b"finished"]


def asked(app: RunningApp, connection: http.client.HTTPConnection, path: str = "/answers/text") -> tuple[int, str | None]:
    connection.request("GET", path, headers={"Ocp-Apim-Subscription-Key": app.key})
    response = connection.getresponse()
    response.read()
    return response.status, response.getheader("connection")


def connected(app: RunningApp) -> contextlib.closing[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=PATIENCE)
    connection.connect()
    return contextlib.closing(connection)


LONG_LULL = 60.0
WITH_A_LONG_LULL = f"""
import sys
from local import host

host.LULL = host.FIRST_CALL = {LONG_LULL}
host.main(host.DirectBackend(), sys.argv[1:])
"""


def waiting_long(folder: Path) -> RunningApp:
    """Make a host that waits so long for the last calls of connections that a busy machine makes no difference."""
    app = RunningApp("unused", folder=folder)
    app.command[1:3] = ["-c", WITH_A_LONG_LULL]
    return app


def heard_that_it_ends(app: RunningApp) -> bool:
    with connected(app) as connection:
        return asked(app, connection) == (200, "close")


def test_a_host_that_ends_tells_the_callers_it_has_and_those_that_come_before_it_hangs_up(sample_folder):
    with waiting_long(sample_folder) as app, connected(app) as kept, connected(app) as silent:
        assert asked(app, kept) == (200, None)
        app.send(signal.SIGTERM)
        wait_for(lambda: heard_that_it_ends(app))
        assert asked(app, kept) == (200, "close")
        with connected(app) as late:
            assert asked(app, late) == (200, "close")
        assert asked(app, silent) == (200, "close")
        ended = time.monotonic()
        assert app.wait() == 0
        assert time.monotonic() - ended < LONG_LULL  # as nobody is connected any more


def test_connections_that_bring_nothing_hold_up_the_end_for_a_short_time_only(sample_folder):
    with RunningApp("unused", folder=sample_folder) as app, connected(app) as kept, connected(app):
        assert asked(app, kept) == (200, None)
        app.send(signal.SIGTERM)
        assert app.wait(0.8 * KEEP_ALIVE) == 0


def test_a_call_that_came_while_the_whole_process_stood_still_is_answered_although_the_time_is_over(sample_folder):
    with RunningApp("unused", folder=sample_folder) as app, connected(app) as kept:
        assert asked(app, kept) == (200, None)
        app.send(signal.SIGTERM)
        wait_for(lambda: heard_that_it_ends(app))
        app.send(signal.SIGSTOP)
        try:
            kept.request("GET", "/answers/text", headers={"Ocp-Apim-Subscription-Key": app.key})
            time.sleep(LULL + 0.5)
        finally:
            app.send(signal.SIGCONT)
        response = kept.getresponse()
        response.read()
        assert (response.status, response.getheader("connection")) == (200, "close")
        assert app.wait() == 0


def test_asked_while_it_starts_it_ends_as_soon_as_it_has(tmp_path):
    (tmp_path / "function_app.py").write_text(
        "import os, signal\nimport azure.functions as func\nos.kill(os.getpid(), signal.SIGTERM)\napp = func.FunctionApp()\n"
    )
    with pytest.raises(AppDidNotStartError, match=r"exit code 0"), RunningApp("unused", folder=tmp_path):
        pass


def test_asked_twice_it_ends_at_once(sample_folder):
    with waiting_long(sample_folder) as app, connected(app) as kept:
        assert asked(app, kept) == (200, None)
        began = time.monotonic()
        app.send(signal.SIGTERM)
        wait_for(lambda: heard_that_it_ends(app))
        app.send(signal.SIGTERM)
        assert app.wait() == 0
        assert time.monotonic() - began < LONG_LULL


def test_it_serves_on_the_sockets_that_it_is_given_and_they_outlive_it(sample_folder):
    with listening(["127.0.0.2", "::1"], 0) as sockets, RunningApp("unused", folder=sample_folder) as app:
        options = [f"--socket={each.fileno()}" for each in sockets]
        command = [part for part in app.command if part not in ("--port", str(app.port))]
        for _ in range(2):
            numbers = [each.fileno() for each in sockets]
            with subprocess.Popen(
                [*command, *options], stdin=subprocess.PIPE, pass_fds=numbers, cwd=REPOSITORY, env=app.environment
            ) as host:
                try:
                    for each in sockets:  # whoever comes before it is ready waits, and is not refused
                        with contextlib.closing(place_of(each).connection(timeout=PATIENCE)) as connection:
                            assert asked(app, connection)[0] == 200
                finally:
                    host.terminate()
            assert host.returncode == 0


def test_without_http_it_listens_nowhere(sample_folder):
    with RunningApp("unused", folder=sample_folder) as app:
        command = [part for part in app.command if part not in ("--port", str(app.port), "--no-timers")]
        with subprocess.Popen(
            [*command, "--no-http", "--timers"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY, env=app.environment
        ) as host:
            assert host.stderr is not None
            assert b"every_second started" in b"".join(host.stderr.readline() for _ in range(4))
            opened = {str(each.readlink()) for each in Path(f"/proc/{host.pid}/fd").iterdir()}
            listed = Path(f"/proc/{host.pid}/net/tcp").read_text().splitlines()[1:]
            inodes = {f"socket:[{line.split()[9]}]" for line in listed if line.split()[3] == "0A"}
            host.terminate()
            host.stderr.read()
        assert not inodes & opened
        assert host.returncode == 0


def test_a_timer_under_way_ends_before_the_host_stops(sample_folder):
    with RunningApp("unused", folder=sample_folder, timers=True) as app:
        wait_for(lambda: bool(logged(app, "every_second started")))
        assert app.stop() == 0
        assert len(logged(app, "every_second ended")) == len(logged(app, "every_second started"))


def test_ctrl_c_stops_it_without_a_traceback(sample_folder):
    with RunningApp("unused", folder=sample_folder) as app:
        app.send(signal.SIGINT)
        assert app.wait() == 0
        assert "Traceback" not in app.logs


def test_it_stops_when_its_parent_is_gone(sample_folder):
    with RunningApp("unused", folder=sample_folder) as app:
        app.close_input()
        assert app.wait() == 0


def test_it_starts_again_after_a_kill(sample_folder):
    with RunningApp("unused", folder=sample_folder) as app:
        app.kill()
        app.start()
        assert app.request("GET", "/status").status == 200


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("import azure.functions as func\na, b = func.FunctionApp(), func.FunctionApp()", "expected one FunctionApp"),
        ("x = 1", "expected one FunctionApp"),
        (
            "import azure.functions as func\napp = func.FunctionApp()\n@app.route(route='x/{id:int}')\ndef f(req): ...",
            "the local host reads {name}, {name?} and {*rest} only",
        ),
        (
            "import azure.functions as func\napp = func.FunctionApp()\n@app.route(route='x')\ndef f(req, unbound): ...",
            "its bindings",
        ),
        (
            "import azure.functions as func\napp = func.FunctionApp()\n@app.route(route='Admin/x')\ndef f(req: func.HttpRequest): ...",
            "f: the host keeps routes that begin with admin or runtime, as 'Admin/x' does",
        ),
        (
            "import azure.functions as func\napp = func.FunctionApp()\n@app.route(route='x', methods=['GET', 'PUT'])\n"
            "def f(req: func.HttpRequest): ...\n@app.route(route='X/', methods=['PUT'])\ndef g(req: func.HttpRequest): ...",
            "g: the function f has the same route and method: PUT 'X/'",
        ),
        (
            "import azure.functions as func\napp = func.FunctionApp()\n@app.timer_trigger(schedule='%UNSET%', arg_name='t')\ndef f(t): ...",
            "the setting UNSET is not set",
        ),
        (
            "import azure.functions as func\napp = func.FunctionApp()\n@app.timer_trigger(schedule='often', arg_name='t')\ndef f(t): ...",
            "Wrong number of fields",
        ),
        (
            "import azure.functions as func\napp = func.FunctionApp()\n"
            "@app.queue_trigger(arg_name='m', queue_name='q', connection='UNSET')\ndef f(m): ...",
            "UNSET connects a binding and must be a connection string here",
        ),
    ],
)
@pytest.mark.sweep(keep=3)
def test_an_app_that_cannot_be_indexed_stops_the_start_and_says_why(tmp_path, content, complaint):
    (tmp_path / "function_app.py").write_text(content)
    with (
        pytest.raises(AppDidNotStartError, match=r"exit code 3") as failure,
        RunningApp("unused", folder=tmp_path, timers=True, queues=True, settings={"PERSONALIZER_STORE": ""}),
    ):
        pass
    assert complaint in str(failure.value)


@pytest.fixture
def prefixed(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(
        "import os\nimport azure.functions as func\napp = func.FunctionApp()\n"
        "@app.route(route='status')\ndef f(req: func.HttpRequest) -> str: return os.environ['COLOUR']\n"
        "@app.blob_trigger(arg_name='blob', path='b/{name}', connection='AzureWebJobsStorage')\ndef g(blob): ...\n"
    )
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": {"COLOUR": "red", "OTHER": "1"}}))
    return tmp_path


def test_routes_start_with_api_unless_host_json_says_otherwise(prefixed):
    with RunningApp("unused", folder=prefixed, ready="/api/status", settings={"COLOUR": "green"}) as app:
        assert app.request("GET", "/api/status").body == b"green"
        assert app.request("GET", "/status").status == 404


def test_a_trigger_it_does_not_serve_is_named_in_the_log(prefixed):
    with RunningApp("unused", folder=prefixed, ready="/api/status", settings={"COLOUR": "green"}) as app:
        [line] = logged(app, "the local host does not run this function")
        assert (line["function"], line["trigger"]) == ("g", "blobTrigger")


def test_local_settings_are_read_and_the_environment_wins(prefixed):
    with RunningApp("unused", folder=prefixed, ready="/api/status", local_settings=True) as app:
        assert app.request("GET", "/api/status").body == b"red"
    with RunningApp("unused", folder=prefixed, ready="/api/status", local_settings=True, settings={"COLOUR": "green"}) as app:
        assert app.request("GET", "/api/status").body == b"green"


def test_a_port_in_use_is_an_error(sample_folder):
    with RunningApp("unused", folder=sample_folder) as app:
        command = [part for part in app.command if part != "--stop-with-parent"]
        second = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env=app.environment)
        assert second.returncode != 0
        assert "address already in use" in second.stderr
