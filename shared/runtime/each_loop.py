"""What timers do for every loop: one after another, in turns, for as long as a run may take."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.domain.clock import TimeLimit
from shared.domain.errors import ConflictError, NewerFormatError, StorageUnavailableError
from shared.runtime.wiring import Deployment
from shared.storage.timer_notes import KeptPlace

logger = logging.getLogger(__name__)

RUN_TIME: Final = timedelta(minutes=4)
"""After which a run begins nothing more: well before the host would end it (`functionTimeout` in host.json, 10 minutes)."""

TURN: Final = timedelta(minutes=1)
"""How long a loop with much to do keeps the others waiting."""

NOTED_AFTER: Final = 30.0
"""Seconds of a run after which it is noted again how far it came."""

_MINUTE: Final = timedelta(minutes=1)


class Rounds:
    """Whose turn it is: a run begins with the loop behind the one that was served last, so that none is always the one left over.

    With the name of a ``timer`` that is kept in storage, for the next run may be another process's: as a run begins, now and then, and
    where it ended before all had their turn. So a run that dies of a loop leaves the next one to begin behind it, sooner or later. Without
    it a new process begins somewhere else each minute, so that each loop comes first now and then all the same.
    """

    def __init__(self, timer: str = "") -> None:
        self._timer = timer
        self._last = ""
        self._etag: str | None = None
        self._noted_at: float | None = None

    async def begin(self, deployment: Deployment, names: Sequence[str]) -> Sequence[str]:
        """Give the loops in the order in which a run takes them."""
        self._noted_at = None
        if self._timer and len(names) > 1:
            await self._look_up(deployment)
        return self.order(names, now=deployment.clock.now())

    def order(self, names: Sequence[str], *, now: datetime) -> Sequence[str]:
        """Give the loops in the order in which a run takes them, by what this process knows."""
        if not names:
            return ()
        place = names.index(self._last) + 1 if self._last in names else int(now.timestamp() // _MINUTE.total_seconds())
        first = place % len(names)
        return [*names[first:], *names[:first]]

    async def note(self, deployment: Deployment, name: str, *, limit: TimeLimit) -> None:
        """Note that this loop has its turn in the run that began with this limit."""
        self._last = name
        if self._noted_at is not None and (now := limit.spent) >= self._noted_at + NOTED_AFTER:
            self._noted_at = now
            await self._keep(deployment)

    async def end(self, deployment: Deployment) -> None:
        """Note how far a run came that was ended before all had their turn."""
        if self._noted_at is not None:
            await self._keep(deployment)

    async def _look_up(self, deployment: Deployment) -> None:
        """Begin where the last run stopped, as far as that can be told; without a note a run does its work all the same."""
        try:
            found, self._etag = await self._kept(deployment).read()
        except (NewerFormatError, StorageUnavailableError) as error:
            logger.warning("the place where the last run stopped is not known: %s", error)
            return
        self._last = found or self._last
        self._noted_at = -NOTED_AFTER

    async def _keep(self, deployment: Deployment) -> None:
        try:
            self._etag = await self._kept(deployment).write(self._last, expected=self._etag)
        except (ConflictError, StorageUnavailableError) as error:
            self._noted_at = None
            logger.warning("how far this run came is not noted: %s", error)

    def _kept(self, deployment: Deployment) -> KeptPlace:
        return KeptPlace(deployment.storage, timer=self._timer)


async def for_each_loop(
    deployment: Deployment,
    do: Callable[[Deployment, str], Awaitable[object]],
    failure: str,
    *,
    limit: TimeLimit | None = None,
    rounds: Rounds | None = None,
    loops: Sequence[str] | None = None,
) -> None:
    """Do it for every loop that has a record; one that fails stops none of the others, and all failures are raised at the end.

    A loop for which it gives False has another turn after all others, and so on until the limit is over. What is left then is the next
    run's, which begins there if it has the same ``rounds``. ``loops`` are those to go over, if they were listed already.
    """
    limit = limit or TimeLimit(RUN_TIME)
    names = await deployment.names() if loops is None else loops
    waiting = deque(await rounds.begin(deployment, names) if rounds is not None else names)
    failures: list[Exception] = []
    while waiting and not limit.is_over:
        name = waiting.popleft()
        if rounds is not None:
            await rounds.note(deployment, name, limit=limit)
        try:
            if await do(deployment, name) is False:
                waiting.append(name)
        except Exception as error:
            logger.exception(failure, extra={"loop": name, "error": type(error).__name__})
            failures.append(error)
    if waiting:
        logger.info("the rest is left to the next run", extra={"loops": len(waiting)})
        if rounds is not None:
            await rounds.end(deployment)
    if failures:
        raise ExceptionGroup(failure, failures)
