"""Changing a loop's record: read, changed by a pure function, written on condition, and again if another was faster."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from shared.domain.clock import Clock
from shared.domain.errors import BusyError, ConflictError, ResourceNotFoundError
from shared.domain.loop import LoopRecord, LoopSettings, is_loop_name
from shared.domain.ports import LoopStore
from shared.services.loops.telling import told

_ATTEMPTS = 8
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Telling:
    """What a change is told by: the settings that the record overrides, and the time."""

    defaults: LoopSettings
    clock: Clock


async def edit(store: LoopStore, name: str, change: Callable[[LoopRecord], LoopRecord], *, telling: Telling | None = None) -> LoopRecord:
    """Change a loop's record, and give it as it is then; with ``telling`` the change is kept in the list of the loop's changes.

    ``change`` may be called several times; a loop without a record has an empty one. What changes nothing writes nothing, so a call that
    is repeated because its answer was lost does no harm. Raises what ``change`` raises, `ResourceNotFoundError` for a name that no loop
    can have, `BusyError` when others kept changing the record, and as `LoopStore`.
    """
    if not is_loop_name(name):
        raise ResourceNotFoundError(f"there is no loop {name[:40]!r}")
    for attempt in range(_ATTEMPTS):
        stored = await store.read(name)
        record, etag = stored or (LoopRecord(name), None)
        changed = change(record)
        if changed == record:
            return record
        try:
            note = told(record, changed, defaults=telling.defaults, now=telling.clock.now()) if telling else None
            await store.write(changed, expected=etag, change=note)
        except ConflictError:
            await asyncio.sleep(_PAUSE_SECONDS * attempt * secrets.randbelow(100) / 100)
            continue
        return changed
    raise BusyError(f"the record of the loop {name} is being changed by others at the same time; try again")
