"""Analyses of a range of the joined log: what was asked for, how far it has come, and what it found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.loop import LearningPolicy

ONLINE = "online"
"""The name, in every evaluation, of what was shown, by whichever policies; custom policies cannot have it."""

PRESENT = "present policy"
"""The name of the loop's own policy as it was when the evaluation was asked for, valued as every other on what is logged."""

BASELINE = "baseline1"
"""The name of the application's own choice: its first action that was not excluded, or what it names for a slot."""

RANDOM = "random"
"""The name of choosing evenly."""

AZURES_RANDOM = "baselineRand"
"""What Azure called it: the name that it has in answers."""

RESERVED = frozenset({ONLINE, PRESENT, BASELINE, RANDOM, AZURES_RANDOM})
"""Names of policies that every evaluation compares by itself."""


class JobStatus(StrEnum):
    """How far an analysis has come; a feature importance knows no policies to apply."""

    NOT_SUBMITTED = "NotSubmitted"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIMEOUT = "Timeout"
    CANCELED = "Canceled"
    OPTIMAL_POLICY_APPLIED = "OptimalPolicyApplied"
    ONLINE_POLICY_RETAINED = "OnlinePolicyRetained"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self not in (JobStatus.NOT_SUBMITTED, JobStatus.RUNNING)


class JobKind(StrEnum):
    """The kinds of analysis."""

    EVALUATION = "evaluation"
    IMPORTANCE = "importance"
    BREAKDOWN = "breakdown"


class EvaluationKind(StrEnum):
    """Who asked for it: somebody, or automatic optimisation."""

    MANUAL = "Manual"
    AUTO = "Auto"


class PolicySource(StrEnum):
    """Where a compared policy comes from."""

    ONLINE = "Online"
    BASELINE = "Baseline"
    RANDOM = "Random"
    CUSTOM = "Custom"
    OFFLINE_EXPERIMENTATION = "OfflineExperimentation"


class Window(StrEnum):
    """What a point of a time series sums up: all since the start, or its own interval."""

    EXPANDING = "Expanding"
    ROLLING = "Rolling"


INTERVALS: dict[Window, tuple[int, ...]] = {Window.EXPANDING: (5,), Window.ROLLING: (60, 360, 720, 1440)}
"""In minutes: which intervals go with a window."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all kinds of analysis have: decisions made in ``[since, until)`` are looked at.

    ``description`` says in words what there is to know beside ``status``. ``request_id`` is the client's own name for the request
    that asked for it ("": it gave none), by which a repeated one is known.
    """

    id: str
    name: str
    since: datetime
    until: datetime
    created_at: datetime
    status: JobStatus = JobStatus.NOT_SUBMITTED
    description: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants analysed; of other kinds than evaluations, only the first three. See `Evaluation` for the others."""

    name: str
    since: datetime
    until: datetime
    policies: tuple[LearningPolicy, ...] = ()
    seeks_better: bool = False
    weighs: bool = False


# --- evaluations -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a policy would have earned a round, and the bounds of its 95 % interval, which may lie beyond those of rewards."""

    expected_reward: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Sums:
    """Running sums over rounds of reward r with importance weight w, and the share of rounds that have one."""

    weighted_rewards: float
    rounds: float
    weights: float
    weighted_squares: float
    nonzero: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """``minutes`` from ``at`` on, by themselves; those without events are left out."""

    at: datetime
    sums: Sums
    estimate: Estimate
    minutes: int = 5


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a time series: the interval that begins at ``at``, or all until its end."""

    at: datetime
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Series:
    """An estimate over time; points are in order."""

    window: Window
    interval_minutes: int
    points: tuple[Point, ...]

    def between(self, since: datetime, until: datetime) -> tuple[Point, ...]:
        """Give the points in ``[since, until)``."""
        return tuple([point for point in self.points if since <= point.at < until])


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """A compared policy, over all slots ("") or in one; without figures as long as there are none."""

    name: str
    arguments: str
    source: PolicySource
    slot: str = ""
    estimate: Estimate | None = None
    sums: Sums | None = None
    buckets: tuple[Bucket, ...] = ()
    series: tuple[Series, ...] = ()

    def points(self, window: Window, interval_minutes: int, *, since: datetime, until: datetime) -> tuple[Point, ...]:
        """Give the time series of this window and interval, in ``[since, until)``."""
        found = [each for each in self.series if (each.window, each.interval_minutes) == (window, interval_minutes)]
        return found[0].between(since, until) if found else ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Policies compared: those of the loop itself, ``policies``, and better ones if it ``seeks_better``.

    ``online`` is the policy that the loop had when the evaluation was asked for. ``important`` are the features that matter, if it
    ``weighs`` them: those that matter alike in one group, the most important group first.
    """

    job: Job
    online: LearningPolicy
    policies: tuple[LearningPolicy, ...] = ()
    seeks_better: bool = False
    kind: EvaluationKind = EvaluationKind.MANUAL
    optimal_policy: str = ""
    results: tuple[PolicyResult, ...] = ()
    important: tuple[tuple[str, ...], ...] = ()
    weighs: bool = False

    @property
    def asked(self) -> tuple[str, Asked]:
        """What was asked for, and by which request."""
        return self.job.request_id, Asked(self.job.name, self.job.since, self.job.until, self.policies, self.seeks_better, self.weighs)

    def policy(self, name: str) -> LearningPolicy | None:
        """Give the policy of this name that can be served: one that was asked about, one that was found, or the loop's own."""
        found = [LearningPolicy(each.name, each.arguments) for each in self.results if each.source is PolicySource.OFFLINE_EXPERIMENTATION]
        named = next((policy for policy in (*self.policies, *found) if policy.name == name), None)
        return self.online if named is None and name in (ONLINE, PRESENT) else named


@dataclass(frozen=True, slots=True)
class Lift:
    """How much more a policy earns an event than another one, with 95 % intervals: for one look, and for any number of looks.

    ``differing`` is the share of rounds in which the two would not choose alike (None: not known, as of an earlier release's evaluation,
    whose intervals are put together from those of both policies).
    """

    value: float
    interval: tuple[float, float]
    anytime: tuple[float, float]
    differing: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All that can be said of one policy in one slot, or in all (""): every estimator, every interval (95 %), how far to trust them.

    ``title`` is what the policy is called for people, and ``lift`` how much more it earns than the present one, or than what was shown
    where that was not valued (None: it is that one). ``lifts`` are those over what was shown, the baseline and the present policy by
    their names, and ``compared_with`` names the one of them that ``lift`` is over ("": none).

    ``forced`` is the share of rounds in which only one of several actions could be logged.
    """

    name: str
    title: str
    source: PolicySource
    slot: str
    rounds: int
    estimates: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    mean_weight: float
    mean_weight_interval: tuple[float, float]
    is_sound: bool
    effective_rounds: float
    largest_weight: float
    largest_possible_weight: float
    forced: float
    lift: float | None = None
    lifts: Mapping[str, Lift] = field(default_factory=dict)
    compared_with: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluation comes to, in one sentence, and the policy that surely earns more than that of now ("": none).

    ``more_events`` are about as many as it takes to tell (0: it is told, or nothing would tell it).
    """

    sentence: str
    policy: str = ""
    more_events: int = 0


# --- feature importances ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FeatureScore:
    """How much is lost without a feature, 0 to 1, and the ends of its 95 % interval, where they are known."""

    namespace: str
    feature: str
    score: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class FeatureImportance:
    """How much each feature matters; ``scores`` descend."""

    job: Job
    scores: tuple[FeatureScore, ...] = ()

    @property
    def asked(self) -> tuple[str, Asked]:
        """What was asked for, and by which request."""
        return self.job.request_id, Asked(self.job.name, self.job.since, self.job.until)


# --- breakdowns from the log -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogBreakdown:
    """What was shown to whom in a range of the log, by the values of a ``feature``; its figures are a file of their own.

    They cover decisions before ``counted_until`` (None: there are none yet), and ``events`` of them.
    """

    job: Job
    feature: str
    counted_until: datetime | None = None
    events: int = 0

    @property
    def asked(self) -> tuple[str, Asked, str]:
        """What was asked for, and by which request."""
        return self.job.request_id, Asked(self.job.name, self.job.since, self.job.until), self.feature


# --- what a listing tells --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """An analysis as it stands in a listing: what is known of it without opening it. Only a breakdown has a ``feature``."""

    job: Job
    kind: EvaluationKind = EvaluationKind.MANUAL
    feature: str = ""
