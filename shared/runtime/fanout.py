"""Training many loops: the timer looks at all, and asks the function behind the queue for what it does not do itself."""

import asyncio
import hashlib
import logging
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.asked import LIFE, MOST_QUIET, Note
from shared.domain.clock import EPOCH, TimeLimit
from shared.domain.errors import ConflictError, NewerFormatError, PersonalizerError, StorageUnavailableError, UnreadableError
from shared.domain.loop import LoopRecord
from shared.domain.patience import patience
from shared.domain.recent import Recent
from shared.runtime.each_loop import RUN_TIME
from shared.runtime.loop_services import LoopServices
from shared.runtime.wiring import Deployment
from shared.services.training.asking import Request, divide
from shared.services.training.trainer import Outlook, Standing, Turn
from shared.storage import names
from shared.storage.job_queue import QueuedJobs
from shared.storage.lease import LEASE_SECONDS
from shared.storage.timer_notes import TrainingNotes

logger = logging.getLogger(__name__)

SLICE: Final = timedelta(seconds=20)
"""How long a loop is trained before others may have their turn; a window that is begun is brought to its end."""

SHARE: Final = timedelta(seconds=45)
"""How long the timer trains by itself before it looks again: less than from one run to the next, so that no loop waits to be seen."""

AT_A_TIME: Final = 8
"""Loops that are looked at, and messages that are sent, at once."""

_MESSAGE_LIFE: Final = 2 * LIFE
"""How long a message is kept that nobody takes; what is asked in it ends before, and its last try as well."""

_SENT_WITHIN: Final = timedelta(seconds=5)
"""How long a message may take: whoever sends it can do the work instead."""

_FAILED: Final = "training did not finish"
_REQUESTS_REMEMBERED: Final = 1_000


async def train_turn(services: LoopServices, limit: TimeLimit) -> tuple[Turn, Standing]:
    """Give a loop its turn, and tell how it stands then; raises as `Trainer.turn`."""
    turn = await services.trainer.turn(limit)
    return turn, await services.trainer.standing()


def tell(loop: str, turn: Turn, standing: Standing, *, asked_again: bool) -> None:
    """Write what a turn came to; ``asked_again`` if what is left was asked of the function behind the queue."""
    age = None if standing.model_age is None else standing.model_age.total_seconds()
    facts = {
        "loop": loop,
        "commits": len(turn.commits),
        "lag_seconds": standing.lag.total_seconds(),
        "model_age_seconds": age,
        "asked_again": asked_again,
    }
    logger.info("training finished", extra=facts)


# --- the timer ---------------------------------------------------------------------------------------------------------


async def train_several(deployment: Deployment, loops: Sequence[str], limit: TimeLimit) -> None:
    """Look at these loops and see to it that those with something to do are trained: here, or by whom the queue triggers.

    Where the queue cannot be reached all of it is done here, a turn for each loop, until the limit is over. One loop that fails stops none
    of the others; all failures are raised at the end.
    """
    failures: list[Exception] = []
    while True:
        round_ = _Round(deployment, loops, limit.within(SHARE), failures)
        if await round_.run() or limit.is_over:
            break
        loops = await deployment.names()
    if failures:
        raise ExceptionGroup(_FAILED, failures)


class _Notes:
    """The notes of all loops, as they are stored now."""

    def __init__(self, stored: TrainingNotes) -> None:
        self._stored = stored
        self._etag: str | None = None
        self._is_ours = self._is_stored = False
        self.kept: Mapping[str, Note] = {}

    async def read(self) -> None:
        """Read them; those of a later release are left alone and tell nothing, nor do those that storage does not give."""
        try:
            self.kept, self._etag = await self._stored.read()
            self._is_ours = self._is_stored = True
        except (NewerFormatError, StorageUnavailableError) as error:
            logger.warning("the trainer's timer works without notes: %s", error)

    async def keep(self, notes: Mapping[str, Note], *, at_once: bool = True) -> bool:
        """Keep them, in storage ``at_once`` or with the next; tells whether they are stored.

        Once another run has written, this one writes no more.
        """
        if notes != self.kept:
            self.kept, self._is_stored = dict(notes), False
        if at_once and not self._is_stored and self._is_ours:
            try:
                self._etag = await self._stored.write(self.kept, expected=self._etag)
                self._is_stored = True
            except (ConflictError, StorageUnavailableError) as error:
                self._is_ours = False
                logger.warning("the trainer's timer cannot keep its notes: %s", error)
        return self._is_stored


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at a loop gave: its note from now on, and what there is to do (None: it is quiet, or deleted)."""

    note: Note
    outlook: Outlook | None


class _Round:
    """One look at all loops, and what follows from it."""

    def __init__(self, deployment: Deployment, loops: Sequence[str], limit: TimeLimit, failures: list[Exception]) -> None:
        self._deployment = deployment
        self._loops = loops
        self._limit = limit
        self._failures = failures
        self._notes = _Notes(TrainingNotes(deployment.storage))
        self._queue = training_queue(deployment)
        self._is_heard = True
        self._unheard: frozenset[str] = frozenset()
        self._few = asyncio.Semaphore(AT_A_TIME)

    async def run(self) -> bool:
        """Do it, and tell whether no more is left than others were asked for."""
        await self._notes.read()
        looks = await self._looks()
        now = self._deployment.clock.now()
        seen = {name: look.outlook for name, look in looks.items() if look.outlook is not None}
        division = divide(seen, self._notes.kept, now=now)
        self._unheard = frozenset(name for name in division.here if self._notes.kept.get(name, Note()).has_asked(now=now))
        await self._notes.keep({name: look.note for name, look in looks.items()}, at_once=not division.asked)
        failed = await self._ask(division.asked)
        due = sum(outlook.is_due for outlook in seen.values())
        here = [*division.here, *sorted(failed, key=lambda name: not seen[name].is_small)]
        asked = len(division.asked) - len(failed)
        logger.info("loops looked at", extra={"loops": len(self._loops), "due": due, "asked": asked, "here": len(here)})
        return not await self._train_here(here)

    async def _looks(self) -> Mapping[str, _Look]:
        """Look at the loops, some at a time; of one that fails, or that there is no time for, the note stays as it is."""
        first = zlib.crc32(str(self._deployment.clock.now()).encode()) % max(len(self._loops), 1)
        ordered = [*self._loops[first:], *self._loops[:first]]
        looks = [await self._looked(name) for name in ordered[:1]]  # by itself: a process asks once whether its storage is whole
        looks += await asyncio.gather(*[self._looked(name) for name in ordered[1:]])
        return dict(zip(ordered, looks, strict=True))

    async def _looked(self, name: str) -> _Look:
        note = self._notes.kept.get(name, Note())
        async with self._few:
            if self._limit.is_over:
                return _Look(note, None)
            try:
                return await self._look(name, note)
            except Exception as error:
                logger.exception(_FAILED, extra={"loop": name, "error": type(error).__name__})
                self._failures.append(error)
                return _Look(note, None)

    async def _look(self, name: str, note: Note) -> _Look:
        """Look at a loop: one read if nothing can be due in it."""
        record = await self._deployment.record(name)
        if not record.is_there:
            return _Look(Note(), None)
        now, settings = self._deployment.clock.now(), self._digest(record)
        if note.is_quiet(settings, now=now):
            return _Look(note, None)
        outlook = await self._deployment.services_of(record).trainer.outlook()
        quiet_until = EPOCH if outlook.quiet_until is None else min(outlook.quiet_until, now + MOST_QUIET)
        return _Look(Note(settings, quiet_until, outlook.mark, note.asked_until if outlook.is_due else EPOCH), outlook)

    def _digest(self, record: LoopRecord) -> str:
        settings = self._deployment.settings
        return hashlib.sha256(f"{record}{settings.loop}{settings.grace}".encode("utf-8", "surrogatepass")).hexdigest()[:16]

    async def _ask(self, loops: Sequence[str]) -> Sequence[str]:
        """Ask for these loops, and give those for which that failed.

        It is noted first of all: a request that nobody remembers would be made again and again.
        """
        if not loops:
            return ()
        until = self._deployment.clock.now() + LIFE
        if not await self._notes.keep(self._asked(loops, until)):
            return loops
        sent = await asyncio.gather(*[self._sent(name) for name in loops])
        failed = [name for name, is_sent in zip(loops, sent, strict=True) if not is_sent]
        if failed:
            await self._notes.keep(self._asked(failed, EPOCH))
        return failed

    def _asked(self, loops: Sequence[str], until: datetime) -> Mapping[str, Note]:
        kept = self._notes.kept
        return {**kept, **{name: replace(kept.get(name, Note()), asked_until=until) for name in loops}}

    async def _sent(self, name: str) -> bool:
        async with self._few:
            if not self._is_heard:  # one that failed tells how the others would fare
                return False
            is_sent = await sent(self._queue, Request.new(name, now=self._deployment.clock.now()))
            self._is_heard = self._is_heard and is_sent
            return is_sent

    async def _train_here(self, loops: Sequence[str]) -> bool:
        """Train these loops in this process, in turns, as long as the limit lets; gives whether anything is left that nobody does."""
        waiting = deque(loops)
        while waiting and not self._limit.is_over:
            name = waiting.popleft()
            try:
                if await self._turn(name):
                    waiting.append(name)
            except Exception as error:
                logger.exception(_FAILED, extra={"loop": name, "error": type(error).__name__})
                self._failures.append(error)
        return bool(waiting)

    async def _turn(self, name: str) -> bool:
        """Give a loop a turn; gives whether something is left that nobody was asked for."""
        services = await self._deployment.fresh(name)
        if services is None:
            return False
        turn, standing = await train_turn(services, self._limit.within(SLICE))
        is_asked = not turn.is_done and await self._hand_over(name, standing)
        tell(name, turn, standing, asked_again=is_asked)
        return not turn.is_done and not is_asked

    async def _hand_over(self, name: str, standing: Standing) -> bool:
        """Leave the rest to the request that stands, or to a new one; tells whether that could be.

        A request that nothing came of is none to leave it to: as long as it stands the loop is gone on with here.
        """
        note = replace(self._notes.kept.get(name, Note()), mark=standing.mark)
        has_asked = note.has_asked(now=self._deployment.clock.now())
        await self._notes.keep({**self._notes.kept, name: note}, at_once=has_asked)
        if has_asked:
            return name not in self._unheard
        return not await self._ask([name])


def training_queue(deployment: Deployment) -> QueuedJobs:
    """Give the queue of the requests to train, of which none is kept that nobody took in time."""
    return QueuedJobs(deployment.host_storage, queue=names.TRAINING, life=_MESSAGE_LIFE)


async def sent(queue: QueuedJobs, request: Request, *, after: timedelta = timedelta(0)) -> bool:
    """Send a request, and tell whether it is stored; where that is not known it may be there all the same."""
    try:
        with patience(_SENT_WITHIN):
            await queue.send(request.written(), after=after)
    except StorageUnavailableError as error:
        logger.warning("no request to train could be sent: %s", error, extra={"loop": request.loop})
        return False
    return True


# --- the function behind the queue -------------------------------------------------------------------------------------


class Requests:
    """What a process does with the messages that ask it to train."""

    def __init__(self, limit: Callable[[], TimeLimit] = lambda: TimeLimit(RUN_TIME)) -> None:
        self._limit = limit
        self._done: Recent[bool] = Recent(size=_REQUESTS_REMEMBERED, longest=128)
        self._under_way: set[bytes] = set()

    async def handle(self, deployment: Deployment, message: bytes) -> None:
        """Train the loop that the message names, for a while, and ask for the rest.

        What cannot be read, comes too late or twice, or is of no loop is dropped. Raises as `Trainer.turn`; the host sends the message
        again then.
        """
        try:
            request = Request.read(message)
        except UnreadableError as error:
            logger.error("a request to train is dropped: %s", error)
            return
        key = f"{request.id}-{request.step}".encode("utf-8", "surrogatepass")
        if self._done.get(key) or key in self._under_way:
            return
        if not request.stands(deployment.clock.now()):
            logger.info("a request to train came too late", extra={"loop": request.loop})
            return
        self._under_way.add(key)
        try:
            await _train_asked(deployment, request, self._limit())
        finally:
            self._under_way.discard(key)
        self._done.put(key, True)


async def give_up(message: bytes) -> None:
    """Tell of a request that failed again and again, and drop it: the timer goes on looking at its loop."""
    try:
        loop = Request.read(message).loop
    except PersonalizerError:
        loop = ""
    logger.error("training given up", extra={"loop": loop})


async def _train_asked(deployment: Deployment, request: Request, limit: TimeLimit) -> None:
    """Train a slice and ask for the rest; where nobody can be asked it is gone on with here."""
    services = await deployment.fresh(request.loop)
    if services is None:
        return
    queue = training_queue(deployment)
    while request.stands(deployment.clock.now()) and not limit.is_over:
        turn, standing = await train_turn(services, limit.within(SLICE))
        is_left = turn.is_elsewhere or not turn.is_done
        after = timedelta(seconds=LEASE_SECONDS if turn.is_elsewhere else 0)  # by then a holder that died holds it no more
        again = request.again()
        is_asked = is_left and again.stands(deployment.clock.now() + after) and await sent(queue, again, after=after)
        tell(request.loop, turn, standing, asked_again=is_asked)
        if is_asked or not is_left or turn.is_elsewhere:
            return
