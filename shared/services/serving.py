"""The model that Rank answers with: polled by a thread, swapped whole, kept when a refresh fails."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.errors import PersonalizerError
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopSettings
from shared.domain.ports import LoopConfiguration, ModelFeed
from shared.learning import artifact
from shared.learning.model import Model

logger = logging.getLogger(__name__)

_FIRST_LOOK = timedelta(milliseconds=500)
"""How long a process's first calls wait for the published model before they are answered without one."""


@dataclass(frozen=True, slots=True)
class Served:
    """All that Rank needs to know, swapped in one assignment. ``error`` says why the newest is not served, if so."""

    version: str
    published_at: datetime | None
    model: Model
    settings: LoopSettings
    error: str | None = None


class ModelServer:
    """One per process. The polling thread is started by the first call, and again if it is gone (as after a fork)."""

    def __init__(self, feed: ModelFeed, configuration: LoopConfiguration, *, defaults: LoopSettings, interval: timedelta) -> None:
        self._feed = feed
        self._configuration = configuration
        self._interval = interval
        self._served = Served(version="", published_at=None, model=Model.cold(), settings=defaults)
        self._wanted: Pointer | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._looked = threading.Event()
        self._stopped = threading.Event()
        self._wait_until = 0.0

    async def served(self) -> Served:
        """Give what is served now. Only a process's first calls may wait, half a second in all, for the first look."""
        self._ensure_polling()
        if not self._looked.is_set():
            patience = self._wait_until - time.monotonic()
            if patience > 0:
                await asyncio.to_thread(self._looked.wait, patience)
        return self._served

    def stop(self) -> None:
        """End the polling thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def refresh(self) -> None:
        """Look once; whatever fails is noted in `Served.error` and leaves the rest as it was."""
        errors = [error for error in (self._attempt(self._refresh_settings), self._attempt(self._refresh_model)) if error]
        error = "; ".join(errors) or None
        if error is not None and error != self._served.error:
            logger.warning("not everything could be refreshed; what was served goes on", extra={"error": error})
        self._served = replace(self._served, error=error)
        self._looked.set()

    def _attempt(self, refresh: Callable[[], None]) -> str | None:
        try:
            refresh()
        except PersonalizerError as error:
            return str(error)
        return None

    def _refresh_settings(self) -> None:
        self._served = replace(self._served, settings=self._configuration.read())

    def _refresh_model(self) -> None:
        self._wanted = self._feed.news() or self._wanted  # one that failed to load is wanted until another comes
        if self._wanted is None or self._wanted.version == self._served.version:
            return
        model = artifact.load_model(self._feed.artifact(self._wanted.version)) if self._wanted.version else Model.cold()
        self._served = replace(self._served, version=self._wanted.version, published_at=self._wanted.published_at, model=model)
        logger.info("model loaded", extra={"model_version": self._wanted.version, "learned": self._wanted.counters.learned})

    def _ensure_polling(self) -> None:
        if self._pid == os.getpid() and self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._pid == os.getpid() and self._thread is not None and self._thread.is_alive():
                return
            self._pid = os.getpid()
            self._wait_until = time.monotonic() + _FIRST_LOOK.total_seconds()
            self._thread = threading.Thread(target=self._poll, name="model-poll", daemon=True)
            self._thread.start()

    def _poll(self) -> None:
        while not self._stopped.is_set():
            self.refresh()
            self._stopped.wait(self._interval.total_seconds())
