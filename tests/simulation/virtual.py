"""Virtual time and chance: an event loop whose time jumps from one event to the next, and processes that live in it.

Every handle of the loop knows, by its context, whose it is. So a process can end at any moment, with all that it was about to do, or stand
still while time goes on for the others. Threads do not exist: what would run in one runs at a moment that the seed chooses.

`install` gives the modules of the service this time and this chance. It has to come before they are imported, since some of them
take `time.monotonic` for a default; so a simulation runs in a Python process of its own (`python -m tests.simulation`).
"""

import asyncio
import heapq
import os
import secrets
import sys
import time
import warnings
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

BEGIN: Final = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)
MOST_EVENTS: Final = 400_000
_real_monotonic = time.monotonic


class StuckError(AssertionError):
    """Nothing is left to happen, or it never ends, though somebody still waits."""


@dataclass(eq=False)
class Life:
    """A process from its start to its end: its own clock, chance, and whether it is there and moves."""

    name: str
    loop: "VirtualLoop"
    chance: Random
    offset: float = 0.0
    drift: float = 0.0
    tick: float = 1e-6
    ended: bool = False
    frozen_until: float = 0.0
    calls: int = 0
    tasks: "set[asyncio.Task[Any]]" = field(default_factory=set)

    def monotonic(self) -> float:
        return 1_000.0 + self.loop.time() * (1.0 + self.drift)

    def now(self) -> datetime:
        """Tell what its clock shows, which may go in ticks."""
        seconds = self.loop.time() * (1.0 + self.drift) + self.offset
        return BEGIN + timedelta(seconds=seconds // self.tick * self.tick)


current: ContextVar[Life | None] = ContextVar("life", default=None)


class Handle:
    """What asyncio has of the same name, without what is for debugging."""

    __slots__ = ("_when", "args", "callback", "context", "is_cancelled")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None, when: float = 0.0) -> None:
        self.callback = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self._when = when
        self.is_cancelled = False

    def when(self) -> float:
        return self._when

    def cancelled(self) -> bool:
        return self.is_cancelled

    def cancel(self) -> None:
        self.is_cancelled = True


class VirtualLoop:
    """Runs what is ready, in order; when nothing is, it is the time of the next timer. It has what asyncio asks of an event loop.

    While it ``is_quiet``, what would run in a thread runs at once.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._itself: Any = self  # for asyncio, which names a class that has far more
        self._now = start
        self._number = 0
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self.errors: list[str] = []
        self.has_seen_an_end = False
        self.is_calm = self.is_quiet = False
        self.events = 0

    # --- what a simulation does with it ----------------------------------------------------------------------------------

    def run(self, until: "asyncio.Future[Any]", *, most: int = MOST_EVENTS) -> Any:
        """Run until this is done, and give its result."""
        asyncio._set_running_loop(self._itself)
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=self._finalize)
        try:
            self._run(until, most)
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(None)
        return until.result()

    def _run(self, until: "asyncio.Future[Any]", most: int) -> None:
        ready, timers = self._ready, self._timers
        while not until.done():
            if ready:
                handle = ready.popleft()
            elif timers:
                at, _, handle = heapq.heappop(timers)
                if at > self._now:
                    self._now = at
            else:
                raise StuckError("nothing is left to happen, but somebody still waits")
            if handle.is_cancelled:
                continue
            life = handle.context.get(current)
            if life is not None:
                if life.ended:
                    continue
                if life.frozen_until > self._now:
                    self._push(life.frozen_until, handle)
                    continue
            self.events += 1
            if self.events > most:
                raise StuckError(f"{most} events, and no end")
            handle.context.run(handle.callback, *handle.args)

    def _push(self, at: float, handle: Handle) -> None:
        self._number += 1
        heapq.heappush(self._timers, (at, self._number, handle))

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        life = current.get()
        if life is None or not life.ended:
            self.create_task(generator.aclose())

    # --- what asyncio asks of it -----------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:
        handle = Handle(callback, args, context, when)
        self._push(when, handle)
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self._itself)

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: object = None, context: Context | None = None) -> "asyncio.Task[Any]":
        return asyncio.Task(coro, loop=self._itself, name=None if name is None else str(name), context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        """Do it at a moment a little later, at once: to all others it is as if a thread had done it."""
        future = self.create_future()
        if self.is_quiet:
            self._execute(future, func, args)
            return future
        life = current.get()
        delay = 0.0 if life is None else life.chance.random() * 0.002
        self.call_later(delay, self._execute, future, func, args)
        return future

    def _execute(self, future: "asyncio.Future[Any]", func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if future.cancelled():
            return
        try:
            result = func(*args)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            future.set_exception(error)
        else:
            future.set_result(result)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if "destroyed" in context["message"]:  # a process ended in the middle of it
            return
        if not (self.has_seen_an_end and "never retrieved" in context["message"]):  # what it left behind is cleared up anywhere
            self.errors.append(f"{context['message']}: {context.get('exception')!r}")


def install() -> None:
    """Have everything that is imported from now on live by the time and the chance of the process that it runs in."""
    time.monotonic = _monotonic
    secrets.token_hex = lambda nbytes=None: _bytes(nbytes or 32).hex()
    secrets.token_bytes = lambda nbytes=None: _bytes(nbytes or 32)
    secrets.token_urlsafe = _urlsafe
    secrets.randbelow = lambda exclusive_upper_bound: _chance().randrange(exclusive_upper_bound)
    os.urandom = _bytes
    from tests.simulation.cheap import make_cheap  # it imports some of the service

    make_cheap()
    sys.unraisablehook = lambda _: None  # a process that ended left coroutines behind, whose blocks cannot be left as they should
    warnings.simplefilter("ignore")  # and others that had not begun
    tasks = vars(asyncio.tasks)["_all_tasks" if sys.version_info < (3, 12) else "_scheduled_tasks"]
    tasks.add = lambda _: None  # nobody asks for all tasks


_elsewhere: Final = Random(0)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _monotonic() -> float:
    life = current.get()
    return _real_monotonic() if life is None else life.monotonic()


def _chance() -> Random:
    life = current.get()
    return _elsewhere if life is None else life.chance


def _bytes(size: int, /) -> bytes:
    return _chance().randbytes(size)


def _urlsafe(nbytes: int | None = None) -> str:
    return "".join(_chance().choices(_LETTERS, k=(nbytes or 32) * 4 // 3))
