"""The workflow that gates a policy change: its steps run as they are, but for those that need GitHub or Azure."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.joining.dsjson import line
from tests.patience import PATIENCE
from tests.running import REPOSITORY
from tests.services.analysis.logs import drawn

PIPELINE = REPOSITORY / "examples" / "pipeline"
ELSEWHERE = {
    "pip install": "the packages are installed",
    "az storage": "the log is written by the test",
    "gh pr": "there is no pull request",
}
"""What a step begins with that is not run here, with the reason."""


def steps() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((PIPELINE / "gate-policy.yml").read_text("utf-8"))["jobs"]["gate"]["steps"]
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Give the folder of a job that has checked both repositories out, and has got the log."""
    shutil.copy(PIPELINE / "gate.json", tmp_path)
    (tmp_path / "personalizer").symlink_to(REPOSITORY)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "log.json").write_bytes(b"".join(map(line, drawn(1_000))))
    return tmp_path


def ran(workspace: Path, policy: str) -> list[int]:
    """Run the steps as GitHub does: after one has failed, only those that always run."""
    (workspace / "policy.txt").write_text(policy + "\n")
    places = {"GITHUB_STEP_SUMMARY": str(workspace / "shown.md"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    codes: list[int] = []
    for step in steps():
        is_due = not any(codes) or step.get("if") == "always()"
        if "run" not in step or not is_due or step["run"].startswith(tuple(ELSEWHERE)):
            continue
        environment = {**os.environ, **places, **step.get("env", {})}
        command = ["bash", "-euo", "pipefail", "-c", step["run"]]
        codes.append(subprocess.run(command, cwd=workspace, env=environment, timeout=PATIENCE, check=False).returncode)
    return codes


def test_a_better_policy_passes_and_the_summary_says_so(workspace):
    assert ran(workspace, (PIPELINE / "policy.txt").read_text().strip()) == [0, 0]
    assert "### candidate passes the gate" in (workspace / "shown.md").read_text()


def test_a_policy_that_is_not_surely_better_fails_the_job_and_the_summary_says_why(workspace):
    assert ran(workspace, "--cb_explore_adf --epsilon 0.2 --ignore u") == [1, 0]
    shown = (workspace / "shown.md").read_text()
    assert "### candidate does not pass the gate" in shown
    assert "**no**" in shown


def test_each_step_that_is_not_run_here_is_there_and_the_others_are_known():
    commands = [step["run"] for step in steps() if "run" in step]
    assert all(any(each.startswith(begins) for each in commands) for begins in ELSEWHERE)
    assert all("@" in step["uses"] and len(step["uses"].split("@")[1]) == 40 for step in steps() if "uses" in step)
