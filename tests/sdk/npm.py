"""The official SDKs for JavaScript: installed through npm as `package-lock.json` pins them, and run by scripts under Node.js."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.node import find_node
from local.processes import LocalError
from tests.running import REPOSITORY

PINNED = Path(__file__).resolve().parent
FILES = ("package.json", "package-lock.json")
INSTALLED = REPOSITORY / ".local" / "sdk"
INSTALL_WITHIN = 90.0
"""Seconds that npm gets, less than a test does: so that its own message is seen."""
RUN_WITHIN = 60.0
SCRIPT_FAILED = "the script ended with exit code {code}\n{printed}\n{errors}"


Reply = dict[str, Any]
"""One line that a script printed: what was called, and what came of it."""


def ensure_installed() -> Path:
    """Return the folder that the SDKs are installed in, fetching them the first time and whenever other ones are pinned."""
    INSTALLED.parent.mkdir(exist_ok=True)
    with INSTALLED.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_current():
            install()
    return INSTALLED


def is_current() -> bool:
    """Whether all of what is pinned is there."""
    return all((INSTALLED / name).exists() and (INSTALLED / name).read_bytes() == (PINNED / name).read_bytes() for name in FILES)


def install() -> None:
    """Fetch the packages beside their place and move them there when complete: an interrupted install leaves nothing half done."""
    unfinished = INSTALLED.with_suffix(".unfinished")
    for leftover in (unfinished, INSTALLED):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir()
    for name in FILES:
        shutil.copy(PINNED / name, unfinished)
    node = find_node()
    command = [*node.npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=unfinished, env=environment(node.node), capture_output=True, text=True, timeout=INSTALL_WITHIN)
    except subprocess.TimeoutExpired as cause:
        raise LocalError(f"npm did not install the SDKs for JavaScript within {INSTALL_WITHIN:.0f} s") from cause
    if done.returncode != 0:
        raise LocalError(f"npm could not install the SDKs for JavaScript:\n{done.stderr or done.stdout}")
    unfinished.rename(INSTALLED)


def environment(node: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def without_proxies() -> dict[str, str]:
    """Give this process's environment without what would lead calls of 127.0.0.1 elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def run(script: str, *arguments: str) -> Sequence[Reply]:
    """Run a script of this folder and give the lines of JSON that it printed; fails with what it wrote when it failed."""
    command = [find_node().node, str(PINNED / script), str(ensure_installed()), *arguments]
    done = subprocess.run(command, env=without_proxies(), capture_output=True, text=True, timeout=RUN_WITHIN)
    assert done.returncode == 0, SCRIPT_FAILED.format(code=done.returncode, printed=done.stdout[-2000:], errors=done.stderr[-4000:])
    return [json.loads(line) for line in done.stdout.splitlines()]
