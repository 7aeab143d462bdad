"""A process that moves a resource of Azure Personalizer here by the command line, and is killed (−9) at one of its calls to its store."""

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from cli.main import main
from shared.runtime.assembly import process as assembly
from shared.storage.embedded.engine import Engine
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.settings import FolderSettings

Answer = TypeVar("Answer")

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


class _Store(EmbeddedStorage):
    """A store of which each opening counts on: a command opens it for each of its steps."""

    def __init__(self, place: str, calls: Iterator[int], last: int) -> None:
        super().__init__(FolderSettings(Path(place)))
        self._calls, self._last = calls, last

    async def run(
        self, what: str, job: Callable[[Engine, float], Answer], *, sent_by: float | None = None, is_append: bool = False
    ) -> Answer:
        if next(self._calls) == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().run(what, job, sent_by=sent_by, is_append=is_append)


def _move(told: Connection, place: str, command: list[str], last: int) -> None:
    calls = itertools.count(1)
    vars(assembly)["open_storage"] = lambda settings: _Store(place, calls, last)  # of this process alone, which ends with the command
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        code = main([*command, "--storage", place])
    told.send((code, next(calls) - 1))


def move(place: str, command: list[str], *, last: int = 0) -> tuple[int, int]:
    """Run the command to its end or to this call (0: none); gives its exit code and how many calls it made, (−9, 0) if it was killed."""
    told, telling = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_move, args=(telling, place, command, last))
    process.start()
    telling.close()
    try:
        done: tuple[int, int] = told.recv()
    except EOFError:
        done = (-signal.SIGKILL, 0)
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return done
