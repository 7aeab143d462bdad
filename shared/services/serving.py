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

from shared.domain.errors import PersonalizerError, UnreadableError
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopSettings
from shared.domain.patience import patience, seconds_left
from shared.domain.ports import LoopConfiguration, ModelFeed
from shared.learning import artifact
from shared.learning.arguments import PolicyArguments, parse_arguments
from shared.learning.model import Model

logger = logging.getLogger(__name__)

_FIRST_LOOK = timedelta(milliseconds=500)
"""How long a process's first calls wait for the published model before they are answered without one."""


_REFRESH = timedelta(seconds=12)
"""How long a look may take in all: so long one loop may hold the others up."""


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
        self._broken: dict[Refreshable, type[BaseException]] = {}
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
            self._broken.pop(refreshable, None)

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
        try:
            self._thread.start()
        except RuntimeError:  # no more threads, or no memory for one: calls go on with what is known, and the next one tries again
            logger.exception("the thread that polls cannot be started")

    def _poll(self) -> None:
        """Go round for as long as the process lives: a round that breaks, for whatever reason, is followed by another."""
        due: dict[Refreshable, float] = {}
        while not self._stopped:
            try:
                self._new.clear()
                self._new.wait(max(self._round(due) - time.monotonic(), 0.0))
            except BaseException:
                logger.exception("a round of polling broke off; another follows")
                time.sleep(self._interval.total_seconds())

    def _round(self, due: dict[Refreshable, float]) -> float:
        """Refresh what is due, and give the time of the next round."""
        now, watched = time.monotonic(), list(self._watched)
        for gone in due.keys() - set(watched):
            del due[gone]
        for each in watched:
            if due.setdefault(each, now) <= now and each in self._watched and not self._stopped:
                due[each] = time.monotonic() + self._interval.total_seconds()  # before it breaks
                self._refresh(each)
                due[each] = time.monotonic() + self._interval.total_seconds()
        return min(due.values(), default=now + 1.0)

    def _refresh(self, each: Refreshable) -> None:
        """Refresh one, whose troubles are none of the others'; the same trouble again is not told again."""
        try:
            each.refresh()
            self._broken.pop(each, None)
        except BaseException as error:
            kind = type(error)
            if self._broken.get(each) is not kind:
                logger.exception("a refresh broke; it is tried again")
            self._broken[each] = kind


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
        """Look once; whatever fails is noted in `Served.error` and leaves the rest as it was.

        Ends within the caller's patience, at the latest after some seconds. Where another look is under way for so long, this one is
        left to the next poll.
        """
        lock = self._lock()
        with patience(_REFRESH):
            if not lock.acquire(timeout=max(seconds_left(_REFRESH), 0.0)):
                logger.warning("another look is under way; what is new is served after the next poll")
                return
            try:
                self._look()
            finally:
                lock.release()
        self._looked.set()

    def _look(self) -> None:
        errors = [error for error in (self._attempt(self._refresh_settings), self._attempt(self._refresh_model)) if error]
        error = "; ".join(map(_told, errors)) or None
        if error is not None and error != self._served.error:
            unexpected = next((each for each in errors if not isinstance(each, PersonalizerError)), None)
            logger.warning("not everything could be refreshed; what was served goes on", extra={"error": error}, exc_info=unexpected)
        self._served = replace(self._served, error=error)

    def _lock(self) -> threading.Lock:
        """Give the lock of this process: one that was held when a process was forked stays so in the new one."""
        if self._refreshing[0] != os.getpid():
            self._refreshing = (os.getpid(), threading.Lock())
        return self._refreshing[1]

    def _attempt(self, refresh: Callable[[], None]) -> BaseException | None:
        """Give what it broke on: nothing that one loop meets may end the thread that hears of revoked keys for all of them."""
        try:
            refresh()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is logged, and shown in the loop's status
            return error
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
        pointer, model = self._loaded(self._wanted)
        published_at = pointer.published_at if pointer.version else None
        self._served = replace(self._served, version=pointer.version, published_at=published_at, model=model)
        logger.info("model loaded", extra={"model_version": pointer.version, "learned": pointer.counters.learned})

    def _loaded(self, pointer: Pointer) -> tuple[Pointer, Model]:
        """Load the model of this pointer; where it is gone since others were published meanwhile, that of the newest."""
        while pointer.version:
            try:
                return pointer, artifact.load_model(self._feed.artifact(pointer.version))
            except UnreadableError:
                newer = self._feed.news()
                if newer is None or newer.version == pointer.version:
                    raise
                self._wanted = pointer = newer
        return pointer, Model.cold()


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, PersonalizerError) else f"an unexpected failure ({type(error).__name__}), which was logged"
