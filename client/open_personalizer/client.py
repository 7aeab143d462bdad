"""The client: decides here, and tells the service."""

import atexit
import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from math import inf
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self, TypeVar, get_args
from urllib.parse import urlsplit

import urllib3

from open_personalizer.deciding import Decided, Deciding
from open_personalizer.errors import ClosedError, InvalidRequestError, NotStoredError, QueueFullError
from open_personalizer.health import Health, Tally
from open_personalizer.memory import MemoryQueue
from open_personalizer.rankings import Ranking, SlotsRanking
from open_personalizer.records import Queue, Record
from open_personalizer.requests import Action, Features, Slot, check_id, event_id_of, text_of
from open_personalizer.sending import Sender
from open_personalizer.serving import Basis, Feed
from open_personalizer.spool import Spool, default_folder
from open_personalizer.wire import Wire
from shared.domain.loop import DEFAULT_LOOP, LoopSettings

logger = logging.getLogger("open_personalizer")

AnswerOf = TypeVar("AnswerOf", Ranking, SlotsRanking)

Promise = Literal["acknowledged", "spooled", "memory"]
"""What holds once a call has returned."""

WhenFull = Literal["wait", "uniform"]
"""What rank does where there is no room to keep its decision."""

QUEUE_BYTES: Final = 64 << 20
SPOOL_BYTES: Final = 256 << 20
_AT_EXIT_SECONDS: Final = 5.0
_LINGER_SECONDS: Final = 0.05


class Options(NamedTuple):
    """How a client was asked to work."""

    promise: Promise
    when_full: WhenFull
    timeout: float
    queue_bytes: int
    spool: Path
    fsync: bool
    poll_seconds: float | None


class Engine:
    """What one process has of a client: its queue, its threads and its counts."""

    def __init__(self, wire: Wire, options: Options, basis: Basis) -> None:
        self.tally = Tally()
        self.options = options
        self.wire = wire
        self.feed = Feed(wire, basis, poll_seconds=options.poll_seconds)
        self._lock = threading.Lock()
        self._parts: tuple[Queue, Sender] | None = None
        self._spool: Spool | None = None

    @property
    def queue(self) -> Queue:
        """The queue, whose threads run."""
        return (self._parts or self._start())[0]

    def start(self) -> None:
        """Start the threads, unless they run."""
        self._parts or self._start()

    def waiting(self) -> tuple[int, int]:
        """Give how many records wait, and how many bytes."""
        return self._parts[0].waiting() if self._parts else (0, 0)

    def close(self, timeout: float) -> int:
        """Send what waits, for so long at most; gives how many records are left."""
        self.feed.stop(0.0)
        with self._lock:
            parts = self._parts
        if parts is None:
            return 0
        queue, sender = parts
        is_quiet = sender.close(timeout)
        left = queue.waiting()[0]
        lost = queue.close(is_sending=not is_quiet)
        self.tally.count(lost=lost)
        if lost:
            logger.error("%d decisions and observations were not sent in time, and are lost", lost)
        return left

    def abandon(self) -> None:
        """Let go, in a process that was forked, of what belongs to its parent."""
        if self._spool is not None:
            self._spool.abandon()

    def _start(self) -> tuple[Queue, Sender]:
        with self._lock:
            if self._parts is None:
                queue, sender = self._made()
                sender.start()
                self.feed.start()
                self._parts = queue, sender
            return self._parts

    def _made(self) -> tuple[Queue, Sender]:
        if self.options.promise == "spooled":
            self._spool = Spool(
                self.options.spool,
                endpoint=self.wire.endpoint,
                size=self.options.queue_bytes,
                fsync=self.options.fsync,
                tally=self.tally,
            )
            return self._spool, Sender(self._spool, self.wire, self.tally, linger=_LINGER_SECONDS, aside=self._spool.put_aside)
        queue = MemoryQueue(size=self.options.queue_bytes)
        linger = 0.0 if self.options.promise == "acknowledged" else _LINGER_SECONDS
        return queue, Sender(queue, self.wire, self.tally, linger=linger)


class Personalizer:
    """Ranks in this process, by the model and the settings of a loop of the service.

    ``endpoint`` is the address of the service, for example ``https://example.org``, or that of a loop, ``https://example.org/loops/news``;
    ``key`` is a full key of the loop. The promise says what holds once a call has returned:

    * ``spooled``: what it said is on the disk of this machine, and is sent even if this process is killed: by the next one that uses
      the same folder ``spool``. With ``fsync`` it survives a power cut as well.
    * ``acknowledged``: the service has stored it. A call takes as long as that.
    * ``memory``: it will be sent if this process lives long enough.

    What waits takes ``queue_bytes`` at most. Where there is no room, ``when_full`` says what `rank` does: ``wait`` for ``timeout``
    seconds, and then raise `QueueFullError`; or answer at once with equal probabilities (``uniform``; the baseline, outside Online
    mode), which nothing is learned from.

    May be shared between threads, and used after a fork. ``http`` is a `urllib3.PoolManager` for proxies or certificates of your own.
    """

    def __init__(
        self,
        endpoint: str,
        key: str,
        *,
        promise: Promise = "spooled",
        when_full: WhenFull = "wait",
        timeout: float = 10.0,
        queue_bytes: int | None = None,
        spool: Path | str | None = None,
        fsync: bool = False,
        poll_seconds: float | None = None,
        http: urllib3.PoolManager | None = None,
    ) -> None:
        if promise not in get_args(Promise):
            raise ValueError(f"promise: {promise!r} is none of {', '.join(get_args(Promise))}")
        if when_full not in get_args(WhenFull):
            raise ValueError(f"when_full: {when_full!r} is none of {', '.join(get_args(WhenFull))}")
        if not 0.0 <= timeout < inf:
            raise ValueError(f"timeout: {timeout!r} is no number of seconds")
        if poll_seconds is not None and not 0.0 < poll_seconds < inf:
            raise ValueError(f"poll_seconds: {poll_seconds!r} is no number of seconds")
        size = queue_bytes or (SPOOL_BYTES if promise == "spooled" else QUEUE_BYTES)
        folder = Path(spool) if spool is not None else default_folder()
        self._wire = Wire(endpoint, key, http)
        self._options = Options(promise, when_full, timeout, size, folder, fsync, poll_seconds)
        self._deciding = Deciding()
        self._engine = Engine(self._wire, self._options, Basis(LoopSettings(name=_loop_of(endpoint))))
        self._is_closed = False
        self._engine.start()
        _OPEN.add(self)

    def rank(
        self,
        context: Features,
        actions: Sequence[Action | Mapping[str, Any]],
        *,
        excluded: Sequence[str] = (),
        event_id: str | None = None,
        defer: bool = False,
    ) -> Ranking:
        """Choose an action to show.

        ``context`` is ``{"namespace": {"feature": value}}``, or a list of such objects. ``actions`` are 1 to 50 `Action`, or mappings with
        ``id`` and ``features``; those with an id in ``excluded`` are not chosen. The same ``event_id``, request and model give the same
        answer, as the service does. With ``defer`` nothing is learned before `activate`. Raises `InvalidRequestError`, `QueueFullError`,
        `ClosedError`, and, if the promise is ``acknowledged``, `NotStoredError` or `RefusedError`.
        """
        return self._kept(*self.decided(context, actions, excluded=excluded, event_id=event_id, defer=defer))

    def rank_slots(
        self,
        context: Features,
        actions: Sequence[Action | Mapping[str, Any]],
        slots: Sequence[Slot],
        *,
        event_id: str | None = None,
        defer: bool = False,
    ) -> SlotsRanking:
        """Choose an action for each slot, no action twice; the loop's policy has to be one for several slots. Raises as `rank`."""
        return self._kept(*self.decided_slots(context, actions, slots, event_id=event_id, defer=defer))

    def reward(self, event_id: str, value: float, *, slot: str | None = None, id: str | None = None) -> None:
        """Report how good the choice was, from −1 to 1; for an event with several slots, name the ``slot``. Raises as `rank`.

        If you may call this again for the same reward, for example when your application was started anew, give it an ``id``: of several
        rewards of an event, or slot, with the same one, the first counts. Without it each call is a reward of its own.
        """
        self._tell(self.engine, observation(event_id, value, slot, id))

    def activate(self, event_id: str) -> None:
        """Report that the choice of a call with ``defer`` was shown. Raises as `rank`."""
        self._tell(self.engine, activation(event_id))

    def wait_until_ready(self, timeout: float | None = None) -> bool:
        """Wait for the first model and settings, until when all actions are equally likely; tells whether they are there."""
        return self.engine.feed.wait(timeout)

    @property
    def health(self) -> Health:
        """How this client does."""
        engine = self._engine
        tally, feed = engine.tally, engine.feed
        waiting, size = engine.waiting()
        return Health(
            model_version=feed.basis.version,
            seconds_since_model_was_checked=None if feed.looked_at is None else time.monotonic() - feed.looked_at,
            model_error=feed.error,
            sending_error=tally.sending_error,
            waiting=waiting,
            waiting_bytes=size,
            stored=tally.stored,
            repeated=tally.repeated,
            observed=tally.observed,
            refused=tally.refused,
            refused_lines=tuple(tally.refused_lines),
            not_logged=tally.not_logged,
            lost=tally.lost,
            clock_offset_seconds=tally.clock_offset,
        )

    def close(self, timeout: float = 10.0) -> int:
        """Send what waits, for so many seconds at most, and stop; gives how much could not be sent.

        That is lost, and counted, unless the promise is ``spooled``: then the next client with the same folder sends it.
        """
        if self._is_closed:
            return 0
        self._is_closed = True
        _OPEN.discard(self)
        return self._engine.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def decided(
        self,
        context: Features,
        actions: Sequence[Action | Mapping[str, Any]],
        *,
        excluded: Sequence[str],
        event_id: str | None,
        defer: bool,
    ) -> tuple[Engine, Decided[Ranking]]:
        """Decide as `rank`, and keep nothing yet."""
        engine = self.engine
        basis = engine.feed.basis
        return engine, self._deciding.rank(basis, context, actions, excluded=excluded, event_id=event_id, deferred=defer)

    def decided_slots(
        self,
        context: Features,
        actions: Sequence[Action | Mapping[str, Any]],
        slots: Sequence[Slot],
        *,
        event_id: str | None,
        defer: bool,
    ) -> tuple[Engine, Decided[SlotsRanking]]:
        """Decide as `rank_slots`, and keep nothing yet."""
        engine = self.engine
        return engine, self._deciding.rank_slots(engine.feed.basis, context, actions, slots, event_id=event_id, deferred=defer)

    def awaited(self, record: Record) -> Record:
        """Wait for the outcome of this record, if that is the promise."""
        if self._options.promise == "acknowledged":
            record.outcome = Future()
        return record

    @property
    def engine(self) -> Engine:
        """What this process has of the client; raises `ClosedError`."""
        if self._is_closed:
            raise ClosedError("this client is closed")
        return self._engine

    def _kept(self, engine: Engine, decided: Decided[AnswerOf]) -> AnswerOf:
        answer, record, fallback = decided
        options = self._options
        self.awaited(record)
        try:
            engine.queue.put(record, options.timeout if options.when_full == "wait" else 0.0)
        except QueueFullError:
            if options.when_full == "wait":
                raise
            engine.tally.count(not_logged=1)
            return fallback()
        self._wait(engine, record)
        return answer

    def _tell(self, engine: Engine, record: Record) -> None:
        self.awaited(record)
        engine.queue.put(record, self._options.timeout)
        self._wait(engine, record)

    def _wait(self, engine: Engine, record: Record) -> None:
        if record.outcome is None:
            return
        try:
            record.outcome.result(self._options.timeout)
        except FutureTimeoutError as cause:
            raise not_stored(engine, record) from cause

    def _after_fork(self) -> None:
        old = self._engine
        old.abandon()
        self._wire = self._wire.after_fork()
        self._deciding = Deciding()
        old.feed.basis.model.let_go()  # another thread may have been about to change what it remembers
        self._engine = Engine(self._wire, self._options, old.feed.basis)


_OPEN: "weakref.WeakSet[Personalizer]" = weakref.WeakSet()


def observation(event_id: str, value: float, slot: str | None, id: str | None = None) -> Record:
    """Write a reward; raises `InvalidRequestError`."""
    number = value if isinstance(value, Real) and not isinstance(value, bool) else float("nan")  # numpy's numbers are real ones, too
    if not -1.0 <= number <= 1.0:  # so it is with what is no number
        given = "a larger whole number" if isinstance(value, int) and abs(value) > 1 else repr(value)  # digits may be too many to write
        raise InvalidRequestError(f"value: must be a number from -1 to 1, not {given}", target="value")
    own = _new_id() if id is None else text_of(check_id(id, "id"), "id")
    line = b'{"eventId":%b,"id":%b,"value":%b' % (_named(event_id), own, repr(float(number)).encode())
    if slot is not None:
        line += b',"slotId":' + text_of(check_id(slot, "slotId"), "slotId")
    return Record(False, time.time(), line)


def activation(event_id: str) -> Record:
    """Write an activation; raises `InvalidRequestError`."""
    return Record(False, time.time(), b'{"eventId":%b,"activate":true' % _named(event_id))


def not_stored(engine: Engine, record: Record) -> NotStoredError:
    """Take back what was not stored in time, if nobody sends it just now, and give the error to raise."""
    why = f" ({engine.tally.sending_error})" if engine.tally.sending_error else ""
    if engine.queue.withdraw(record):
        return NotStoredError(f"the service has not stored this in time; it is not tried any more{why}")
    return NotStoredError(f"the service has not confirmed in time that it stored this; it may store it yet{why}")


def _new_id() -> bytes:
    """Make an id by which the service knows a line again whose answer was lost."""
    return b'"%b"' % secrets.token_hex(8).encode()


def _named(event_id: str) -> bytes:
    if not event_id:
        raise InvalidRequestError("eventId: is missing", target="eventId")
    return text_of(event_id_of(event_id), "eventId")


def _loop_of(endpoint: str) -> str:
    """Give the name of the loop at this address, as the service names it in its draws.

    >>> _loop_of("https://example.org/loops/news/"), _loop_of("https://example.org")
    ('news', 'default')
    """
    places = [each for each in urlsplit(endpoint).path.split("/") if each]
    return places[-1] if len(places) >= 2 and places[-2] == "loops" else DEFAULT_LOOP


def _close_all() -> None:
    for client in list(_OPEN):
        client.close(_AT_EXIT_SECONDS)


def _all_after_fork() -> None:
    for client in list(_OPEN):
        client._after_fork()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_all_after_fork)
