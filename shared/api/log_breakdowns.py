"""Breakdowns from the log on the wire: what was shown to whom in a range of the log, by the values of a feature."""

from typing import Annotated

from pydantic import StringConstraints

from shared.api.evaluations import RangeContract, job_members
from shared.api.times import Time
from shared.api.wire import WireModel, one_of
from shared.domain.evaluation import JobStatus, Listed, LogBreakdown
from shared.domain.loop import MAX_FEATURE

Feature = Annotated[str, StringConstraints(min_length=1, max_length=MAX_FEATURE)]


class BreakdownContract(RangeContract):
    """The body of PUT breakdowns/{breakdownId}."""

    feature: Feature


class BreakdownDetails(WireModel):
    """A breakdown from the log as it stands in a listing."""

    id: str
    name: str
    feature: str
    start_time: Time
    end_time: Time
    creation_time: Time
    status: Annotated[str, one_of(JobStatus)]

    @staticmethod
    def of(listed: Listed) -> "BreakdownDetails":
        """Write an entry of a listing."""
        return BreakdownDetails(feature=listed.feature, **job_members(listed.job))


class BreakdownBody(BreakdownDetails):
    """A breakdown from the log: how far it is, and when it is over, how many events it counted and up to when."""

    events: int
    counted_until: Time | None = None
    description: str | None = None

    @staticmethod
    def found(breakdown: LogBreakdown) -> "BreakdownBody":
        """Write a breakdown."""
        return BreakdownBody(
            **job_members(breakdown.job),
            feature=breakdown.feature,
            events=breakdown.events,
            counted_until=breakdown.counted_until,
            description=breakdown.job.description or None,
        )


class BreakdownPage(WireModel):
    """One page of a listing."""

    value: list[BreakdownDetails]
    next_link: str | None = None
