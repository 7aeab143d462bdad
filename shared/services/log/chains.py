"""The end of the joined log, without a look at all of it."""

from collections.abc import Callable, Sequence
from itertools import takewhile

from shared.domain.ports import JoinedLog

_STEPS_BACK = 20
"""Chunks that are gone through one by one before all are listed."""


async def latest(joined: JoinedLog, newest: str, *, wanted: Callable[[str], bool]) -> Sequence[str]:
    """List the chunks at the end of the chain that are wanted, in order, as far as the first that is not, or that is not there.

    Raises as `JoinedLog`.
    """
    names: list[str] = []
    name: str | None = newest
    while name and wanted(name):
        if len(names) >= _STEPS_BACK:
            return [*takewhile(wanted, reversed(await joined.chain()))][::-1]
        parent = await joined.parent(name)
        if parent is None:
            break
        names.append(name)
        name = parent
    return names[::-1]
