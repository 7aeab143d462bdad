"""Evaluations on the wire: the shapes of v1.0, of its previews, and of 2022-09-01-preview."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from shared.api.durations import Duration
from shared.api.gates import GateContract
from shared.api.lenient import Source
from shared.api.paging import read_number, refuse
from shared.api.policy import PolicyContract
from shared.api.times import Time, read_time, written_time
from shared.api.wire import WireModel, one_of, validated
from shared.domain.errors import (
    DuplicatePolicyNamesError,
    InvalidContractError,
    InvalidEvaluationDatesError,
    InvalidPolicyConfigurationError,
    InvalidPolicyContractError,
    InvalidRequestError,
    TooManyPoliciesError,
)
from shared.domain.evaluation import (
    AZURES_RANDOM,
    INTERVALS,
    RESERVED,
    Asked,
    Bucket,
    Estimate,
    Evaluation,
    EvaluationKind,
    Job,
    JobStatus,
    Listed,
    PolicyResult,
    PolicySource,
    Sums,
    Window,
)
from shared.domain.loop import LearningPolicy
from shared.learning.arguments import parse_arguments

MAX_NAME_LENGTH = 256
MAX_POLICIES = 10
_LONGEST_TOLD: Final = 64

POLICIES_SCHEMA = {"type": "array", "items": PolicyContract.model_json_schema(), "maxItems": MAX_POLICIES}

Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH)]


# --- what is asked for -----------------------------------------------------------------------------------------------


class RangeContract(WireModel):
    """What is asked of a range of the log, under a name."""

    name: Name
    start_time: Time
    end_time: Time

    def to_asked(self) -> Asked:
        """Give what is asked for; raises `InvalidContractError`."""
        if self.end_time <= self.start_time:
            raise InvalidContractError("endTime: must be later than startTime", target="endTime")
        return Asked(self.name, self.start_time, self.end_time)


class EvaluationContract(WireModel):
    """The body of POST evaluations and of PUT evaluations/{evaluationId}, which have other names for the same wish."""

    name: Name
    start_time: Time
    end_time: Time
    policies: Annotated[list[Any], WithJsonSchema(POLICIES_SCHEMA)]
    enable_offline_experimentation: bool | None = None
    enable_policy_optimization: bool | None = None

    def to_asked(self, source: Source | None = None) -> Asked:
        """Give what is asked for; raises `RequestError` of several kinds. ``source`` is the body as it came."""
        if self.end_time <= self.start_time:
            raise InvalidEvaluationDatesError("endTime: must be later than startTime", target="endTime")
        policies = read_policies(self.policies, source)
        seeks_better = bool(self.enable_offline_experimentation or self.enable_policy_optimization)
        return Asked(self.name, self.start_time, self.end_time, policies, seeks_better)


class PolicyReferenceContract(WireModel):
    """The body of POST configurations/applyFromEvaluation; with a ``gate``, which is ours, only a policy that passes is applied.

    Members that are not known are left unread, as everywhere, but for those that look like a gate: a policy must not be applied without
    the gate that was meant for it.
    """

    evaluation_id: Name
    policy_name: Name
    gate: GateContract | None = None

    @model_validator(mode="before")
    @classmethod
    def _names_its_gate(cls, given: Any) -> Any:
        """Refuse a member whose name is nearly that of the gate."""
        names = given if isinstance(given, dict) else ()
        for name in names:
            if name != "gate" and name.lower().startswith("gate"):
                raise PydanticCustomError("misspelt_gate", "{name} is no member; write gate", {"name": repr(name[:_LONGEST_TOLD])})
        return given


def read_policies(given: Sequence[Any], source: Source | None = None) -> tuple[LearningPolicy, ...]:
    """Read the policies that are to be compared; raises `RequestError` of several kinds. ``source`` is the body as it came."""
    if len(given) > MAX_POLICIES:
        found = f"policies: at most {MAX_POLICIES} can be compared at a time, not {len(given)}"
        raise TooManyPoliciesError(found, target="policies")
    policies = tuple([_policy(each, number, source) for number, each in enumerate(given)])
    _check_names(policies)
    return policies


def _policy(given: object, number: int, source: Source | None) -> LearningPolicy:
    there = ("policies", number)
    policy = validated(given, PolicyContract, InvalidPolicyContractError, where=there, source=source.at(*there) if source else None)
    place = f"policies[{number}].arguments"
    try:
        parse_arguments(policy.arguments)
    except InvalidPolicyConfigurationError as cause:
        raise InvalidPolicyConfigurationError(f"{place}: {cause}", target=place) from cause
    return policy.to_policy()


def _check_names(policies: Sequence[LearningPolicy]) -> None:
    names = set(RESERVED)
    for number, policy in enumerate(policies):
        if policy.name in names:
            whose = "that of a policy that every evaluation has" if policy.name in RESERVED else "another policy's already"
            place = f"policies[{number}].name"
            raise DuplicatePolicyNamesError(f"{place}: the name is {whose}", target=place)
        names.add(policy.name)


def name_of(name: str, source: PolicySource) -> str:
    """Give the name of a compared policy in answers: that of chance is Azure's."""
    return AZURES_RANDOM if source is PolicySource.RANDOM else name


# --- the shape of v1.0 and its previews ------------------------------------------------------------------------------

_OLD_STATUS: Final[Mapping[JobStatus, str]] = {
    JobStatus.NOT_SUBMITTED: "notSubmitted",
    JobStatus.RUNNING: "pending",
    JobStatus.SUCCEEDED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELED: "failed",
    JobStatus.TIMEOUT: "timeout",
    JobStatus.OPTIMAL_POLICY_APPLIED: "optimalPolicyApplied",
    JobStatus.ONLINE_POLICY_RETAINED: "onlinePolicyRetained",
}
_OLDEST_STATUS: Final[Mapping[JobStatus, str]] = {
    **_OLD_STATUS,
    JobStatus.TIMEOUT: "failed",
    JobStatus.OPTIMAL_POLICY_APPLIED: "completed",
    JobStatus.ONLINE_POLICY_RETAINED: "completed",
}
"""v1.0 has four words."""

_DIGITS_OF_COUNTS: Final = 6
"""A count is kept as a share of the rounds: what their product is off by is rounded away."""


class OldSummary(WireModel):
    """A policy over a bucket of ``aggregate_time_window``, or over all of the range (PT0S); ``non_zero_probability`` counts rounds."""

    time_stamp: Time
    ips_estimator_numerator: float
    ips_estimator_denominator: float
    snips_estimator_denominator: float
    aggregate_time_window: Duration = timedelta(0)
    non_zero_probability: float
    sum_of_squares: float
    confidence_interval: float
    average_reward: float | None = None

    @staticmethod
    def of(at: datetime, sums: Sums, estimate: Estimate, *, is_preview: bool, minutes: int = 0) -> "OldSummary":
        """Write figures over so many minutes, 0 for all of the range; the previews have the average beside them."""
        return OldSummary(
            time_stamp=at,
            ips_estimator_numerator=sums.weighted_rewards,
            ips_estimator_denominator=sums.rounds,
            snips_estimator_denominator=sums.weights,
            aggregate_time_window=timedelta(minutes=minutes),
            non_zero_probability=round(sums.nonzero * sums.rounds, _DIGITS_OF_COUNTS),
            sum_of_squares=sums.weighted_squares,
            confidence_interval=(estimate.upper - estimate.lower) / 2,
            average_reward=estimate.expected_reward if is_preview else None,
        )


class OldPolicyResult(WireModel):
    """A compared policy."""

    name: str
    arguments: str
    policy_source: Annotated[str, one_of(PolicySource)] | None = None
    summary: list[OldSummary] | None = None
    total_summary: OldSummary | None = None

    @staticmethod
    def of(result: PolicyResult, at: datetime, *, is_preview: bool, with_buckets: bool) -> "OldPolicyResult":
        """Write a result over all slots; a listing has no buckets."""
        total = OldSummary.of(at, result.sums, result.estimate, is_preview=is_preview) if result.sums and result.estimate else None
        return OldPolicyResult(
            name=name_of(result.name, result.source),
            arguments=result.arguments,
            policy_source=result.source if is_preview else None,
            summary=_summaries(result.buckets, is_preview=is_preview) if with_buckets and total else None,
            total_summary=total,
        )


class OldEvaluation(WireModel):
    """An evaluation; the last three members are those of the previews."""

    id: str
    name: str
    start_time: Time
    end_time: Time
    status: Annotated[str, one_of(dict.fromkeys(_OLD_STATUS.values()))]
    policy_results: list[OldPolicyResult]
    feature_importance: list[list[str]]
    evaluation_type: Annotated[str, one_of(EvaluationKind)] | None = None
    optimal_policy: str | None = None
    creation_time: Time | None = None

    @staticmethod
    def of(evaluation: Evaluation, *, version: str, with_buckets: bool = True) -> "OldEvaluation":
        """Write an evaluation for a version of the path; slots have no place in it."""
        job, is_preview = evaluation.job, version.lower() != "v1.0"
        results = [each for each in evaluation.results if not each.slot] or _without_figures(evaluation.policies)
        return OldEvaluation(
            id=job.id,
            name=job.name,
            start_time=job.since,
            end_time=job.until,
            status=(_OLD_STATUS if is_preview else _OLDEST_STATUS)[job.status],
            policy_results=[OldPolicyResult.of(each, job.until, is_preview=is_preview, with_buckets=with_buckets) for each in results],
            feature_importance=[list(group) for group in evaluation.important],
            evaluation_type=evaluation.kind if is_preview else None,
            optimal_policy=evaluation.optimal_policy if is_preview else None,
            creation_time=job.created_at if is_preview else None,
        )


def write_old_list(evaluations: Sequence[Evaluation], *, version: str) -> bytes:
    """Write a listing: a plain array, without time series."""
    written = [OldEvaluation.of(each, version=version, with_buckets=False).to_wire() for each in evaluations]
    return b"[" + b",".join(written) + b"]"


def _summaries(buckets: Sequence[Bucket], *, is_preview: bool) -> list[OldSummary]:
    return [OldSummary.of(each.at, each.sums, each.estimate, is_preview=is_preview, minutes=each.minutes) for each in buckets]


def _without_figures(policies: Sequence[LearningPolicy]) -> list[PolicyResult]:
    return [PolicyResult(policy.name, policy.arguments, PolicySource.CUSTOM) for policy in policies]


# --- the shape of 2022-09-01-preview ---------------------------------------------------------------------------------


class Summary(WireModel):
    """A policy over all of the range."""

    expected_reward: float
    confidence_interval: tuple[float, float]


class Data(Summary):
    """A policy over an interval."""

    time_stamp: Time


class TimeSeries(WireModel):
    """A policy over time."""

    data: list[Data]


class ComparedResult(WireModel):
    """A compared policy, over all slots ("") or in one."""

    name: str
    slot_id: str
    arguments: str
    policy_source: Annotated[str, one_of(PolicySource)]
    summary: Summary
    timeseries: TimeSeries


class EvaluationResult(WireModel):
    """The results in the requested times. Before there are any: the year 1 and no interval, as in the original."""

    start_time: str = "0001-01-01T00:00:00"
    end_time: str = "0001-01-01T00:00:00"
    interval_in_minutes: int = 0
    value: tuple[ComparedResult, ...] = ()


class EvaluationDetails(WireModel):
    """An evaluation as it stands in a listing."""

    id: str
    name: str
    start_time: Time
    end_time: Time
    creation_time: Time
    status: Annotated[str, one_of(JobStatus)]
    evaluation_type: Annotated[str, one_of(EvaluationKind)]

    @staticmethod
    def of(listed: Listed) -> "EvaluationDetails":
        """Write an entry of a listing."""
        return EvaluationDetails(**job_members(listed.job), evaluation_type=listed.kind)


class EvaluationBody(EvaluationDetails):
    """An evaluation with what it found."""

    optimal_policy: str | None = None
    description: str | None = None
    content: EvaluationResult

    @staticmethod
    def found(evaluation: Evaluation, asked: "EvaluationQuery") -> "EvaluationBody":
        """Write an evaluation, its time series as asked for."""
        return EvaluationBody(
            **job_members(evaluation.job),
            evaluation_type=evaluation.kind,
            optimal_policy=evaluation.optimal_policy or None,
            description=evaluation.job.description or None,
            content=_content(evaluation, asked) if evaluation.job.status.is_over else EvaluationResult(),
        )


class EvaluationPage(WireModel):
    """One page of a listing."""

    value: list[EvaluationDetails]
    next_link: str | None = None


def job_members(job: Job) -> dict[str, Any]:
    """Give the members that all kinds of analysis share."""
    return {
        "id": job.id,
        "name": job.name,
        "start_time": job.since,
        "end_time": job.until,
        "creation_time": job.created_at,
        "status": job.status.value,
    }


def _content(evaluation: Evaluation, asked: "EvaluationQuery") -> EvaluationResult:
    found = [(result, result.estimate) for result in evaluation.results]
    return EvaluationResult(
        start_time=written_time(asked.since),
        end_time=written_time(asked.until),
        interval_in_minutes=asked.interval_minutes,
        value=tuple([_compared(result, estimate, asked) for result, estimate in found if estimate]),
    )


def _compared(result: PolicyResult, estimate: Estimate, asked: "EvaluationQuery") -> ComparedResult:
    points = result.points(asked.window, asked.interval_minutes, since=asked.since, until=asked.until)
    return ComparedResult(
        name=name_of(result.name, result.source),
        slot_id=result.slot,
        arguments=result.arguments,
        policy_source=result.source,
        summary=Summary(**_bounds(estimate)),
        timeseries=TimeSeries(data=[Data(time_stamp=point.at, **_bounds(point.estimate)) for point in points]),
    )


def _bounds(estimate: Estimate) -> dict[str, Any]:
    return {"expected_reward": estimate.expected_reward, "confidence_interval": (estimate.lower, estimate.upper)}


# --- the queries of 2022-09-01-preview -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EvaluationQuery:
    """Which time series GET evaluations/{evaluationId} asks for."""

    since: datetime
    until: datetime
    interval_minutes: int
    window: Window


def read_evaluation_query(params: Mapping[str, str]) -> EvaluationQuery:
    """Read the query; raises `InvalidRequestError`, naming the parameter."""
    since, until = _time(params, "startTime"), _time(params, "endTime")
    if until <= since:
        refuse("endTime", "must be later than startTime")
    window = _window(params.get("window", Window.EXPANDING))
    interval = read_number(params, "intervalInMinutes", 5, lowest=1)
    if interval not in INTERVALS[window]:
        allowed = " or ".join(str(each) for each in INTERVALS[window])
        refuse("intervalInMinutes", f"with the window {window} it must be {allowed}, not {interval}")
    return EvaluationQuery(since, until, interval, window)


def read_kind(params: Mapping[str, str]) -> EvaluationKind | None:
    """Read the filter of a listing: which kind is wanted, None for all; raises `InvalidRequestError`."""
    if "filter" not in params:
        return None
    match = _FILTER.fullmatch(params["filter"])
    if match is None or match["kind"] not in {*EvaluationKind}:
        refuse("filter", "must be like metadata=evaluationType eq 'Manual', or 'Auto'")
    return EvaluationKind(match["kind"])


_FILTER: Final = re.compile(r"\s*(metadata\s*=\s*)?evaluationType\s+eq\s+'(?P<kind>[^']*)'\s*")


def _time(params: Mapping[str, str], name: str) -> datetime:
    if name not in params:
        refuse(name, "is needed in the query")
    try:
        return read_time(params[name])
    except ValueError as cause:
        raise InvalidRequestError(f"{name}: {cause}", target=name) from cause


def _window(text: str) -> Window:
    found = [window for window in Window if window.lower() == text.lower()]
    if not found:
        refuse("window", f"must be {' or '.join(Window)}")
    return found[0]
