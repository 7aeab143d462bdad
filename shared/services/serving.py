"""The models that Rank answers with: polled by one thread a process, swapped whole, kept when a refresh fails."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.errors import PersonalizerError
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopSettings
from shared.domain.ports import LoopConfiguration, ModelFeed
from shared.learning import artifact
from shared.learning.arguments import PolicyArguments, parse_arguments
from shared.learning.model import Model

logger = logging.getLogger(__name__)

_FIRST_LOOK = timedelta(milliseconds=500)
"""How long a process's first calls wait for the published model before they are answered without one."""


class Refreshable(Protocol):
    """What is looked after by a polling thread."""

    def refresh(self) -> None:
        """Look once; raises nothing."""
        ...


class Polling:
    """One thread a process for all that has to be refreshed, started on first need, and again if it is gone (as after a fork)."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval
        self._watched: dict[Refreshable, None] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._new = threading.Event()
        self._stopped = False

    def watch(self, refreshable: Refreshable) -> None:
        """Refresh this soon, and again an interval after each time; one that is watched already goes on being so."""
        if refreshable in self._watched and self._is_running():
            return
        with self._lock:
            self._watched[refreshable] = None
            if self._is_running():
                self._new.set()
            else:
                self._start()

    def forget(self, refreshable: Refreshable) -> None:
        """Refresh this no more."""
        with self._lock:
            self._watched.pop(refreshable, None)

    def stop(self) -> None:
        """End the thread; another `watch` starts it again."""
        self._stopped = True
        self._new.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _is_running(self) -> bool:
        return self._pid == os.getpid() and self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._stopped = False
        self._new = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="model-poll", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        due: dict[Refreshable, float] = {}
        while not self._stopped:
            self._new.clear()
            now = time.monotonic()
            due = {each: due.get(each, now) for each in list(self._watched)}
            for each in [each for each, at in due.items() if at <= now]:
                if each in self._watched and not self._stopped:
                    each.refresh()
                    due[each] = time.monotonic() + self._interval.total_seconds()
            self._new.wait(max(min(due.values(), default=now + 1.0) - time.monotonic(), 0.0))


@dataclass(frozen=True, slots=True)
class Served:
    """All that Rank needs to know, swapped in one assignment. ``error`` says why the newest is not served, if so.

    ``arguments`` are those of the settings' policy, parsed.
    """

    version: str
    published_at: datetime | None
    model: Model
    settings: LoopSettings
    error: str | None = None
    arguments: PolicyArguments = field(default_factory=PolicyArguments)


class ModelServer:
    """What one loop serves in this process; the first call begins to poll for it."""

    def __init__(self, feed: ModelFeed, configuration: LoopConfiguration, *, defaults: LoopSettings, polling: Polling) -> None:
        self._feed = feed
        self._configuration = configuration
        self._polling = polling
        self._served = Served(
            version="",
            published_at=None,
            model=Model.cold(),
            settings=defaults,
            arguments=parse_arguments(defaults.policy.arguments),
        )
        self._wanted: Pointer | None = None
        self._refreshing = (os.getpid(), threading.Lock())
        self._looked = threading.Event()
        self._wait_until: float | None = None

    async def served(self) -> Served:
        """Give what is served now. Only a process's first calls may wait, half a second in all, for the first look."""
        self.watch()
        if not self._looked.is_set():
            if self._wait_until is None:
                self._wait_until = time.monotonic() + _FIRST_LOOK.total_seconds()
            patience = self._wait_until - time.monotonic()
            if patience > 0:
                await asyncio.to_thread(self._looked.wait, patience)
        return self._served

    def watch(self) -> None:
        """See to it that this is polled for."""
        self._polling.watch(self)

    def stop(self) -> None:
        """Poll for this no more."""
        self._polling.forget(self)

    def refresh(self) -> None:
        """Look once; whatever fails is noted in `Served.error` and leaves the rest as it was."""
        with self._lock():
            errors = [error for error in (self._attempt(self._refresh_settings), self._attempt(self._refresh_model)) if error]
            error = "; ".join(errors) or None
            if error is not None and error != self._served.error:
                logger.warning("not everything could be refreshed; what was served goes on", extra={"error": error})
            self._served = replace(self._served, error=error)
        self._looked.set()

    def _lock(self) -> threading.Lock:
        """Give the lock of this process: one that was held when a process was forked stays so in the new one."""
        if self._refreshing[0] != os.getpid():
            self._refreshing = (os.getpid(), threading.Lock())
        return self._refreshing[1]

    def _attempt(self, refresh: Callable[[], None]) -> str | None:
        try:
            refresh()
        except PersonalizerError as error:
            return str(error)
        return None

    def _refresh_settings(self) -> None:
        settings = self._configuration.read()
        if settings == self._served.settings:
            return
        changed = settings.policy.arguments != self._served.settings.policy.arguments
        arguments = parse_arguments(settings.policy.arguments) if changed else self._served.arguments
        self._served = replace(self._served, settings=settings, arguments=arguments)

    def _refresh_model(self) -> None:
        self._wanted = self._feed.news() or self._wanted  # one that failed to load is wanted until another comes
        if self._wanted is None or self._wanted.version == self._served.version:
            return
        model = artifact.load_model(self._feed.artifact(self._wanted.version)) if self._wanted.version else Model.cold()
        published_at = self._wanted.published_at if self._wanted.version else None
        self._served = replace(self._served, version=self._wanted.version, published_at=published_at, model=model)
        logger.info("model loaded", extra={"model_version": self._wanted.version, "learned": self._wanted.counters.learned})
