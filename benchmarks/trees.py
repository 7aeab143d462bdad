"""The whole service of this machine, as ``python -m local`` runs it on a store: looked at, stopped, held still, and killed."""

import contextlib
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from local.processes import LocalError, free_port
from local.settings import REPOSITORY

_OURS = ("PERSONALIZER_", "AzureWebJobs")
"""Settings of the shell that must not leak into a measurement."""

_NAME = "--process="
_SUPERVISOR, _GONE = "supervisor", "gone"
_STARTED = "the service is running"
_PATIENCE = 60.0


class Tree:
    """The service's processes over one store, which stays when they end: ``with Tree(folder) as tree: ...``."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, processes: int = 1) -> None:
        self._processes = processes
        self.store = folder / "store"
        self.port = free_port()
        self.key = secrets.token_hex(16)
        self._home = folder / "home"
        self._log = folder / "log"
        folder.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        own = {"PERSONALIZER_STORE": str(self.store), "PERSONALIZER_LOCAL_DIR": str(self._home), "PERSONALIZER_KEYS": self.key}
        self._environment = {**inherited, **own, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    @property
    def logs(self) -> str:
        """What all processes wrote so far."""
        return self._log.read_text(errors="replace")

    def start(self) -> None:
        """Start all processes and return when the service answers; raises `LocalError` with the log when it does not."""
        command = [sys.executable, "-m", "local", "--no-demo", "--port", str(self.port), "--processes", str(self._processes)]
        self._starts = self._told_to_run()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=REPOSITORY, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            _until(self._is_complete, "the service does not answer")
        except LocalError as error:
            self.stop()
            raise LocalError(f"{error}\n{self.logs[-3000:]}") from error

    def stop(self) -> None:
        """Ask the service to end (SIGTERM), and wait for it; what does not end is killed."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End all processes at once, as when the machine stops: SIGKILL, and none can do anything between another's end and its own."""
        process, self._process = self._process, None
        if process is None:
            return
        held = _hold(process.pid)
        for number in held:
            _send(number, signal.SIGKILL)
        process.wait()
        _until(lambda: not any(map(_runs, held)), "a process that was killed goes on")

    @property
    def names(self) -> list[str]:
        """What the processes are called that run now, but for the one that looks after them."""
        assert self._process is not None
        return sorted({_role(number) for number in _family(self._process.pid)} - {_SUPERVISOR, _GONE})

    def kill_one(self, name: str) -> None:
        """End one process at once; the service starts it again by itself."""
        assert self._process is not None
        for number in _family(self._process.pid):
            if _role(number) == name:
                _send(number, signal.SIGKILL)

    @contextlib.contextmanager
    def held_still(self) -> Iterator[None]:
        """Hold all processes where they are, as between two of their system calls, until the block is left."""
        assert self._process is not None
        held = _hold(self._process.pid)
        try:
            yield
        finally:
            for number in reversed(held):
                _send(number, signal.SIGCONT)

    def image(self, to: Path) -> None:
        """Copy the store's folder as it is this moment."""
        with self.held_still():
            shutil.copytree(self.store, to)

    def memory(self) -> dict[str, int]:
        """Tell the bytes that each process has resident, by its role."""
        assert self._process is not None
        return {_role(number): _resident(number) for number in _family(self._process.pid)}

    def peaks(self) -> dict[str, int]:
        """Tell the most bytes that each process ever had resident, by its role."""
        assert self._process is not None
        return {_role(number): _peak(number) for number in _family(self._process.pid)}

    def _is_complete(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise LocalError("the service ended by itself")
        return self._told_to_run() > self._starts

    def _told_to_run(self) -> int:
        return self.logs.count(_STARTED) if self._log.exists() else 0


def _until(condition: Callable[[], bool], message: str) -> None:
    until = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise LocalError(message)
        time.sleep(0.02)


def _hold(root: int) -> list[int]:
    """Hold a process and all that it started, and theirs; gives their numbers, the oldest first."""
    held: list[int] = []
    while new := [number for number in _family(root) if number not in held]:
        for number in new:
            _send(number, signal.SIGSTOP)
        _until(lambda: all(map(_is_held, new)), "a process cannot be held")
        held += new
    return held


def _family(root: int) -> list[int]:
    parents = {int(path.name): _stat(int(path.name))[1] for path in Path("/proc").iterdir() if path.name.isdigit()}
    family = [root]
    for number in family:
        family += [child for child, parent in parents.items() if parent == str(number)]
    return [number for number in family if _runs(number)]


def _runs(number: int) -> bool:
    return _state(number) not in "ZX"


def _is_held(number: int) -> bool:
    """Whether none of a process's threads does anything."""
    try:
        threads = [(path / "stat").read_text("ascii", errors="replace") for path in Path(f"/proc/{number}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return all(thread.rpartition(")")[2].split()[0] in "TtZX" for thread in threads)


def _state(number: int) -> str:
    return _stat(number)[0]


def _stat(number: int) -> list[str]:
    """Give a process's state, its parent and more; state X for one that is gone."""
    try:
        return Path(f"/proc/{number}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["X", ""]


def _role(number: int) -> str:
    try:
        command = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return _GONE
    return next((word.removeprefix(_NAME) for word in command.split() if word.startswith(_NAME)), _SUPERVISOR)


def _resident(number: int) -> int:
    try:
        return int(Path(f"/proc/{number}/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _peak(number: int) -> int:
    try:
        told = Path(f"/proc/{number}/status").read_text("ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((1024 * int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM:")), 0)


def _send(number: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, what)
