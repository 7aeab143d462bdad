"""The workflows can be read, run nothing that is unknown here, and hold no more rights than they need."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.infra.templates import REPOSITORY, Project
from tests.patience import PATIENCE

WORKFLOWS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))}
DEVCONTAINER = json.loads((REPOSITORY / ".devcontainer" / "devcontainer.json").read_text("utf-8"))

ELSEWHERE = {
    ".ci/run": "it runs this test",
    "make infra": "it runs this test",
    "make audit": "known faults are looked up outside; the lists that it reads are tested by tests/test_locks.py",
    "gh release": "there is no release here",
    "az bicep": "the compiler is not here",
    "docker build": "there is no engine for containers here; tests/infra/test_server.py does the steps of the Containerfile one by one",
    "foreach ($file in": "there is no PowerShell here; tests/infra/test_hooks.py does the same where there is",
    "azd auth login": "it signs in to Azure",
    "azd provision": "it makes what costs; its hook is run by tests/infra/test_hooks.py",
    "azd deploy": "likewise, and the smoke test with it",
}
"""What steps run and tests cannot, with the reason."""


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for workflow, content in WORKFLOWS.items():
        for name, job in content["jobs"].items():
            yield f"{workflow}.{name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs():
        for number, step in enumerate(job["steps"]):
            yield f"{name}.{number}", step


RUN = {name: step for name, step in steps() if "run" in step}


@pytest.mark.parametrize("step", RUN.values(), ids=RUN.keys())
def test_a_step_runs_here_or_says_why_not(step):
    reasons = [reason for command, reason in ELSEWHERE.items() if step["run"].startswith(command)]
    if reasons:
        assert len(reasons) == 1
        return
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step["run"]], cwd=REPOSITORY, capture_output=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("step", RUN.values(), ids=RUN.keys())
def test_a_step_is_good_shell(step):
    if step.get("shell") == "pwsh":
        return
    assert subprocess.run(["bash", "-n", "-c", step["run"]], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("step", RUN.values(), ids=RUN.keys())
def test_a_step_takes_nothing_from_outside_into_its_text(step):
    assert "${{" not in step["run"]


def test_every_action_is_pinned_by_its_commit():
    used = [step["uses"] for _, step in steps() if "uses" in step]
    assert len(used) >= 6
    assert not [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each)]


def test_no_checkout_leaves_its_token_behind():
    checkouts = [step for _, step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_workflows_may_read_the_deployment_may_sign_in_and_a_release_may_be_added_to():
    assert {name: content["permissions"] for name, content in WORKFLOWS.items()} == {
        "ci": {"contents": "read"},
        "deploy": {"contents": "read", "id-token": "write"},
        "release": {"contents": "write"},
    }


def test_every_job_ends_and_no_two_deployments_run_at_once():
    assert all(0 < job["timeout-minutes"] <= 60 for _, job in jobs())
    assert WORKFLOWS["deploy"]["concurrency"] == {"group": "deploy"}
    assert WORKFLOWS["deploy"][True] == {"workflow_dispatch": None}  # YAML reads `on` as a truth
    assert WORKFLOWS["deploy"]["jobs"]["deploy"]["environment"] == "production"


def test_every_supported_python_is_tested():
    required = re.search(r'requires-python = ">=3\.(\d+)"', (REPOSITORY / "pyproject.toml").read_text("utf-8"))
    assert required is not None
    versions = WORKFLOWS["ci"]["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert versions == [f"3.{minor}" for minor in range(int(required[1]), int(required[1]) + len(versions))]
    decorators = Project(REPOSITORY).main.parameters["pythonVersion"]["decorators"]
    assert {"type": "allowed", "argument": versions} in decorators


def test_the_deployment_hands_on_every_key_and_variable_of_azure_yaml():
    given = WORKFLOWS["deploy"]["jobs"]["deploy"]["env"]
    pipeline = Project(REPOSITORY).azure_yaml["pipeline"]
    assert {name: given[name] for name in pipeline["secrets"]} == {name: f"${{{{ secrets.{name} }}}}" for name in pipeline["secrets"]}
    assert {name: given[name] for name in pipeline["variables"]} == {name: f"${{{{ vars.{name} }}}}" for name in pipeline["variables"]}
    mapped = set(re.findall(r"\$\{([A-Z_]+)", " ".join(Project(REPOSITORY).values.values())))
    assert {*pipeline["secrets"], *pipeline["variables"]} <= mapped


PINNING = {
    "uv": r"requirements/.*\.in|requirements\.txt",
    "npm": r"package-lock\.json",
    "gomod": r"go\.sum",
    "docker": r"Dockerfile|Containerfile",
    "github-actions": r"\.github/workflows/.*\.yml",
}
"""The files that pin something, by who would look after it; where the path has folders, they are looked for from the top."""


def pinned_in(ecosystem: str) -> set[str]:
    """The folders of this repository, from ``/`` on, in which something of this kind is pinned."""
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    pattern = PINNING[ecosystem]
    if ecosystem in ("uv", "github-actions"):
        return {"/"} if any(re.fullmatch(pattern, each) for each in listed) else set()
    return {f"/{each.rpartition('/')[0]}" for each in listed if re.fullmatch(pattern, each.rpartition("/")[2])}


def test_dependabot_looks_after_everything_that_is_pinned():
    content = yaml.safe_load((REPOSITORY / ".github" / "dependabot.yml").read_text("utf-8"))
    looked_after = {each["package-ecosystem"]: set(each.get("directories") or [each["directory"]]) for each in content["updates"]}
    assert len(content["updates"]) == len(looked_after)
    assert looked_after == {ecosystem: pinned_in(ecosystem) for ecosystem in PINNING}


def test_the_devcontainer_has_what_a_deployment_needs():
    assert DEVCONTAINER["build"]["dockerfile"] == "Dockerfile"
    made = (REPOSITORY / ".devcontainer" / "Dockerfile").read_text("utf-8")
    assert all(tool in made for tool in ("azure-functions-core-tools", "azurite", "azure-cli", "install-azd", "az bicep install"))
    assert DEVCONTAINER["postCreateCommand"] == "make setup"
    assert DEVCONTAINER["forwardPorts"] == [7071]
