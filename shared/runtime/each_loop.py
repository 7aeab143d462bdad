"""What timers do for every loop, one after another."""

import logging
from collections.abc import Awaitable, Callable

from shared.runtime.wiring import Deployment

logger = logging.getLogger(__name__)


async def for_each_loop(deployment: Deployment, do: Callable[[Deployment, str], Awaitable[object]], failure: str) -> None:
    """Do it for every loop that has a record; one that fails stops none of the others, and all failures are raised at the end."""
    failures: list[Exception] = []
    for name in await deployment.names():
        try:
            await do(deployment, name)
        except Exception as error:
            logger.exception(failure, extra={"loop": name, "error": type(error).__name__})
            failures.append(error)
    if failures:
        raise ExceptionGroup(failure, failures)
