"""An embedded store that takes its process with it (−9) at one of its calls, as a proxy between does to a process on an account."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from shared.storage.embedded.engine import Engine
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.settings import FolderSettings

Answer = TypeVar("Answer")


class Death(NamedTuple):
    """At which call, counted from 1 (0: none), and whether storage does it first."""

    number: int
    done_first: bool


NEVER = Death(0, done_first=False)


class MortalStorage(EmbeddedStorage):
    """A store that counts its calls."""

    def __init__(self, place: str, death: Death) -> None:
        super().__init__(FolderSettings(Path(place), make=True))
        self.calls = 0
        self._death = death

    async def run(
        self, what: str, job: Callable[[Engine, float], Answer], *, sent_by: float | None = None, is_append: bool = False
    ) -> Answer:
        """Do a job, unless this is the end."""
        self.calls += 1
        is_last = self.calls == self._death.number
        if is_last and not self._death.done_first:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return await super().run(what, job, sent_by=sent_by, is_append=is_append)
        finally:
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
