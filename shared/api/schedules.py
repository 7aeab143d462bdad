"""Schedules of evaluations on the wire: what is asked for again and again, and the series of its figures."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from shared.api.evaluations import MAX_POLICIES, POLICIES_SCHEMA, Name, name_of, read_policies
from shared.api.lenient import Source
from shared.api.times import Time
from shared.api.wire import WireModel, one_of
from shared.domain.errors import InvalidContractError
from shared.domain.evaluation import BASELINE, ONLINE, PRESENT, JobStatus, PolicySource
from shared.domain.schedules import MOST_EVERY, MOST_OVER, Figure, Plan, Run, Schedule

Bounds = list[float | None]
Rival = Literal["baseline1", "online", "present policy"]
Lift = Annotated[float, Field(allow_inf_nan=False)]

_MOST_LIFTS = MAX_POLICIES + 3
_FIXED = (ONLINE, PRESENT, BASELINE)


class ScheduleContract(WireModel):
    """The body of PUT evaluations/schedules/{scheduleId}."""

    name: Name
    every_days: Annotated[int, Field(ge=1, le=MOST_EVERY)]
    over_days: Annotated[int, Field(ge=1, le=MOST_OVER)]
    start_time: Time | None = None
    policies: Annotated[list[Any], WithJsonSchema(POLICIES_SCHEMA)] = Field(default_factory=list)
    compared_with: Rival = "baseline1"
    least_lifts: Annotated[dict[Name, Lift], Field(max_length=_MOST_LIFTS)] = Field(default_factory=dict)

    def to_plan(self, source: Source | None = None) -> Plan:
        """Give the plan; raises `RequestError` of several kinds for what a schema cannot say. ``source`` is the body as it came."""
        policies = read_policies(self.policies, source)
        valued = {*_FIXED, *[each.name for each in policies]} - {self.compared_with}
        for name in self.least_lifts:
            if name not in valued:
                why = "policies are compared with it" if name == self.compared_with else "no policy of the schedule has this name"
                raise InvalidContractError(f"leastLifts: {name!r} has no lift, because {why}", target="leastLifts")
        return Plan(
            self.name,
            self.every_days,
            self.over_days,
            self.start_time,
            policies,
            self.compared_with,
            dict(sorted(self.least_lifts.items())),
        )


class ScheduledPolicyBody(WireModel):
    """A policy that is compared by a schedule."""

    name: str
    arguments: str


class ScheduledFigureBody(WireModel):
    """What a run found of one policy, over all slots; a member that the log does not tell is left out or null.

    ``lift`` is over the run's ``comparedWith``. ``confidenceInterval`` and ``liftInterval`` (95 %) are for one look, ``anytimeInterval`` is
    the lift's for any number. ``isBelow`` tells that the lift is lower than ``leastLift``.
    """

    name: str
    policy_source: Annotated[str, one_of(PolicySource)]
    expected_reward: float | None = None
    confidence_interval: Bounds
    lift: float | None = None
    lift_interval: Bounds | None = None
    anytime_interval: Bounds | None = None
    least_lift: float | None = None
    is_below: bool | None = None

    @staticmethod
    def of(found: Figure) -> "ScheduledFigureBody":
        """Write a figure."""
        has_lift = found.lift is not None
        return ScheduledFigureBody(
            name=name_of(found.policy, found.source),
            policy_source=found.source,
            expected_reward=found.value,
            confidence_interval=[*found.interval],
            lift=found.lift,
            lift_interval=[*found.lift_interval] if has_lift else None,
            anytime_interval=[*found.anytime] if has_lift else None,
            least_lift=found.least,
            is_below=None if found.least is None or found.lift is None else found.is_below,
        )


class ScheduledRunBody(WireModel):
    """One run: ``evaluationId`` is left out when its evaluation is not kept any more, and ``value`` is empty without figures."""

    due_time: Time
    start_time: Time
    end_time: Time
    evaluation_id: str | None = None
    status: Annotated[str, one_of(JobStatus)]
    description: str | None = None
    compared_with: str | None = None
    events: int
    value: list[ScheduledFigureBody]

    @staticmethod
    def of(run: Run) -> "ScheduledRunBody":
        """Write a run."""
        return ScheduledRunBody(
            due_time=run.due,
            start_time=run.since,
            end_time=run.until,
            evaluation_id=run.evaluation if run.is_asked and run.is_kept else None,
            status=run.status,
            description=run.description or None,
            compared_with=run.compared_with or None,
            events=run.events,
            value=[ScheduledFigureBody.of(each) for each in run.figures],
        )


class ScheduleDetails(WireModel):
    """A schedule as it stands in a listing: ``lastRun`` is the newest that has begun, ``nextTime`` when the next one is due."""

    id: str
    name: str
    every_days: int
    over_days: int
    start_time: Time
    creation_time: Time
    next_time: Time
    policies: list[ScheduledPolicyBody]
    compared_with: str
    least_lifts: dict[str, float]
    number_of_runs: int
    last_run: ScheduledRunBody | None = None

    @staticmethod
    def of(schedule: Schedule, now: datetime) -> "ScheduleDetails":
        """Write an entry of a listing."""
        return ScheduleDetails(**_members(schedule, now))


class ScheduleBody(ScheduleDetails):
    """A schedule with its series, the oldest run first."""

    runs: list[ScheduledRunBody]

    @staticmethod
    def of(schedule: Schedule, now: datetime) -> "ScheduleBody":
        """Write a schedule."""
        return ScheduleBody(**_members(schedule, now), runs=[ScheduledRunBody.of(each) for each in schedule.runs])


class ScheduleList(WireModel):
    """All schedules, the oldest first."""

    value: list[ScheduleDetails]


def _members(schedule: Schedule, now: datetime) -> Mapping[str, Any]:
    plan = schedule.plan
    return {
        "id": schedule.id,
        "name": plan.name,
        "every_days": plan.every_days,
        "over_days": plan.over_days,
        "start_time": schedule.start,
        "creation_time": schedule.created_at,
        "next_time": schedule.next_due(now),
        "policies": [ScheduledPolicyBody(name=each.name, arguments=each.arguments) for each in plan.policies],
        "compared_with": plan.compared_with,
        "least_lifts": plan.least_lifts,
        "number_of_runs": len(schedule.runs),
        "last_run": ScheduledRunBody.of(schedule.runs[-1]) if schedule.runs else None,
    }
