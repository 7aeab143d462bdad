"""The official SDKs for JavaScript: installed through npm as the examples pin them, and run by scripts under Node.js."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.node import find_node
from tests.npm import ensure_installed as installed
from tests.npm import without_proxies
from tests.running import REPOSITORY

SCRIPTS = Path(__file__).resolve().parent
EXAMPLES = REPOSITORY / "examples" / "javascript"
RUN_WITHIN = 60.0
SCRIPT_FAILED = "the script ended with exit code {code}\n{printed}\n{errors}"


Reply = dict[str, Any]
"""One line that a script printed: what was called, and what came of it."""


def ensure_installed() -> Path:
    """Return the folder that the SDKs are installed in."""
    return installed(EXAMPLES)


def run(script: str, *arguments: str) -> Sequence[Reply]:
    """Run a script of this folder and give the lines of JSON that it printed; fails with what it wrote when it failed."""
    command = [find_node().node, str(SCRIPTS / script), str(ensure_installed()), *arguments]
    done = subprocess.run(command, env=without_proxies(), capture_output=True, text=True, timeout=RUN_WITHIN)
    assert done.returncode == 0, SCRIPT_FAILED.format(code=done.returncode, printed=done.stdout[-2000:], errors=done.stderr[-4000:])
    return [json.loads(line) for line in done.stdout.splitlines()]
