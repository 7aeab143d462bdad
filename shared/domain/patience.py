"""How long a call may still take, known to all that it calls: what waits for something outside heeds it.

Every thread and task begins with what its maker had. What goes on for others, as a queue's writer does, is begun in `unlimited`.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class _Patience:
    """Until when (of `time.monotonic`) all has to be done, and how many seconds one wait may take."""

    until: float = math.inf
    each: float = math.inf


_patience: ContextVar[_Patience] = ContextVar("patience", default=_Patience())  # noqa: B039 - it is frozen


@contextmanager
def patience(limit: timedelta, *, each: timedelta | None = None) -> Iterator[None]:
    """Let what is done inside take so long in all, and ``each`` wait of it so long; a limit that is set already still holds."""
    present = _patience.get()
    until = min(present.until, time.monotonic() + limit.total_seconds())
    token = _patience.set(_Patience(until, min(present.each, math.inf if each is None else each.total_seconds())))
    try:
        yield
    finally:
        _patience.reset(token)


def seconds_left(most: timedelta) -> float:
    """Tell for how many seconds something may be waited for: at most so long, and 0 or less when there is no time left.

    >>> seconds_left(timedelta(seconds=30))
    30.0
    >>> with patience(timedelta(seconds=8), each=timedelta(seconds=5)):
    ...     seconds_left(timedelta(seconds=30)), seconds_left(timedelta(seconds=2))
    (5.0, 2.0)
    """
    present = _patience.get()
    return min(most.total_seconds(), present.each, present.until - time.monotonic())


def unlimited() -> Context:
    """Give a copy of what is known here, but without any limit."""
    context = copy_context()
    context.run(_patience.set, _Patience())
    return context
