"""What timers do for every loop: one after another, in turns, for as long as a run may take."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.domain.clock import TimeLimit
from shared.runtime.wiring import Deployment

logger = logging.getLogger(__name__)

RUN_TIME: Final = timedelta(minutes=4)
"""After which a run begins nothing more: well before the host would end it (`functionTimeout` in host.json, 10 minutes)."""

TURN: Final = timedelta(minutes=1)
"""How long a loop with much to do keeps the others waiting."""

_MINUTE: Final = timedelta(minutes=1)


class Rounds:
    """Whose turn it is: a run begins with the loop behind the one that was served last, so that none is always the one left over.

    A new process does not know which that was, and begins somewhere else each minute: where every run is a process's last, each loop
    comes first now and then all the same.
    """

    def __init__(self) -> None:
        self._last = ""

    def order(self, names: Sequence[str], *, now: datetime) -> Sequence[str]:
        """Give the loops in the order in which a run takes them."""
        if not names:
            return ()
        place = names.index(self._last) + 1 if self._last in names else int(now.timestamp() // _MINUTE.total_seconds())
        first = place % len(names)
        return [*names[first:], *names[:first]]

    def note(self, name: str) -> None:
        """Note that this loop has its turn."""
        self._last = name


async def for_each_loop(
    deployment: Deployment,
    do: Callable[[Deployment, str], Awaitable[object]],
    failure: str,
    *,
    limit: TimeLimit | None = None,
    rounds: Rounds | None = None,
) -> None:
    """Do it for every loop that has a record; one that fails stops none of the others, and all failures are raised at the end.

    A loop for which it gives False has another turn after all others, and so on until the limit is over. What is left then is the next
    run's, which begins there if it has the same ``rounds``.
    """
    limit = limit or TimeLimit(RUN_TIME)
    names = await deployment.names()
    waiting = deque(rounds.order(names, now=deployment.clock.now()) if rounds is not None else names)
    failures: list[Exception] = []
    while waiting and not limit.is_over:
        name = waiting.popleft()
        if rounds is not None:
            rounds.note(name)
        try:
            if await do(deployment, name) is False:
                waiting.append(name)
        except Exception as error:
            logger.exception(failure, extra={"loop": name, "error": type(error).__name__})
            failures.append(error)
    if waiting:
        logger.info("the rest is left to the next run", extra={"loops": len(waiting)})
    if failures:
        raise ExceptionGroup(failure, failures)
