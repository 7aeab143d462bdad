"""Scheduled evaluations: each period's is asked for once, and its figures are kept as a series.

A run is noted before its evaluation is asked for, and the evaluation's id follows from the period. So a period is run once, wherever a
process dies, and however many look at the same time: all writes of a schedule are on condition.
"""

import hashlib
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from math import isfinite
from typing import Final, Protocol

from shared.domain.clock import Clock, earlier, to_micros
from shared.domain.errors import (
    BusyError,
    ConflictError,
    EvaluationAlreadyExistsError,
    EvaluationNotFoundError,
    RequestError,
    ScheduleNotFoundError,
    TooManyKeptError,
    UnreadableError,
)
from shared.domain.evaluation import ONLINE, Asked, JobStatus, Report
from shared.domain.ports import ScheduleStore
from shared.domain.schedules import EVALUATIONS_KEPT, MOST_RUNS, MOST_SCHEDULES, Ends, Figure, Plan, Run, Schedule
from shared.evaluation.tally import DEFAULT
from shared.services.analysis.evaluations import Evaluations
from shared.services.analysis.optimizing import Settings

logger = logging.getLogger(__name__)

JOINING: Final = timedelta(minutes=10)
"""How long a trainer may take to join decisions that have waited for their rewards; a log that is further behind is not waited for."""

_ATTEMPTS: Final = 16
_LONGEST_NAME: Final = 256
_NONE: Final[Ends] = (None, None)


class Joined(Protocol):
    """The joined log; raises as `shared.domain.ports.JoinedLog` does."""

    async def watermark(self) -> datetime | None:
        """Tell up to which time decisions have been joined; None before the first commit."""
        ...


class Schedules:
    """The schedules of one loop. All methods raise `StorageUnavailableError`."""

    def __init__(self, loop: str, store: ScheduleStore, evaluations: Evaluations, settings: Settings, log: Joined, *, clock: Clock) -> None:
        self._loop = loop
        self._log = log
        self._store = store
        self._evaluations = evaluations
        self._settings = settings
        self._clock = clock

    # --- from outside --------------------------------------------------------------------------------------------------

    async def put(self, schedule_id: str, plan: Plan) -> Schedule:
        """Make a schedule, or change its plan; the series stays. A run that is due is begun at once. Raises `TooManyKeptError`."""
        for _ in range(_ATTEMPTS):
            present = await self._store.read(schedule_id)
            if present is None and await self._store.count() >= MOST_SCHEDULES:
                raise TooManyKeptError(f"a loop has at most {MOST_SCHEDULES} schedules: delete one that is no longer needed")
            known = Schedule(schedule_id, plan, self._clock.now()) if present is None else replace(present[0], plan=plan)
            if present is None or known != present[0]:
                try:
                    await self._store.write(known, expected=present[1] if present else None)
                except ConflictError:
                    continue
            await self._advance(schedule_id)
            return await self.read(schedule_id)
        raise BusyError("others kept changing the schedule")

    async def read(self, schedule_id: str) -> Schedule:
        """Give a schedule, with the figures that its runs have by now; raises `ScheduleNotFoundError`."""
        present = await self._store.read(schedule_id)
        if present is None:
            raise _missing(schedule_id)
        return await self._with_figures(present[0])

    async def all(self) -> Sequence[Schedule]:
        """Give all schedules, the oldest first; one that cannot be read is left out."""
        return [await self._with_figures(each) for each in await self._store.all()]

    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule and its series; evaluations that it has asked for stay. Raises `ScheduleNotFoundError`."""
        if not await self._store.delete(schedule_id):
            raise _missing(schedule_id)

    async def run(self) -> None:
        """Begin the runs that are due, and keep the figures of those that are over; doing so again changes nothing."""
        for each in await self._store.all():
            await self._advance(each.id)

    # --- one schedule --------------------------------------------------------------------------------------------------

    async def _advance(self, schedule_id: str) -> None:
        """Take a schedule as far as it goes now. Whoever finds that another has written leaves the rest to the next look."""
        present = await self._store.read(schedule_id)
        if present is None:
            return
        known, etag = present
        with suppress(ConflictError):
            schedule = await self._planned(await self._with_figures(known))
            self._tell(known, schedule)
            if schedule != known:
                etag = await self._store.write(schedule, expected=etag)
            asked = replace(schedule, runs=tuple([await self._asked(schedule, run) for run in schedule.runs]))
            if asked != schedule:
                etag = await self._store.write(asked, expected=etag)
            tidied = await self._tidied(asked)
            if tidied != asked:
                await self._store.write(tidied, expected=etag)

    async def _planned(self, schedule: Schedule) -> Schedule:
        """Note the run that is due."""
        due = schedule.due(self._clock.now())
        if due is None:
            return schedule
        wait, watermark = (await self._settings.read()).reward_wait, await self._log.watermark()
        until = range_end(due, wait=wait, watermark=watermark)
        run = Run(due, _evaluation_id(schedule, due), earlier(until, timedelta(days=schedule.plan.over_days)), until)
        return replace(schedule, runs=(*schedule.runs, run)[-MOST_RUNS:])

    async def _with_figures(self, schedule: Schedule) -> Schedule:
        return replace(schedule, runs=tuple([await self._looked_at(schedule.plan, run) for run in schedule.runs]))

    async def _looked_at(self, plan: Plan, run: Run) -> Run:
        """Give a run as its evaluation stands now."""
        if run.status.is_over or not run.is_asked:
            return run
        try:
            job = (await self._evaluations.read(run.evaluation)).job
            if not job.status.is_over:
                return replace(run, status=job.status, description=job.description)
            reports, _ = await self._evaluations.reported(run.evaluation)
        except EvaluationNotFoundError:
            return replace(run, status=JobStatus.CANCELED, description="Its evaluation was deleted before it was over.", is_kept=False)
        except UnreadableError as error:
            return replace(run, status=JobStatus.FAILED, description=str(error))
        return _over(run, plan, job.status, job.description, reports)

    async def _asked(self, schedule: Schedule, run: Run) -> Run:
        """Ask for a run's evaluation, unless that is done."""
        if run.is_asked or run.status.is_over:
            return run
        try:
            await self._evaluations.read(run.evaluation)  # whoever asked for it died before that was noted
        except EvaluationNotFoundError:
            return await self._submitted(schedule, run)
        except UnreadableError as error:
            return replace(run, status=JobStatus.FAILED, description=str(error))
        return replace(run, is_asked=True)

    async def _submitted(self, schedule: Schedule, run: Run) -> Run:
        plan = schedule.plan
        asked = Asked(f"{plan.name[: _LONGEST_NAME - 11]} {run.due:%Y-%m-%d}", run.since, run.until, plan.policies)
        online = (await self._settings.read()).policy
        try:
            await self._evaluations.submit(asked, online=online, request_id=run.evaluation, job_id=run.evaluation)
        except EvaluationAlreadyExistsError:
            return replace(run, is_asked=True)  # another process was first, with a plan that was changed at this moment
        except RequestError as error:
            logger.warning("a scheduled evaluation could not be asked for: %s", error, extra={"loop": self._loop, "schedule": schedule.id})
            return replace(run, status=JobStatus.FAILED, description=str(error), is_kept=False)
        return replace(run, is_asked=True)

    async def _tidied(self, schedule: Schedule) -> Schedule:
        """Delete the evaluations of runs that are over but for the last ones."""
        old = [run for run in schedule.runs[:-EVALUATIONS_KEPT] if run.is_kept and run.status.is_over]
        for run in old:
            with suppress(EvaluationNotFoundError):
                await self._evaluations.delete(run.evaluation)
        return replace(schedule, runs=tuple([replace(run, is_kept=False) if run in old else run for run in schedule.runs]))

    def _tell(self, before: Schedule, after: Schedule) -> None:
        """Log what the runs that have ended since came to, before it is stored: rather twice than never."""
        over = {run.evaluation for run in before.runs if run.status.is_over}
        for run in after.runs:
            if not run.status.is_over or run.evaluation in over:
                continue
            loop, schedule = self._loop, after.id
            if run.status is not JobStatus.SUCCEEDED:
                logger.warning("a scheduled evaluation has no figures", extra={"loop": loop, "schedule": schedule, "status": run.status})
            for each in run.figures:
                if each.is_below:
                    _tell_lift(loop, schedule, each)
            known = {each.policy for each in run.figures if each.lift is not None}
            for name in sorted(after.plan.least_lifts.keys() - known):
                logger.warning("a lift that a schedule asks for is not known", extra={"loop": loop, "schedule": schedule, "policy": name})


def _tell_lift(loop: str, schedule: str, figure: Figure) -> None:
    lowest, highest = figure.lift_interval
    logger.warning(
        "a lift is lower than its schedule asks for",
        extra={
            "loop": loop,
            "schedule": schedule,
            "policy": figure.policy,
            "lift": figure.lift,
            "lowest": lowest,
            "highest": highest,
            "least": figure.least,
        },
    )


# --- rules -------------------------------------------------------------------------------------------------------------


def range_end(due: datetime, *, wait: timedelta, watermark: datetime | None) -> datetime:
    """Give where the range of a run ends: where rewards have been joined, if that is not long ago, and never after the run was due.

    >>> from shared.domain.clock import EPOCH
    >>> day, hour = EPOCH + timedelta(days=1), timedelta(hours=1)
    >>> [str(range_end(day, wait=hour, watermark=each))[:16] for each in (day - hour, day + hour, EPOCH, None)]
    ['1970-01-01 23:00', '1970-01-02 00:00', '1970-01-01 22:50', '1970-01-01 22:50']
    """
    expected = earlier(due, wait + JOINING)
    return expected if watermark is None else min(due, max(watermark, expected))


def _evaluation_id(schedule: Schedule, due: datetime) -> str:
    """Name a period's evaluation: a schedule of the same id that is made later has others."""
    whose = hashlib.sha256(f"{to_micros(schedule.created_at)} {schedule.id}".encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"scheduled-{whose}-{due:%Y%m%dT%H%M%SZ}"


def _over(run: Run, plan: Plan, status: JobStatus, description: str, reports: Sequence[Report]) -> Run:
    """Keep what an evaluation that is over has found."""
    whole = [each for each in reports if not each.slot]
    return replace(
        run,
        status=status,
        description=description,
        compared_with=plan.compared_with,
        events=max((each.rounds for each in whole if each.name == ONLINE), default=0),
        figures=tuple([_figure(each, plan) for each in whole]),
    )


def _figure(report: Report, plan: Plan) -> Figure:
    lift = report.lifts.get(plan.compared_with)
    return Figure(
        report.name,
        report.source,
        _known(report.estimates[DEFAULT]),
        _ends(report.intervals["default"]),
        None if lift is None else _known(lift.value),
        _NONE if lift is None else _ends(lift.interval),
        _NONE if lift is None else _ends(lift.anytime),
        plan.least_lifts.get(report.name),
    )


def _ends(ends: tuple[float, float]) -> Ends:
    return _known(ends[0]), _known(ends[1])


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


def _missing(schedule_id: str) -> RequestError:
    return ScheduleNotFoundError(f"Schedule with id {schedule_id!r} not found", target="scheduleId")
