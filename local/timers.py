"""Runs timer functions on their schedules."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from cronsim import CronSim

from local.backend import Backend, TimerCall, TimerTrigger
from local.settings import expand

log = logging.getLogger("local.timers")

LATE = timedelta(seconds=1)
"""A run that starts later than this after its moment is called past due."""


def next_due(schedule: str, after: datetime) -> datetime:
    """Find the first moment of an NCRONTAB schedule (six fields, seconds first, UTC) after the given one.

    >>> next_due("*/5 * * * * *", datetime(2026, 1, 1, 12, 0, 3, tzinfo=UTC)).isoformat()
    '2026-01-01T12:00:05+00:00'
    """
    moments = CronSim(schedule, after)
    moments.day_and = True  # NCRONTAB wants day and weekday both to match, cron either of them
    return next(moments)


class Timers:
    """The timer functions of one app: each on its own schedule, none overlapping itself.

    Unlike Azure's, the schedule's state is not kept: moments missed while the host was down are not made up for.
    """

    def __init__(self, backend: Backend, triggers: Iterable[TimerTrigger]) -> None:
        self._backend = backend
        self._triggers = {trigger.name.lower(): trigger for trigger in triggers}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Begin all schedules; a schedule that cannot be read raises here."""
        for trigger in self._triggers.values():
            schedule = expand(trigger.schedule)
            next_due(schedule, datetime.now(UTC))
            self._keep(self._repeat(trigger, schedule))

    def run_by_hand(self, name: str) -> bool:
        """Start one run now, whatever the schedule says; False when there is no such timer."""
        trigger = self._triggers.get(name.lower())
        if trigger is None:
            return False
        self._keep(self._fire(trigger, TimerCall()))
        return True

    async def stop(self, *, grace: float) -> None:
        """Start no more runs; give those that are running ``grace`` seconds to end."""
        self._stopping.set()
        if not self._tasks:
            return
        _, running = await asyncio.wait(self._tasks, timeout=grace)
        for task in running:
            task.cancel()

    async def _repeat(self, trigger: TimerTrigger, schedule: str) -> None:
        last: datetime | None = None
        if trigger.run_on_startup:
            await self._fire(trigger, TimerCall())
        due = next_due(schedule, datetime.now(UTC))
        while not await self._stopped_before(due):
            late = datetime.now(UTC) - due > LATE
            await self._fire(trigger, TimerCall(past_due=late, last=last, next=next_due(schedule, due)))
            last = due
            due = next_due(schedule, max(datetime.now(UTC), due))

    async def _stopped_before(self, due: datetime) -> bool:
        wait = (due - datetime.now(UTC)).total_seconds()
        try:
            await asyncio.wait_for(self._stopping.wait(), max(wait, 0))
        except TimeoutError:
            return self._stopping.is_set()
        return True

    async def _fire(self, trigger: TimerTrigger, call: TimerCall) -> None:
        try:
            await self._backend.call_timer(trigger, call)
        except Exception:
            log.exception("timer failed", extra={"function": trigger.name})

    def _keep(self, run: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(run)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
