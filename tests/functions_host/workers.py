"""Which worker is started: the one of a folder that the developer names, or the tests' own."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.running import RunningApp

SETTING: Final = "FUNCTIONS_WORKER_DIR"
OWN: Final = Path(__file__).resolve().parent
"""The folder of the tests' own worker."""
_SYSTEMS: Final = {"Darwin": "OSX", "Linux": "LINUX", "Windows": "WINDOWS"}
_MACHINES: Final = {"aarch64": "Arm64", "arm64": "Arm64"}


class NoWorkerError(Exception):
    """The folder has no worker for this Python."""


def worker_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Give the folder that is named, or that of the tests' own worker."""
    return Path(environment.get(SETTING) or OWN).resolve()


def worker_command(folder: Path) -> Sequence[str]:
    """Say how the worker of a folder is started; raises `NoWorkerError` where there is none."""
    if folder == OWN:
        return (sys.executable, "-m", "tests.functions_host.worker")
    return (sys.executable, str(worker_file(folder)))


def worker_file(folder: Path) -> Path:
    """Find a worker in its own folder, or in the one of Core Tools that has one for each Python (``workers/python``)."""
    for file in (folder / "worker.py", nested_file(folder)):
        if file.is_file():
            return file.absolute()
    raise NoWorkerError(f"{SETTING} is {folder}, in which there is neither worker.py nor {nested_file(Path())}")


def nested_file(folder: Path) -> Path:
    """Give the place of the worker for this Python, system and machine in the folder of all of them."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return folder / version / _SYSTEMS[platform.system()] / _MACHINES.get(platform.machine(), "X64") / "worker.py"


def worker_of(app: RunningApp) -> int:
    """Give the process that a host started."""
    children = Path(f"/proc/{app.pid}/task/{app.pid}/children").read_text().split()
    return int(children[0])
