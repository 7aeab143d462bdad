"""Packages of npm: installed beside the `package-lock.json` that pins them, and not looked for again."""

import fcntl
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from local.node import find_node
from local.processes import LocalError
from tests.running import REPOSITORY

INSTALL_WITHIN = 90.0
"""Seconds that npm gets, less than a test does: so that its own message is seen."""


def ensure_installed(folder: Path) -> Path:
    """Return the folder, fetching the first time, and whenever other ones are pinned, what it pins."""
    place = REPOSITORY / ".local"
    place.mkdir(exist_ok=True)
    pinned = (folder / "package-lock.json").read_bytes()
    done = folder / "node_modules" / ".installed"  # holds what was pinned when an installation was complete
    with (place / "npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.exists() and done.read_bytes() == pinned):
            install(folder)
            done.write_bytes(pinned)
    return folder


def install(folder: Path) -> None:
    """Fetch the packages as a reader would; npm clears away what an interrupted run has left."""
    node = find_node()
    command = [*node.npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=folder, env=environment(node.node), capture_output=True, text=True, timeout=INSTALL_WITHIN)
    except subprocess.TimeoutExpired as cause:
        raise LocalError(f"npm did not install the packages of {folder} within {INSTALL_WITHIN:.0f} s") from cause
    if done.returncode != 0:
        raise LocalError(f"npm could not install the packages of {folder}:\n{done.stderr or done.stdout}")


def environment(node: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def without_proxies() -> dict[str, str]:
    """Give this process's environment without what would lead calls of 127.0.0.1 elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def lock_of(folder: Path) -> dict[str, Any]:
    """Give what the folder pins."""
    content: dict[str, Any] = json.loads((folder / "package-lock.json").read_text("utf-8"))
    return content
