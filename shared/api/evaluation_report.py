"""The full report of an evaluation on the wire: every estimator and every interval of each policy."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Annotated

from shared.api.evaluations import name_of
from shared.api.wire import WireModel, one_of
from shared.domain.evaluation import Lift, PolicySource, Report, Verdict

Bounds = list[float | None]


class WeightsBody(WireModel):
    """How far the log can tell of a policy: the mean weight has to be 1, and ``effectiveRounds`` of the policy's own would tell as much."""

    mean: float | None
    confidence_interval: Bounds
    is_sound: bool
    effective_rounds: float | None
    largest: float | None
    largest_possible: float | None
    forced_share: float


class LiftReportBody(WireModel):
    """How much more an event earns than with another policy: ``confidenceInterval`` is for one look, ``anytimeInterval`` for any number.

    ``differingShare`` is the share of rounds in which the two would not choose alike; null in evaluations of earlier releases.
    """

    value: float | None
    confidence_interval: Bounds
    anytime_interval: Bounds
    differing_share: float | None = None

    @staticmethod
    def of(lift: Lift) -> "LiftReportBody":
        """Write a lift."""
        return LiftReportBody(
            value=_number(lift.value),
            confidence_interval=_bounds(lift.interval),
            anytime_interval=_bounds(lift.anytime),
            differing_share=lift.differing,
        )


class PolicyReportBody(WireModel):
    """All that can be said of one policy, over all slots ("") or in one; null where rounds are too few to say it.

    ``title`` is what it is called for people, ``lift`` how much more an event earns than with the present policy, which has none.
    ``comparedWith`` names the policy that ``lift`` is over; ``lifts`` has that one, what was shown and the baseline, with intervals.
    """

    name: str
    title: str
    slot_id: str
    policy_source: Annotated[str, one_of(PolicySource)]
    rounds: int
    lift: float | None = None
    compared_with: str | None = None
    lifts: dict[str, LiftReportBody] | None = None
    estimates: dict[str, float | None]
    intervals: dict[str, Bounds]
    weights: WeightsBody

    @staticmethod
    def of(report: Report) -> "PolicyReportBody":
        """Write a report."""
        return PolicyReportBody(
            name=name_of(report.name, report.source),
            title=report.title,
            slot_id=report.slot,
            policy_source=report.source,
            rounds=report.rounds,
            lift=None if report.lift is None else _number(report.lift),
            compared_with=report.compared_with or None,
            lifts={name: LiftReportBody.of(each) for name, each in report.lifts.items()} or None,
            estimates=_numbers(report.estimates),
            intervals={name: _bounds(each) for name, each in report.intervals.items()},
            weights=WeightsBody(
                mean=_number(report.mean_weight),
                confidence_interval=_bounds(report.mean_weight_interval),
                is_sound=report.is_sound,
                effective_rounds=_number(report.effective_rounds),
                largest=_number(report.largest_weight),
                largest_possible=_number(report.largest_possible_weight),
                forced_share=report.forced,
            ),
        )


class VerdictBody(WireModel):
    """The result: ``policyName`` surely earns more than the present policy, or about ``moreEvents`` more events are needed to know."""

    sentence: str
    policy_name: str | None = None
    more_events: int | None = None


class EvaluationReportBody(WireModel):
    """The reports of all policies, and the verdict; none before the evaluation is over."""

    verdict: VerdictBody | None = None
    value: list[PolicyReportBody]

    @staticmethod
    def of(reports: Sequence[Report], verdict: Verdict | None) -> "EvaluationReportBody":
        """Write them in their order."""
        told = (
            None
            if verdict is None
            else VerdictBody(sentence=verdict.sentence, policy_name=verdict.policy or None, more_events=verdict.more_events or None)
        )
        return EvaluationReportBody(verdict=told, value=[PolicyReportBody.of(each) for each in reports])


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _bounds(ends: tuple[float, float]) -> Bounds:
    return [_number(end) for end in ends]


def _number(value: float) -> float | None:
    """Give a number that JSON has."""
    return value if isfinite(value) else None
