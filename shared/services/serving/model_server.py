"""The models that Rank answers with: polled by a few threads a process, swapped whole, kept when a refresh fails."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import Any, Protocol

from shared.domain.budget import UNBOUNDED, Budget
from shared.domain.errors import PersonalizerError, UnreadableError
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopSettings
from shared.domain.patience import patience, seconds_left
from shared.domain.ports import LoopConfiguration, ModelFeed
from shared.learning import artifact
from shared.learning.arguments import PolicyArguments, parse_arguments
from shared.learning.model import Model
from shared.learning.sizes import bytes_in

logger = logging.getLogger(__name__)

_FIRST_LOOK = timedelta(milliseconds=500)
"""How long a process's first calls wait for the published model before they are answered without one."""


_REFRESH = timedelta(seconds=12)
"""How long a look may take in all: so long one loop may hold others up."""

_CAUGHT_UP = timedelta(seconds=2)
"""How long a call waits for what nobody had asked for, before it is answered by what is known."""

_TRIES = 3
"""To have a model that was let go."""

_EACH = 8
_MOST_THREADS = 4
"""A thread for every eight loops, up to four: a look is mostly waiting."""

RESTS_AFTER = timedelta(minutes=1)
"""How long nobody has called for a loop that is looked at seldom."""

REST = timedelta(minutes=10)
"""Between two looks at such a one: enough to hear that it was deleted."""


class Refreshable(Protocol):
    """What is looked after by polling threads."""

    def refresh(self) -> None:
        """Look once; raises nothing."""
        ...


@dataclass(eq=False, slots=True)
class _Watch:
    """Something to look after: when it is looked at next, when it was asked for, and when the last look that is over began.

    All of them are seconds of `time.monotonic`.
    """

    what: Refreshable
    due: float
    asked: float
    looked: float = -inf
    rests: bool = False
    is_busy: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Polling:
    """A few threads a process for all that has to be refreshed, started on first need, and again if they are gone (as after a fork).

    What is asked for is looked at every ``interval``, what nobody has asked for ``rests_after`` such a time once a ``rest``: whoever asks
    again is told that it is not fresh, and has it looked at before (`catch_up`).
    """

    def __init__(self, interval: timedelta, *, rests_after: timedelta = RESTS_AFTER, rest: timedelta = REST) -> None:
        self._interval = interval.total_seconds()
        self._rests_after = max(rests_after.total_seconds(), self._interval)
        self._rest = max(rest.total_seconds(), self._interval)
        self._watched: dict[Refreshable, _Watch] = {}
        self._broken: dict[Refreshable, type[BaseException]] = {}
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._pid = os.getpid()
        self._stopped = False

    def watch(self, refreshable: Refreshable) -> bool:
        """Refresh this soon, and again an interval after each time, while it is asked for; tells whether what is known of it is fresh."""
        watch = self._watched.get(refreshable)
        if watch is None or not self._is_running():
            self._begin(refreshable)
            return True
        watch.asked = time.monotonic()
        return not watch.rests or self._awake(watch)

    def catch_up(self, refreshable: Refreshable, limit: timedelta) -> None:
        """Refresh now what is not fresh, in the caller's thread; returns at the latest when the limit is over, whatever is known then."""
        watch = self._watched.get(refreshable)
        if watch is None or not watch.lock.acquire(timeout=limit.total_seconds()):
            return
        try:
            if watch.rests:  # no other caller was faster
                with patience(limit):
                    self._look(watch)
                with self._changed:
                    watch.rests, watch.due = False, watch.looked + self._interval
                    self._changed.notify()
        finally:
            watch.lock.release()

    def forget(self, refreshable: Refreshable) -> None:
        """Refresh this no more."""
        with self._changed:
            self._watched.pop(refreshable, None)
            self._broken.pop(refreshable, None)

    def stop(self) -> None:
        """End the threads; another `watch` starts them again."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=10)

    def _is_running(self) -> bool:
        return self._pid == os.getpid() and bool(self._threads) and self._threads[0].is_alive()

    def _awake(self, watch: _Watch) -> bool:
        """Look at it every interval again, if what is known is no older than that; tells whether that is so."""
        with self._changed:
            if time.monotonic() - watch.looked > self._interval:
                return False
            watch.rests, watch.due = False, watch.looked + self._interval
            self._changed.notify()
            return True

    def _begin(self, refreshable: Refreshable) -> None:
        if self._pid != os.getpid():  # what another process held or waited for is not there
            self._pid, self._changed, self._threads = os.getpid(), threading.Condition(), []
            self._watched = {each: _Watch(each, due=0.0, asked=watch.asked) for each, watch in list(self._watched.items())}
        with self._changed:
            now = time.monotonic()
            self._watched.setdefault(refreshable, _Watch(refreshable, due=now, asked=now)).asked = now
            if not self._is_running():
                self._stopped, self._threads = False, []
            wanted = min(1 + len(self._watched) // _EACH, _MOST_THREADS)
            while len(self._threads) < wanted and self._started():
                pass
            self._changed.notify()

    def _started(self) -> bool:
        thread = threading.Thread(target=self._poll, name="model-poll", daemon=True)
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or no memory for one: calls go on with what is known, and the next one tries again
            logger.exception("the thread that polls cannot be started")
            self._threads.remove(thread)
            return False
        return True

    def _poll(self) -> None:
        """Look for as long as the process lives, whatever breaks."""
        me = threading.current_thread()
        while not self._stopped and me in self._threads:
            try:
                self._look_at_next()
            except BaseException:
                logger.exception("a round of polling failed; another one follows")
                time.sleep(self._interval)

    def _look_at_next(self) -> None:
        watch = self._next()
        if watch is None:
            return
        try:
            self._look(watch)
        finally:
            watch.is_busy = False

    def _next(self) -> _Watch | None:
        """Give what is due; None when something may have changed, or the time has come, since nothing was."""
        with self._changed:
            now = time.monotonic()
            first = min((each for each in self._watched.values() if not each.is_busy), key=lambda each: each.due, default=None)
            if first is None or first.due > now:
                if not self._stopped:
                    self._changed.wait(1.0 if first is None else first.due - now)
                return None
            first.is_busy = True
            return first

    def _look(self, watch: _Watch) -> None:
        began = time.monotonic()
        watch.due = began + self._interval  # before it breaks
        self._refresh(watch.what)
        watch.looked, now = began, time.monotonic()
        watch.rests = now - watch.asked > self._rests_after
        watch.due = now + (self._rest if watch.rests else self._interval)

    def _refresh(self, each: Refreshable) -> None:
        """Refresh one, whose troubles are none of the others'; the same trouble again is not told again."""
        try:
            each.refresh()
            self._broken.pop(each, None)
        except BaseException as error:
            kind = type(error)
            if self._broken.get(each) is not kind:
                logger.exception("a refresh failed; it is tried again")
            self._broken[each] = kind


@dataclass(frozen=True, slots=True)
class Served:
    """All that Rank needs to know, swapped in one assignment. ``error`` says why the newest is not served, if so.

    ``arguments`` are those of the settings' policy, parsed. Where the model ``is_let_go`` a cold one is in its place.
    """

    version: str
    published_at: datetime | None
    model: Model
    settings: LoopSettings
    error: str | None = None
    arguments: PolicyArguments = field(default_factory=PolicyArguments)
    is_let_go: bool = False


class ModelServer:
    """What one loop serves in this process; the first call begins to poll for it.

    The model counts in ``budget``. Where it was let go it is read again by the next call, which waits for that. ``looked`` is told after
    each look.
    """

    def __init__(
        self,
        feed: ModelFeed,
        configuration: LoopConfiguration,
        *,
        defaults: LoopSettings,
        polling: Polling,
        budget: Budget | None = None,
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        self._feed = feed
        self._configuration = configuration
        self._polling = polling
        self._budget = budget or Budget(UNBOUNDED)
        self._tell = looked
        self.used_at = self._budget.monotonic()
        self._served = Served(
            version="",
            published_at=None,
            model=Model.cold(),
            settings=defaults,
            arguments=parse_arguments(defaults.policy.arguments),
        )
        self._swapping = threading.Lock()
        self._wanted: Pointer | None = None
        self._is_stopped = False
        self._refreshing = (os.getpid(), threading.Lock())
        self._looked = threading.Event()
        self._wait_until: float | None = None

    async def served(self) -> Served:
        """Give what is served now. Only a process's first calls may wait, half a second in all, for the first look.

        A call for a model that was let go waits until it is there again; where that takes too long, or fails, it gets a cold one.
        """
        if not self.watch():
            await self.catch_up()
        self.used_at = time.monotonic()
        if not self._looked.is_set():
            if self._wait_until is None:
                self._wait_until = time.monotonic() + _FIRST_LOOK.total_seconds()
            patience = self._wait_until - time.monotonic()
            if patience > 0:
                await asyncio.to_thread(self._looked.wait, patience)
        served = self._served
        for _ in range(_TRIES):  # another loop may have it let go at once
            if not served.is_let_go:
                break
            await asyncio.to_thread(self._take_up)
            served = self._served
        if not served.model.is_prepared:
            served.model.prepare()
            self._count(served.model)
        return served

    @property
    def has_looked(self) -> bool:
        """Whether a look is over, so that what is served is not only what a process begins with."""
        return self._looked.is_set()

    def watch(self) -> bool:
        """See to it that this is polled for; tells whether what is known is fresh."""
        return self._is_stopped or self._polling.watch(self)

    async def catch_up(self) -> None:
        """Look now: nobody had asked for long. Where that takes too long, what is known goes on."""
        await asyncio.to_thread(self._polling.catch_up, self, _CAUGHT_UP)

    def stop(self) -> None:
        """Poll for this no more, and let the model go."""
        self._is_stopped = True
        self._polling.forget(self)
        self._budget.drop(self)

    def let_go(self) -> int:
        """Let go of what scoring takes, and then of the model itself; what is polled for meanwhile is all but the model."""
        with self._swapping:
            served = self._served
            if served.model.is_prepared and served.version:
                served.model.let_go()
                return bytes_in(served.model)
            gone = bool(served.version) or served.is_let_go
            self._served = replace(served, version="", published_at=None, model=Model.cold(), is_let_go=gone)
        return 0

    def refresh(self) -> None:
        """Look once; whatever fails is noted in `Served.error` and leaves the rest as it was.

        Ends within the caller's patience, at the latest after some seconds. Where another look is under way for so long, this one is
        left to the next poll.
        """
        if self._looks_by_itself(_REFRESH, self._look):
            self._looked.set()
            self._tell()

    def _take_up(self) -> None:
        """Read the model again that was let go, unless another call just did."""
        self._looks_by_itself(_CAUGHT_UP, lambda: self._look(wants_model=True) if self._served.is_let_go else None)

    def _looks_by_itself(self, limit: timedelta, look: Callable[[], None]) -> bool:
        lock = self._lock()
        with patience(limit):
            if not lock.acquire(timeout=max(seconds_left(limit), 0.0)):
                logger.warning("another poll is running; the next one serves the news")
                return False
            try:
                look()
            finally:
                lock.release()
        return True

    def _look(self, *, wants_model: bool = False) -> None:
        looks: tuple[Callable[[], None], ...] = (self._refresh_settings, partial(self._refresh_model, wants_model=wants_model))
        errors = [error for error in map(self._attempt, looks) if error]
        error = "; ".join(map(_told, errors)) or None
        if error is not None and error != self._served.error:
            unexpected = next((each for each in errors if not isinstance(each, PersonalizerError)), None)
            logger.warning("not everything could be refreshed; the loop is served as before", extra={"error": error}, exc_info=unexpected)
        self._swap(error=error)

    def _swap(self, **changes: Any) -> None:
        with self._swapping:
            self._served = replace(self._served, **changes)

    def _count(self, model: Model) -> None:
        if not self._is_stopped:
            self._budget.hold(self, bytes_in(model))

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
        self._swap(settings=settings, arguments=arguments)

    def _refresh_model(self, *, wants_model: bool) -> None:
        self._wanted = self._feed.news() or self._wanted  # one that failed to load is wanted until another comes
        if self._wanted is None or (self._served.is_let_go and not wants_model):
            return
        if self._wanted.version == self._served.version:
            self._count(self._served.model)
            return
        pointer, model = self._loaded(self._wanted)
        published_at = pointer.published_at if pointer.version else None
        self._swap(version=pointer.version, published_at=published_at, model=model, is_let_go=False)
        self._count(model)
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
