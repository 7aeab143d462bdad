"""The official SDKs for JavaScript: installed through npm as the examples pin them, and run by scripts under Node.js."""

import fcntl
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.node import find_node
from local.processes import LocalError
from tests.running import REPOSITORY

SCRIPTS = Path(__file__).resolve().parent
EXAMPLES = REPOSITORY / "examples" / "javascript"
LOCK = EXAMPLES / "package-lock.json"
DONE = EXAMPLES / "node_modules" / ".installed"
"""Holds what was pinned when an installation was complete."""
INSTALL_WITHIN = 90.0
"""Seconds that npm gets, less than a test does: so that its own message is seen."""
RUN_WITHIN = 60.0
SCRIPT_FAILED = "the script ended with exit code {code}\n{printed}\n{errors}"


Reply = dict[str, Any]
"""One line that a script printed: what was called, and what came of it."""


def ensure_installed() -> Path:
    """Return the folder that the SDKs are installed in, fetching them the first time and whenever other ones are pinned."""
    place = REPOSITORY / ".local"
    place.mkdir(exist_ok=True)
    with (place / "npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (DONE.exists() and DONE.read_bytes() == LOCK.read_bytes()):
            install()
    return EXAMPLES


def install() -> None:
    """Fetch the packages as a reader of the examples would; npm clears away what an interrupted run has left."""
    node = find_node()
    command = [*node.npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=EXAMPLES, env=environment(node.node), capture_output=True, text=True, timeout=INSTALL_WITHIN)
    except subprocess.TimeoutExpired as cause:
        raise LocalError(f"npm did not install the SDKs for JavaScript within {INSTALL_WITHIN:.0f} s") from cause
    if done.returncode != 0:
        raise LocalError(f"npm could not install the SDKs for JavaScript:\n{done.stderr or done.stdout}")
    DONE.write_bytes(LOCK.read_bytes())


def environment(node: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def without_proxies() -> dict[str, str]:
    """Give this process's environment without what would lead calls of 127.0.0.1 elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def run(script: str, *arguments: str) -> Sequence[Reply]:
    """Run a script of this folder and give the lines of JSON that it printed; fails with what it wrote when it failed."""
    command = [find_node().node, str(SCRIPTS / script), str(ensure_installed()), *arguments]
    done = subprocess.run(command, env=without_proxies(), capture_output=True, text=True, timeout=RUN_WITHIN)
    assert done.returncode == 0, SCRIPT_FAILED.format(code=done.returncode, printed=done.stdout[-2000:], errors=done.stderr[-4000:])
    return [json.loads(line) for line in done.stdout.splitlines()]
