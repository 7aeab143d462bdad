"""The Go SDK of Azure: fetched by Go as `go.sum` pins it, compiled with a program that calls it, and run."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.running import REPOSITORY

SOURCE = Path(__file__).resolve().parent
PROGRAM = REPOSITORY / ".local" / "go" / "personalizer-sdk"
COMPILED_WITHIN = 280.0
RUN_WITHIN = 90.0

Reply = dict[str, Any]
"""One line that the program printed: what was called, and what came of it."""


def find_go() -> str | None:
    """Find the machine's own Go."""
    return shutil.which("go")


def compiled(go: str) -> Path:
    """Compile the program, which takes a minute the first time; gives where it is."""
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [go, "build", "-mod=readonly", "-o", str(PROGRAM), "."], cwd=SOURCE, capture_output=True, text=True, timeout=COMPILED_WITHIN
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return PROGRAM


def run(program: Path, *arguments: str) -> list[Reply]:
    """Run the program and give the lines of JSON that it printed; fails with what it wrote when it failed."""
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=RUN_WITHIN)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return [json.loads(line) for line in done.stdout.splitlines()]
