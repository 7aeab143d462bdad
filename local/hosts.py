"""The host processes of the service: which there are, how each is started, and what happens when one ends by itself."""

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from local.processes import GRACE, Child, LocalError

HTTP: Final = "http"
TIMERS: Final = "timers"
POISON: Final = "-poison"

MOST: Final = 64
"""Processes of a kind."""

TRIES: Final = 5
"""Times in a row that a process may end before it is ready; then something is wrong that another try does not mend."""

STAYED: Final = 60.0
"""Seconds after which a process that ends counts as one that had run well."""

LONGEST_PAUSE: Final = 30.0
"""Seconds before a process that ends again and again is started anew, at most."""

SILENT: Final = 60.0
"""Seconds without a sign of life after which a process that answers calls is killed, and another takes its place."""

log = logging.getLogger("local")


@dataclass(frozen=True, slots=True)
class Kind:
    """Processes that do the same: what their command line says of it, and how many there are."""

    name: str
    options: tuple[str, ...]
    count: int

    @property
    def names(self) -> list[str]:
        """What each of the processes is called.

        >>> Kind("http", (), 2).names, Kind("timers", (), 1).names
        (['http-1', 'http-2'], ['timers'])
        """
        return [self.name] if self.count == 1 else [f"{self.name}-{number}" for number in range(1, self.count + 1)]


def kinds_behind(functions: Sequence[Mapping[str, Any]], *, processes: int) -> list[Kind]:
    """Tell which processes there are beside those for HTTP: one for the timers, and so many for the functions of each queue.

    In Azure, too, timers run in one place, and the functions of each queue have instances of their own. A queue and its poison queue go
    together. ``functions`` is what ``GET /admin/functions`` answers.

    >>> queue = {"type": "queueTrigger", "queueName": "jobs"}
    >>> [kind.names for kind in kinds_behind([{"name": "do", "config": {"bindings": [queue]}}], processes=2)]
    [['do-1', 'do-2']]
    """
    queues: dict[str, list[str]] = {}
    has_timers = False
    for function in functions:
        for binding in function["config"]["bindings"]:
            has_timers |= binding["type"] == "timerTrigger"
            if binding["type"] == "queueTrigger":
                of_queue = queues.setdefault(binding["queueName"].removesuffix(POISON), [])
                of_queue.insert(len(of_queue) if binding["queueName"].endswith(POISON) else 0, function["name"])
    timers = [Kind(TIMERS, ("--no-http", "--timers", "--no-queues"), 1)] if has_timers else []
    return [
        *timers,
        *(
            Kind(names[0], ("--no-http", "--no-timers", "--queues", *(f"--only={name}" for name in names)), processes)
            for names in queues.values()
        ),
    ]


class Host:
    """One process that is to be there: it is started, listened to, and started again when it ends by itself."""

    def __init__(self, name: str, begin: Callable[[int], Child], *, clock: Callable[[], float] = time.monotonic) -> None:
        """``begin`` starts it; its argument is the descriptor to which it writes a byte each second, once it is ready."""
        self.name = name
        self.is_ready = False
        """Whether it has done its first work: a host of HTTP answers calls."""
        self._begin = begin
        self._clock = clock
        self._child: Child | None = None
        self._beats = -1
        self._started_at = self._heard_at = 0.0
        self._due: float | None = None
        self._failures = 0
        self._in_vain = 0
        self.start()

    def start(self) -> None:
        """Start it."""
        beats, heartbeat = os.pipe()
        try:
            os.set_blocking(beats, False)
            self._child = self._begin(heartbeat)
        except BaseException:
            os.close(beats)
            raise
        finally:
            os.close(heartbeat)
        self._close_beats()
        self._beats = beats
        self._due = None
        self.is_ready = False
        self._started_at = self._heard_at = self._clock()

    @property
    def pid(self) -> int | None:
        """The process's number; None while there is none."""
        return None if self._child is None else self._child.pid

    @property
    def ended(self) -> int | None:
        """The exit code with which it has ended; None while it runs or is about to be started again."""
        return None if self._child is None else self._child.exit_code

    def look(self, *, kill_if_silent: bool) -> None:
        """See to it that it runs; raises `LocalError` when it cannot be started."""
        now = self._clock()
        if self._child is None:
            if self._due is not None and now >= self._due:
                self.start()
            return
        self._listen(now)
        code = self._child.exit_code
        if code is not None:
            self._put_off(code, now)
        elif kill_if_silent and self.is_ready and now - self._heard_at > SILENT:
            log.error("a process is silent and is killed", extra={"of_process": self.name, "silent_seconds": round(now - self._heard_at)})
            self._heard_at = now
            self._child.kill()

    def ask_to_stop(self) -> None:
        """Ask it to end, and never start it again."""
        self._due = None
        if self._child is not None:
            self._child.ask_to_stop()

    def stop(self, *, grace: float) -> None:
        """Wait for its end, once it was asked to, and kill it if that takes longer than so many seconds."""
        if self._child is not None:
            self._child.end(grace=grace)
        self._close_beats()

    def _listen(self, now: float) -> None:
        with contextlib.suppress(BlockingIOError):
            if os.read(self._beats, 4096):
                self._heard_at = now
                self.is_ready = True

    def _put_off(self, code: int, now: float) -> None:
        """Say that it ended, and when it is started again: at once, unless it does that again and again."""
        assert self._child is not None
        self._in_vain = 0 if self.is_ready else self._in_vain + 1
        if self._in_vain == TRIES:
            raise LocalError(f"{self.title} ended by itself (exit code {code}) before it was ready, {TRIES} times. Stopping the rest.")
        self._failures = 0 if self.is_ready and now - self._started_at > STAYED else self._failures + 1
        pause = 0.0 if self._failures < 2 else min(2.0 ** (self._failures - 2), LONGEST_PAUSE)
        log.error(
            "a process ended by itself and is started again",
            extra={"of_process": self.name, "exit_code": code, "after_seconds": pause},
        )
        self._child.end(grace=0)
        self._child, self._due = None, now + pause

    @property
    def title(self) -> str:
        """What a sentence calls it."""
        return f"The process {self.name}"

    def _close_beats(self) -> None:
        if self._beats >= 0:
            os.close(self._beats)
        self._beats = -1


class Hosts:
    """All of them. They are stopped in order: timers and queues first, while calls are still answered."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], locks: Sequence[int]) -> None:
        self._command = command
        self._environment = environment
        self._locks = locks
        self._http: list[Host] = []
        self._behind: list[Host] = []

    @property
    def names(self) -> list[str]:
        """What they are called."""
        return [host.name for host in self._all]

    @property
    def answer(self) -> bool:
        """Whether all that answer calls are ready."""
        return all(host.is_ready for host in self._http)

    @property
    def are_ready(self) -> bool:
        """Whether all of them are ready."""
        return all(host.is_ready for host in self._all)

    @property
    def pids(self) -> dict[str, int]:
        """The numbers of those that are ready, by what they are called."""
        return {host.name: host.pid for host in self._all if host.is_ready and host.pid is not None}

    @property
    def _all(self) -> list[Host]:
        return [*self._http, *self._behind]

    def answering(self, options: Sequence[str], sockets: Sequence[int], *, name: str) -> None:
        """Start one that answers calls that come in at these listening sockets."""
        options = [*(f"--socket={number}" for number in sockets), *options, "--no-timers", "--no-queues"]
        self._http.append(Host(name, partial(self._child, name, options, sockets)))

    def working(self, kind: Kind) -> None:
        """Start those of a kind that answer no calls."""
        for name in kind.names:
            self._behind.append(Host(name, partial(self._child, name, kind.options, ())))

    def check(self) -> None:
        """Raise `LocalError` when one has ended."""
        for host in self._all:
            if host.ended is not None:
                raise LocalError(f"{host.title} ended by itself (exit code {host.ended}). Stopping the rest.")
            host.look(kill_if_silent=False)

    def look(self, *, kill_if_silent: bool) -> None:
        """Start again what has ended; raises `LocalError` for what cannot be started."""
        for host in self._http:
            host.look(kill_if_silent=kill_if_silent)
        for host in self._behind:  # a function of theirs may keep its loop busy for as long as it likes
            host.look(kill_if_silent=False)

    def stop(self) -> None:
        """Stop all."""
        for hosts in (self._behind, self._http):
            for host in hosts:
                host.ask_to_stop()
            until = time.monotonic() + GRACE + 2
            for host in hosts:
                host.stop(grace=max(until - time.monotonic(), 0.0))

    def _child(self, name: str, options: Sequence[str], sockets: Sequence[int], beat: int) -> Child:
        command = [*self._command, f"--process={name}", f"--heartbeat={beat}", *options]
        return Child(name, command, environment=self._environment, output=None, locks=self._locks, sockets=[*sockets, beat])


@contextlib.contextmanager
def stopped_in_order(hosts: Hosts) -> Iterator[Hosts]:
    """Stop them when the block is left, in whatever way."""
    try:
        yield hosts
    finally:
        hosts.stop()


def read_functions(body: bytes) -> Sequence[Mapping[str, Any]]:
    """Read what ``GET /admin/functions`` answered; raises `ValueError` for what is no list."""
    found = json.loads(body)
    if not isinstance(found, list):
        raise ValueError("not a list of functions")
    return found
