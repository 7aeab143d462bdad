"""Evaluations, feature importances and breakdowns from the log: asked for, listed, deleted, and a policy of one put to use."""

import asyncio
import logging
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from shared.domain.clock import EPOCH, Clock, earlier
from shared.domain.errors import (
    BreakdownAlreadyExistsError,
    BreakdownNotFoundError,
    BreakdownWithoutResultError,
    ConflictError,
    EvaluationAlreadyExistsError,
    EvaluationNotFoundError,
    FeatureImportanceAlreadyExistsError,
    FeatureImportanceNotFoundError,
    LearningSettingsNotFoundError,
    RequestError,
    TooManyKeptError,
    UnavailableError,
    UnreadableError,
)
from shared.domain.evaluation import (
    RESERVED,
    Asked,
    Evaluation,
    EvaluationKind,
    FeatureImportance,
    Job,
    JobKind,
    JobStatus,
    Listed,
    LogBreakdown,
    PolicyResult,
    Report,
    Verdict,
    Window,
)
from shared.domain.loop import LearningPolicy
from shared.domain.ports import JobStore
from shared.services.analysis.judging import judged
from shared.services.analysis.lifting import reports
from shared.services.analysis.results import Found, Part, parts, with_one_series, with_series
from shared.services.breakdowns import from_log
from shared.services.breakdowns.files import Kept
from shared.services.breakdowns.reading import Crossed, Listing, Query, Range, crossing, listing_of_actions, listing_of_segments
from shared.services.breakdowns.window import Breakdown
from shared.services.log.logs import DateRange
from shared.services.process.sharing import Shared

logger = logging.getLogger(__name__)

MOST_KEPT = 200
"""How many of a kind a loop may have; a few more if they are asked for at the same moment."""

_SEALING = timedelta(minutes=1)
"""The log goes by when decisions were stored, which is a little after they were made."""

_AT_ONCE = 16
_MOST_POINTS = 20_000
"""Longer time series are made anew each time they are asked for."""

_IDS = uuid.UUID("0d5bd3a5-51f1-4ea3-9d3c-1c1f2f3b8a55")

Analysis = TypeVar("Analysis", bound=Evaluation | FeatureImportance | LogBreakdown)


class LoggedRange(Protocol):
    """What tells from when to when something is logged: `shared.services.log.logs.Logs`."""

    async def date_range(self) -> DateRange | None:
        """Give the range, as far as the log is kept; None when nothing is logged."""
        ...


class Work(Protocol):
    """What does the work: `shared.services.analysis.running.Runner`; raises `StorageUnavailableError`."""

    async def start(self, kind: JobKind, job: Job) -> None:
        """Have a job begun soon; doing so again changes nothing."""
        ...

    async def drop(self, kind: JobKind, job: Job) -> None:
        """Delete all files of a job that was deleted."""
        ...

    async def found(self, kind: JobKind, job: Job) -> tuple[Found, ...]:
        """Give the sums of a job that is over; nothing if there are none. Raises `UnreadableError`."""
        ...


class _Analyses(Generic[Analysis]):
    """The analyses of one kind of a loop. All methods raise `StorageUnavailableError`."""

    noun: str
    kind: JobKind
    parameter: str
    already_exists: type[RequestError]
    not_found: type[RequestError]

    def __init__(self, store: JobStore[Analysis], log: LoggedRange, work: Work, *, clock: Clock) -> None:
        self._store = store
        self._log = log
        self._work = work
        self._clock = clock

    async def read(self, job_id: str) -> Analysis:
        """Give the analysis of this id; raises this kind's error when there is none."""
        present = await self._store.read(job_id)
        if present is None:
            raise self._missing(job_id)
        return present[0]

    async def delete(self, job_id: str) -> None:
        """Delete the analysis of this id, which cancels it if it is under way; raises as `read`."""
        try:
            job = (await self.read(job_id)).job
        except UnreadableError:
            job = None
        if not await self._store.delete(job_id):
            raise self._missing(job_id)
        if job is not None:
            await self._drop(job)

    async def _drop(self, job: Job) -> None:
        """Delete the files as well; those that stay are swept up later."""
        try:
            await self._work.drop(self.kind, job)
        except UnavailableError:
            logger.warning("files of a deleted analysis are left behind for now", extra={"job": job.id})

    async def listed(self) -> Sequence[Listed]:
        """List all, the newest first."""
        return await self._store.listed()

    async def logged(self) -> DateRange | None:
        """Tell from when to when something is logged."""
        return await self._log.date_range()

    async def _job(self, asked: Asked, job_id: str, request_id: str) -> Job:
        """Begin: over a range without a logged event there is nothing to wait for."""
        created_at = self._clock.now()
        logged = await self._log.date_range()
        if logged is None or asked.until <= earlier(logged.since, _SEALING) or logged.until < asked.since:
            status, description = JobStatus.SUCCEEDED, "No event was logged in this range."
        else:
            status, description = JobStatus.NOT_SUBMITTED, ""
        return Job(job_id, asked.name, asked.since, asked.until, created_at, status, description, request_id)

    async def _keep(self, analysis: Analysis) -> Analysis:
        """Store a new analysis and have it begun; the same request sent again gets what it made the first time.

        Raises this kind's error when the id is taken, and `TooManyKeptError`.
        """
        job_id = analysis.job.id
        present = await self._store.read(job_id)
        if present is None:
            await self._check_room()
            present = await self._created(analysis)
        if present is not None and (present[0] is analysis or (analysis.job.request_id and present[0].asked == analysis.asked)):
            await self._work.start(self.kind, present[0].job)
            return present[0]
        raise self.already_exists(f"{self.noun} with id {job_id!r} already exists", target=self.parameter)

    async def _created(self, analysis: Analysis) -> tuple[Analysis, str] | None:
        """Store it, and give it, or what another request stored first."""
        try:
            await self._store.create(analysis)
        except ConflictError:
            return await self._store.read(analysis.job.id)
        return analysis, ""

    async def _check_room(self) -> None:
        if len(await self._store.listed()) >= MOST_KEPT:
            raise TooManyKeptError(f"{MOST_KEPT} are kept already: delete one that is no longer needed")

    def _missing(self, job_id: str) -> RequestError:
        return self.not_found(f"{self.noun} with id {job_id!r} not found", target=self.parameter)


class Evaluations(_Analyses[Evaluation]):
    """The evaluations of a loop."""

    noun = "Evaluation"
    kind = JobKind.EVALUATION
    parameter = "evaluationId"
    already_exists = EvaluationAlreadyExistsError
    not_found = EvaluationNotFoundError

    def __init__(
        self, store: JobStore[Evaluation], log: LoggedRange, work: Work, *, clock: Clock, place: str = "", shared: Shared | None = None
    ) -> None:
        """``place`` tells this life of the loop from all others in what they share."""
        super().__init__(store, log, work, clock=clock)
        self._place = place
        self._results = (shared or Shared()).results

    async def submit(
        self,
        asked: Asked,
        *,
        online: LearningPolicy,
        request_id: str,
        job_id: str = "",
        kind: EvaluationKind = EvaluationKind.MANUAL,
    ) -> Evaluation:
        """Ask for an evaluation; without an id it gets one, the same for the same request.

        Raises `EvaluationAlreadyExistsError` and `TooManyKeptError`.
        """
        job = await self._job(asked, job_id or _new_id(asked, request_id), request_id)
        return await self._keep(Evaluation(job, online, asked.policies, asked.seeks_better, kind, weighs=asked.weighs))

    async def detailed(self, job_id: str) -> Evaluation:
        """Give the evaluation of this id with all its time series; raises as `read`."""
        evaluation = await self.read(job_id)
        return await asyncio.to_thread(_detailed, evaluation, await self._found(evaluation))

    async def with_series(self, job_id: str, window: Window, minutes: int) -> Evaluation:
        """Give the evaluation of this id with one of its time series, whose windows are so long; raises as `read`."""
        evaluation = await self.read(job_id)
        name = self._name(evaluation, f"{window} {minutes}")
        results: tuple[PolicyResult, ...] | None = self._results.get(name)
        if results is None:
            found = await self._found(evaluation)
            results = await asyncio.to_thread(_with_one_series, evaluation, found, window, minutes)
            if evaluation.job.status.is_over and sum(len(series.points) for each in results for series in each.series) <= _MOST_POINTS:
                self._results.put(name, results)
        return replace(evaluation, results=results)

    async def reported(self, job_id: str) -> tuple[Sequence[Report], Verdict | None]:
        """Say all there is to say of each policy of an evaluation, slot by slot, and what it comes to; nothing before it is over.

        Raises as `read`.
        """
        evaluation = await self.read(job_id)
        name = self._name(evaluation, "reports")
        reports: tuple[Sequence[Report], Verdict | None] | None = self._results.get(name)
        if reports is None:
            found = await self._found(evaluation)
            reports = await asyncio.to_thread(_reports, evaluation, found)
            if evaluation.job.status.is_over:
                self._results.put(name, reports)
        return reports

    def _name(self, evaluation: Evaluation, what: str) -> bytes:
        return f"{self._place} {evaluation.job.created_at} {what} {evaluation.job.id}".encode("utf-8", "surrogatepass")

    async def _found(self, evaluation: Evaluation) -> tuple[Found, ...]:
        return await self._work.found(self.kind, evaluation.job) if evaluation.results else ()

    async def of_kind(self, kind: EvaluationKind | None) -> Sequence[Listed]:
        """List those that were asked for in this way, or all, the newest first."""
        return [each for each in await self.listed() if kind is None or each.kind is kind]

    async def opened(self) -> Sequence[Evaluation]:
        """Read all, the newest first; one that cannot be read is left out."""
        ids = [each.job.id for each in await self.listed()]
        found: list[Evaluation] = []
        for first in range(0, len(ids), _AT_ONCE):
            found += await self._several(ids[first : first + _AT_ONCE])
        return found

    async def _several(self, ids: Sequence[str]) -> Sequence[Evaluation]:
        answers = await asyncio.gather(*[self._store.read(each) for each in ids], return_exceptions=True)
        for answer in answers:
            if isinstance(answer, UnreadableError):
                logger.warning("left out of a listing", extra={"reason": str(answer)})
            elif isinstance(answer, BaseException):
                raise answer
        return [answer[0] for answer in answers if isinstance(answer, tuple)]

    async def policy(self, job_id: str, name: str) -> LearningPolicy:
        """Give a policy of an evaluation that a loop can be served by.

        Raises `EvaluationNotFoundError` and `LearningSettingsNotFoundError`.
        """
        found = (await self.read(job_id)).policy(name)
        if found is not None:
            return found
        why = "is compared only and cannot be applied" if name in RESERVED else "is not in this evaluation"
        raise LearningSettingsNotFoundError(f"policyName: {name!r} {why}", target="policyName")


class FeatureImportances(_Analyses[FeatureImportance]):
    """The feature importances of a loop."""

    noun = "Feature importance"
    kind = JobKind.IMPORTANCE
    parameter = "featureImportanceId"
    already_exists = FeatureImportanceAlreadyExistsError
    not_found = FeatureImportanceNotFoundError

    async def submit(self, asked: Asked, *, request_id: str, job_id: str) -> FeatureImportance:
        """Ask for a feature importance; raises `FeatureImportanceAlreadyExistsError` and `TooManyKeptError`."""
        return await self._keep(FeatureImportance(await self._job(asked, job_id, request_id)))


class LogBreakdowns(_Analyses[LogBreakdown]):
    """The breakdowns from the log of a loop."""

    noun = "Breakdown"
    kind = JobKind.BREAKDOWN
    parameter = "breakdownId"
    already_exists = BreakdownAlreadyExistsError
    not_found = BreakdownNotFoundError

    async def submit(self, asked: Asked, feature: str, *, request_id: str, job_id: str) -> LogBreakdown:
        """Ask for a breakdown; raises `BreakdownAlreadyExistsError` and `TooManyKeptError`."""
        return await self._keep(LogBreakdown(await self._job(asked, job_id, request_id), feature))

    async def actions(self, job_id: str, query: Query) -> Listing:
        """Tell what was shown; raises as `read`, and `BreakdownWithoutResultError`."""
        asked, minutes, kept = await self._counted(job_id)
        found = await asyncio.to_thread(listing_of_actions, kept, asked.counted_until, replace(query, range=Range(), minutes=minutes))
        return replace(found, since=asked.job.since, feature=asked.feature)

    async def segments(self, job_id: str, query: Query) -> Listing:
        """Tell what was earned by the values of the feature; raises as `actions`."""
        asked, minutes, kept = await self._counted(job_id)
        found = await asyncio.to_thread(listing_of_segments, kept, asked.counted_until, replace(query, range=Range(), minutes=minutes))
        return replace(found, since=asked.job.since)

    async def crossed(self, job_id: str, *, actions: int, values: int) -> Crossed:
        """Tell what was shown to whom; raises as `actions`."""
        asked, _, kept = await self._counted(job_id)
        found = await asyncio.to_thread(crossing, kept, asked.counted_until, Range(), actions=actions, values=values)
        return replace(found, since=asked.job.since)

    async def clear(self) -> None:
        """Delete all: their values are from the log, which is deleted."""
        ids = [each.job.id for each in await self.listed()]
        for first in range(0, len(ids), _AT_ONCE):
            await asyncio.gather(*[self._deleted(each) for each in ids[first : first + _AT_ONCE]])

    async def _deleted(self, job_id: str) -> None:
        with suppress(BreakdownNotFoundError):
            await self.delete(job_id)

    async def _counted(self, job_id: str) -> tuple[LogBreakdown, int, Kept]:
        asked = await self.read(job_id)
        if asked.job.status is not JobStatus.SUCCEEDED:
            why = asked.job.description or "it waits for its turn"
            told = f"breakdown {job_id!r} has no figures ({asked.job.status.value}): {why}"
            raise BreakdownWithoutResultError(told, target=self.parameter)
        found = await self._work.found(self.kind, asked.job)
        if not found and asked.events:
            raise BreakdownWithoutResultError(f"the figures of breakdown {job_id!r} are not there any more", target=self.parameter)
        minutes, counted = await asyncio.to_thread(from_log.read, found[0].counted) if found else (0, Breakdown.none(asked.feature))
        return asked, minutes, Kept(EPOCH, EPOCH, counted)


def _detailed(evaluation: Evaluation, found: Sequence[Found]) -> Evaluation:
    taken = _by_policy(found)
    results = [(each, taken.get((each.name, each.slot))) for each in evaluation.results]
    return replace(evaluation, results=tuple([with_series(each, part) if part else each for each, part in results]))


def _with_one_series(evaluation: Evaluation, found: Sequence[Found], window: Window, minutes: int) -> tuple[PolicyResult, ...]:
    taken = _by_policy(found)
    results = [(each, taken.get((each.name, each.slot))) for each in evaluation.results]
    return tuple([with_one_series(each, part, window, minutes) if part else each for each, part in results])


def _reports(evaluation: Evaluation, found: Sequence[Found]) -> tuple[list[Report], Verdict | None]:
    by_policy = _by_policy(found)
    taken = [by_policy[each.name, each.slot] for each in evaluation.results if (each.name, each.slot) in by_policy]
    return reports(taken), judged(taken) if taken else None


def _by_policy(found: Sequence[Found]) -> dict[tuple[str, str], Part]:
    return {(part.contender.name, part.slot): part for part in reversed(parts(found))}  # of lanes that weigh features none comes first


def _new_id(asked: Asked, request_id: str) -> str:
    """Make an id; a request that has a name and is sent again gets the same one."""
    return str(uuid.uuid5(_IDS, f"{request_id}\0{asked}") if request_id else uuid.uuid4())
