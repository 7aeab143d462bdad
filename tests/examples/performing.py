"""Runs an example as its reader would, against a loop of its own in an app with short waits, and reads what it says it earned."""

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.http.building import KEY
from tests.running import OURS, REPOSITORY, RunningApp

SCENARIOS = ("news", "movies", "products", "apprentice", "delayed", "page")
IN_PROCESS = ("model_routing",)
"""Scenarios in Python alone, through this repository's own package."""

ADMIN_KEY = "the-administrators-key"
SETTINGS = {
    "PERSONALIZER_ADMIN_KEY": ADMIN_KEY,
    "PERSONALIZER_REWARD_WAIT_TIME": "PT3S",
    "PERSONALIZER_INGEST_GRACE": "PT1S",
    "PERSONALIZER_TRAINER_SCHEDULE": "* * * * * *",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT2S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.5S",
}
SHARE = {"apprentice": 0.1, "movies": 0.35, "news": 0.3, "model_routing": 0.35}
"""How much of what can be gained over picking blindly the last third has to gain.

The apprentice may do no better than the rule. Of movies a busy machine learns less in that time: .49, beside .65 to .68; of news .40.
The router earned .76 on a busy one.
"""
USUAL_SHARE = 0.5
MOST_FAILED = 15
"""Of 300 visitors and more, as a busy machine may take longer than the two seconds that an example waits for an answer."""
ENDS_WITHIN = 270.0
"""Seconds for all of them together, less than a test gets: so that what one has printed is seen."""
FIGURES = re.compile(r"^Last third: reward ([\d.]+), random ([\d.]+), best possible ([\d.]+)\.$", re.MULTILINE)


class Told(NamedTuple):
    """What an example printed, and the three figures of its last line."""

    text: str
    reward: float
    random: float
    best: float

    @property
    def share(self) -> float:
        """How much of the way from picking blindly to knowing everything it went."""
        return (self.reward - self.random) / (self.best - self.random)


def environment(endpoint: str, key: str) -> dict[str, str]:
    """Give this process's environment with the loop to call, and without what could lead elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy") and not name.startswith(OURS)}
    return {**kept, "ENDPOINT": endpoint, "KEY": key, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(REPOSITORY / "client")}


def wanted(request: pytest.FixtureRequest) -> list[str]:
    """Name the scenarios that tests of this file ask for: others would be played for nobody."""
    found = {_played(each) for each in request.session.items if each.path == request.path}
    return [name for name in (*SCENARIOS, *IN_PROCESS) if name in found]


def _played(test: pytest.Item) -> object:
    asked = getattr(test, "callspec", None)
    return asked.params.get("name") if asked and "told" in getattr(test, "fixturenames", ()) else None


def performed(commands: Mapping[str, Sequence[str]], app: RunningApp, folder: Path) -> dict[str, Told]:
    """Run all commands at once, each at a loop of its own; fails with what one has written when it fails."""
    until = time.monotonic() + ENDS_WITHIN
    running = {name: begin(name, command, app, folder) for name, command in commands.items()}
    try:
        return {name: ended(process, app, until=until) for name, process in running.items()}
    finally:
        for process in running.values():
            process.kill()
            process.communicate()


def begin(name: str, command: Sequence[str], app: RunningApp, folder: Path) -> subprocess.Popen[str]:
    loop = name.replace("_", "")
    made = app.request("PUT", f"/loops/{loop}", headers={KEY: ADMIN_KEY})
    assert made.status == 201, made.body
    given = environment(f"{app.base_url}/loops/{loop}", made.json["keys"][0])
    return subprocess.Popen(command, cwd=folder, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process: subprocess.Popen[str], app: RunningApp, *, until: float) -> Told:
    text, _ = process.communicate(timeout=max(until - time.monotonic(), 1.0))
    assert process.returncode == 0, f"{text}\n{app.logs[-2000:]}"
    figures = FIGURES.search(text)
    assert figures is not None, text
    reward, random, best = map(float, figures.groups())
    return Told(text, reward, random, best)
