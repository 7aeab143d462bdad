"""The hooks of a deployment: keys are made once, and the smoke test tells what works from what does not."""

import contextlib
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.infra.templates import REPOSITORY
from tests.patience import PATIENCE
from tests.running import RunningApp

HOOKS = REPOSITORY / "infra" / "hooks"
SMOKE = HOOKS / "smoke.py"
DEFINED = yaml.safe_load((REPOSITORY / "azure.yaml").read_text("utf-8"))["hooks"]

FAKE_AZD = """#!/bin/sh
echo "$@" >> "$AZD_CALLS"
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """What a stand-in for azd was called with; it is the first on the path."""
    azd = tmp_path / "bin" / "azd"
    azd.parent.mkdir()
    azd.write_text(FAKE_AZD)
    azd.chmod(azd.stat().st_mode | stat.S_IXUSR)
    return tmp_path / "calls"


def run_hook(script: Path, calls: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{calls.parent / 'bin'}:{os.environ['PATH']}"
    given = {"PATH": path, "AZD_CALLS": str(calls), **environment}
    return subprocess.run(["sh", str(script)], env=given, capture_output=True, text=True, timeout=PATIENCE, check=False)


def made(calls: Path) -> dict[str, str]:
    lines = calls.read_text().splitlines() if calls.exists() else []
    return dict(line.removeprefix("env set ").split(" ", 1) for line in lines)


def smoke(endpoint: str, key: str, *, patience: float = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SMOKE), endpoint, "--patience", str(patience)]
    given = {"PATH": os.environ["PATH"], "PERSONALIZER_KEYS": key}
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture(scope="module")
def app(new_store) -> Iterator[RunningApp]:
    with RunningApp(new_store()) as running:
        yield running


# --- before provisioning ---------------------------------------------------------------------------------------------------


def test_a_new_environment_gets_two_long_and_different_keys(calls):
    done = run_hook(HOOKS / "preprovision.sh", calls)
    assert done.returncode == 0, done.stderr
    keys = made(calls)
    assert keys.keys() == {"PERSONALIZER_KEYS", "PERSONALIZER_ADMIN_KEY"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", key) for key in keys.values())
    assert len(set(keys.values())) == 2
    assert not [key for key in keys.values() if key in done.stdout + done.stderr], "a key is not printed"


def test_an_environment_keeps_its_keys(calls):
    assert run_hook(HOOKS / "preprovision.sh", calls, PERSONALIZER_KEYS="a", PERSONALIZER_ADMIN_KEY="b").returncode == 0
    assert not made(calls)


@pytest.mark.parametrize("missing", ["PERSONALIZER_KEYS", "PERSONALIZER_ADMIN_KEY"])
def test_no_key_is_made_where_it_would_not_be_kept(calls, missing):
    keys = {"PERSONALIZER_KEYS": "a", "PERSONALIZER_ADMIN_KEY": "b", missing: ""}
    done = run_hook(HOOKS / "preprovision.sh", calls, CI="true", **keys)
    assert done.returncode == 1
    assert missing in done.stderr
    assert not made(calls)


def test_a_budget_begins_with_this_month_and_keeps_its_beginning(calls):
    keys = {"PERSONALIZER_KEYS": "a", "PERSONALIZER_ADMIN_KEY": "b", "PERSONALIZER_MONTHLY_BUDGET": "50"}
    assert run_hook(HOOKS / "preprovision.sh", calls, **keys).returncode == 0
    (month,) = made(calls).values()
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])-01", month)
    calls.unlink()
    assert run_hook(HOOKS / "preprovision.sh", calls, PERSONALIZER_BUDGET_START_DATE=month, **keys).returncode == 0
    assert run_hook(HOOKS / "preprovision.sh", calls, CI="true", **keys).returncode == 1
    assert not made(calls)


# --- after deployment ------------------------------------------------------------------------------------------------------


def test_the_hook_after_deployment_says_where_the_service_is_and_that_it_works(calls, app):
    environment = {"PERSONALIZER_ENDPOINT": app.base_url, "PERSONALIZER_KEYS": f"{app.key},another"}
    done = run_hook(HOOKS / "postdeploy.sh", calls, **environment)
    assert done.returncode == 0, done.stderr
    assert app.base_url in done.stdout
    assert "It works" in done.stdout
    assert app.key not in done.stdout + done.stderr


def test_behind_a_sign_in_the_service_is_not_tried(calls):
    environment = {"PERSONALIZER_ENDPOINT": "http://127.0.0.1:9", "PERSONALIZER_AUTH_CLIENT_ID": "id"}
    done = run_hook(HOOKS / "postdeploy.sh", calls, **environment)
    assert (done.returncode, "was not tried" in done.stderr) == (0, True)


def test_the_smoke_test_leaves_nothing_to_learn(app):
    assert smoke(app.base_url, app.key).returncode == 0
    assert smoke(f"{app.base_url}/", app.key).returncode == 0
    counters = app.request("GET", "/status").json["loop"]["counters"]
    assert counters["ranked"] >= 2
    assert counters["learned"] == 0


@pytest.mark.parametrize(("key", "said"), [("wrong", "401"), ("", "PERSONALIZER_KEYS is not set")])
def test_the_smoke_test_fails_without_the_right_key(app, key, said):
    done = smoke(app.base_url, key)
    assert done.returncode == 1
    assert said in done.stderr


def test_the_smoke_test_fails_where_nobody_answers():
    done = smoke("http://127.0.0.1:9", "key")
    assert done.returncode == 1
    assert "was not answered" in done.stderr


@contextlib.contextmanager
def platform(answers: list[int]) -> Iterator[str]:
    """A server that answers with these statuses, the last of them for ever: an app that is not there yet, and then is another."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("answers", "left"), [([503, 404, 200], [200]), ([500, 200], [200])])
def test_the_smoke_test_waits_for_a_service_that_starts_and_not_for_one_that_is_broken(answers, left):
    left_over = list(answers)
    with platform(left_over) as endpoint:
        done = smoke(endpoint, "key", patience=20)
    assert done.returncode == 1
    assert left_over == left
    assert ("was answered with 500" if answers[0] == 500 else "the status is <html>") in done.stderr


# --- what azd runs ---------------------------------------------------------------------------------------------------------


def test_every_hook_is_there_for_both_kinds_of_shell():
    scripts = {kind: {REPOSITORY / hook[kind]["run"] for hook in DEFINED.values()} for kind in ("posix", "windows")}
    assert scripts["posix"] == set(HOOKS.glob("*.sh"))
    assert scripts["windows"] == set(HOOKS.glob("*.ps1"))
    assert {path.stem for path in scripts["posix"]} == {path.stem for path in scripts["windows"]}
    assert all(hook["posix"]["shell"] == "sh" and hook["windows"]["shell"] == "pwsh" for hook in DEFINED.values())


def test_both_kinds_of_a_hook_read_and_write_the_same_variables():
    for script in HOOKS.glob("*.sh"):
        names = [
            set(re.findall(r"\b(?:PERSONALIZER_[A-Z_]+|CI)\b", path.read_text("utf-8"))) for path in (script, script.with_suffix(".ps1"))
        ]
        assert names[0] == names[1], script.name


@pytest.mark.parametrize("script", sorted(HOOKS.glob("*.sh")), ids=lambda script: script.name)
def test_a_hook_is_good_shell_and_may_be_run(script):
    assert subprocess.run(["sh", "-n", str(script)], capture_output=True, check=False).returncode == 0
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_text("utf-8").splitlines()[:1] == ["#!/bin/sh"]


@pytest.mark.skipif(shutil.which("pwsh") is None, reason="there is no PowerShell on this machine; CI reads these hooks with it")
@pytest.mark.parametrize("script", sorted(HOOKS.glob("*.ps1")), ids=lambda script: script.name)
def test_a_hook_is_good_powershell(script):
    code = f"$e=$null; [System.Management.Automation.Language.Parser]::ParseFile('{script}', [ref]$null, [ref]$e) | Out-Null; exit $e.Count"
    assert subprocess.run(["pwsh", "-NoProfile", "-Command", code], capture_output=True, timeout=PATIENCE, check=False).returncode == 0
