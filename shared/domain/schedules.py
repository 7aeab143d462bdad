"""Schedules of evaluations: what is asked for again and again, and what each run of it found."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.domain.clock import EPOCH, later
from shared.domain.evaluation import BASELINE, PRESENT, JobStatus, PolicySource
from shared.domain.loop import LearningPolicy

MOST_SCHEDULES: Final = 10
"""How many a loop may have; a few more if they are made at the same moment."""

MOST_RUNS: Final = 104
"""Runs whose figures are kept: two years of weeks. The oldest go."""

EVALUATIONS_KEPT: Final = 4
"""Evaluations that are kept of a schedule's runs: their figures are kept for longer."""

MOST_EVERY: Final = 90
MOST_OVER: Final = 365
"""Days."""

RIVALS: Final = (BASELINE, "online", PRESENT)
"""Whom policies can be compared with."""

Ends = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for: every ``every_days`` an evaluation of the last ``over_days``, from ``start`` on (None: since it was made).

    Lifts are those over the policy ``compared_with``. ``least_lifts`` are lifts by the names of policies: an alert tells of each that is
    lower.
    """

    name: str
    every_days: int
    over_days: int
    start: datetime | None = None
    policies: tuple[LearningPolicy, ...] = ()
    compared_with: str = BASELINE
    least_lifts: dict[str, float] = field(default_factory=dict)

    @property
    def every(self) -> timedelta:
        """The time from one run to the next."""
        return timedelta(days=self.every_days)


@dataclass(frozen=True, slots=True)
class Figure:
    """What a run found of one policy, over all slots; None stands for what the log does not tell.

    ``interval`` and ``lift_interval`` (95 %) are for one look, ``anytime`` is the lift's for any number of looks. ``least`` is the lift
    that was asked for then.
    """

    policy: str
    source: PolicySource
    value: float | None = None
    interval: Ends = (None, None)
    lift: float | None = None
    lift_interval: Ends = (None, None)
    anytime: Ends = (None, None)
    least: float | None = None

    @property
    def is_below(self) -> bool:
        """Whether the lift is known, and lower than was asked for."""
        return self.least is not None and self.lift is not None and self.lift < self.least


@dataclass(frozen=True, slots=True)
class Run:
    """One period's evaluation, of decisions in ``[since, until)``; ``due`` names the period.

    ``is_asked`` tells that the evaluation was asked for, and ``is_kept`` that nobody has deleted it since, as far as is known.
    """

    due: datetime
    evaluation: str
    since: datetime
    until: datetime
    is_asked: bool = False
    is_kept: bool = True
    status: JobStatus = JobStatus.NOT_SUBMITTED
    description: str = ""
    compared_with: str = ""
    events: int = 0
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule and its series of runs, in the order in which they were begun."""

    id: str
    plan: Plan
    created_at: datetime = EPOCH
    runs: tuple[Run, ...] = ()

    @property
    def start(self) -> datetime:
        """When the first run was or will be due."""
        return self.plan.start or self.created_at

    def last_due(self, now: datetime) -> datetime | None:
        """Give the last time at which a run was due; None if there has been none.

        >>> made = Schedule("weekly", Plan("weekly", 7, 7), EPOCH)
        >>> [str(made.last_due(EPOCH + timedelta(days=days)))[:10] for days in (-1, 0, 6, 15)]
        ['None', '1970-01-01', '1970-01-01', '1970-01-15']
        """
        if now < self.start:
            return None
        return self.start + (now - self.start) // self.plan.every * self.plan.every

    def next_due(self, now: datetime) -> datetime:
        """Give the next time at which a run is due."""
        last = self.last_due(now)
        return self.start if last is None else later(last, self.plan.every)

    def due(self, now: datetime) -> datetime | None:
        """Give the period whose run has yet to be begun; None if there is none.

        Only the last one counts: periods that were missed are not made up for. Runs that a wrong clock has begun too early count when
        their time has come. A series that is nothing but such runs tells that the clock that is asked now is behind.
        """
        last = self.last_due(now)
        begun = [run.due for run in self.runs if run.due <= now]
        is_behind = not begun and len(self.runs) >= MOST_RUNS
        return None if last is None or is_behind or (begun and last <= max(begun)) else last
