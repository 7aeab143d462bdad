"""Feature importances on the wire: 2022-09-01-preview only."""

from typing import Annotated

from shared.api.evaluations import RangeContract, job_members
from shared.api.times import Time
from shared.api.wire import WireModel, one_of
from shared.domain.evaluation import FeatureImportance, FeatureScore, Job, JobStatus


class FeatureImportanceContract(RangeContract):
    """The body of PUT featureImportances/{featureImportanceId}."""


class FeatureScoreBody(WireModel):
    """How much one feature matters, and the ends of its 95 % interval: a member that Azure's answer did not have."""

    namespace: str
    feature_name: str
    score: float
    confidence_interval: list[float] | None = None

    @staticmethod
    def of(found: FeatureScore) -> "FeatureScoreBody":
        """Write a score."""
        interval = None if found.interval is None else [*found.interval]
        return FeatureScoreBody(namespace=found.namespace, feature_name=found.feature, score=found.score, confidence_interval=interval)


class FeatureImportanceDetails(WireModel):
    """A feature importance as it stands in a listing."""

    id: str
    name: str
    start_time: Time
    end_time: Time
    creation_time: Time
    status: Annotated[str, one_of(JobStatus)]

    @staticmethod
    def of(job: Job) -> "FeatureImportanceDetails":
        """Write an entry of a listing."""
        return FeatureImportanceDetails(**job_members(job))


class FeatureImportanceBody(FeatureImportanceDetails):
    """A feature importance with what it found."""

    feature_scores: list[FeatureScoreBody]
    description: str | None = None

    @staticmethod
    def found(importance: FeatureImportance) -> "FeatureImportanceBody":
        """Write a feature importance."""
        return FeatureImportanceBody(
            **job_members(importance.job),
            feature_scores=[FeatureScoreBody.of(each) for each in importance.scores],
            description=importance.job.description or None,
        )


class FeatureImportancePage(WireModel):
    """One page of a listing."""

    value: list[FeatureImportanceDetails]
    next_link: str | None = None
