"""How large a window may be here: less, for a while, after a trainer died of one."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from shared.domain.attempt import NOTED, Attempt
from shared.domain.errors import ConflictError, PersonalizerError, UnavailableError
from shared.domain.ledger import Pointer
from shared.domain.lookback import Lookback
from shared.domain.ports import Attempts, EventLog
from shared.services.training.windows import Limits, Plan, plan_window

logger = logging.getLogger(__name__)


class Room:
    """Plans windows that have room, and notes the large ones while they are under way."""

    def __init__(self, log: EventLog, attempts: Attempts, limits: Limits) -> None:
        self._log = log
        self._attempts = attempts
        self._limits = limits
        self._etag: str | None = None
        self._is_large = False

    async def plan(self, pointer: Pointer, lookback: Lookback, *, horizon: datetime, most: int | None = None) -> Plan | None:
        """Plan as `plan_window`, of ``most`` events; a large window keeps to what experience has taught.

        Raises as the log and the notes do.
        """
        limits = replace(self._limits, max_events=self._limits.max_events if most is None else most)
        plan = await plan_window(self._log, pointer, lookback, horizon=horizon, limits=limits)
        self._is_large = plan is not None and plan.size > NOTED
        if plan is None or not self._is_large:
            return plan
        limit = (await self._noted()).after(pointer.sequence).limit
        if plan.size <= limit:
            return plan
        return await plan_window(self._log, pointer, lookback, horizon=horizon, limits=replace(limits, max_bytes=limit))

    @asynccontextmanager
    async def taken(self, pointer: Pointer) -> AsyncIterator[None]:
        """Have a note stand while the window that was planned is under way, if it is a large one.

        One that is still there tells that whoever wrote it died. A note that cannot be written is no reason not to go on.
        """
        if not self._is_large:
            yield
            return
        before = await self._noted()
        found = before.after(pointer.sequence)
        if before.under_way == pointer.sequence:  # here alone it is sure that nobody is at work on it
            logger.error("a window killed a trainer; smaller windows are used", extra={"bytes": found.limit})
        await self._note(found.begun(pointer.sequence))
        try:
            yield
        except (PersonalizerError, asyncio.CancelledError):  # told why, or asked to stop: no death
            await self._note(found.failed())
            raise
        await self._note(found.went_well(self._limits.max_bytes))

    async def _noted(self) -> Attempt:
        attempt, self._etag = await self._attempts.read() or (Attempt(self._limits.max_bytes), None)
        return replace(attempt, limit=min(attempt.limit, self._limits.max_bytes))

    async def _note(self, attempt: Attempt) -> None:
        try:
            self._etag = await self._attempts.write(attempt, expected=self._etag)
        except (ConflictError, UnavailableError) as error:
            logger.warning("a large window is not noted: %s", error)
