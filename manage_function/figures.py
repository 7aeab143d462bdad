"""HTTP: the live figures, and how fast this process answers."""

from datetime import datetime
from typing import Any

import azure.functions as func

from shared.api.figures import (
    CumulatedBody,
    ExperimentBody,
    FiguresResponse,
    LatenciesBody,
    LatencyBody,
    LiftBody,
    MatchBody,
    PointBody,
    PolicyBody,
    SideBody,
    SplitBody,
    TotalsBody,
    WeighedPolicyBody,
    read_figures_query,
)
from shared.runtime.http import Call, answer
from shared.runtime.latency import RANK, REWARD, Latencies, Spread
from shared.services.figures.experiment import Experiment, Side
from shared.services.figures.lifts import Lift
from shared.services.figures.reading import Point, PolicyFigures, Query, Report, Totals


async def get(call: Call) -> func.HttpResponse:
    """Answer with the figures of the latest commit."""
    query = read_figures_query(call.query)
    report = await call.services.figures.report(Query(query.interval, query.since, query.until))
    now = call.deployment.clock.now()
    return answer(200, _body(call.loop, now, query.interval, report, _latencies(call.deployment.latencies, now)))


def _body(loop: str, now: datetime, interval: int, report: Report, latency: LatenciesBody) -> FiguresResponse:
    return FiguresResponse(
        loop=loop,
        as_of=now,
        watermark=report.watermark,
        since=report.since,
        interval_in_minutes=interval,
        totals=_totals(report.totals),
        timeseries=[_point(each) for each in report.points],
        cumulative=[CumulatedBody(time_stamp=each.at, policies=[_policy(one) for one in each.policies]) for each in report.cumulated],
        latency=latency,
        **({} if report.experiment is None else {"experiment": _experiment(report.experiment)}),
    )


def _experiment(found: Experiment) -> ExperimentBody:
    return ExperimentBody(
        since=found.since,
        until=found.until,
        events=found.events,
        baseline=_side(found.baseline),
        learned=_side(found.learned),
        lift=_lift(found.lift),
        split=SplitBody(asked=found.split.asked, found=found.split.found, p_value=found.split.p_value, is_as_asked=found.split.is_as_asked),
        verdict=found.verdict.value,
        proven_since=found.proven_since,
    )


def _side(side: Side) -> SideBody:
    return SideBody(events=side.events, expected_reward=side.expected_reward, confidence_interval=side.interval)


def _totals(totals: Totals) -> TotalsBody:
    of_apprentice = {} if totals.match_rate is None else {"apprentice": MatchBody(match_rate=totals.match_rate)}
    policies = [_weighed(each) for each in totals.policies]
    return TotalsBody(
        events=totals.events, average_reward=totals.average_reward, policies=policies, lift=_lift(totals.lift), **of_apprentice
    )


def _lift(lift: Lift) -> LiftBody:
    return LiftBody(
        value=lift.value,
        confidence_interval=None if lift.value is None else (lift.lower, lift.upper),
        difference=lift.difference,
        difference_interval=lift.difference_interval,
        more_events=lift.more_events,
    )


def _point(point: Point) -> PointBody:
    told = {"match_rate": point.match_rate, "proposed_reward": point.proposed_reward}
    of_apprentice: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    return PointBody(
        time_stamp=point.at,
        events=point.events,
        rewards=point.rewards,
        late_rewards=point.late_rewards,
        unknown_rewards=point.unknown_rewards,
        skipped=dict(point.skipped),
        average_reward=point.average_reward,
        exploration_share=point.exploration_share,
        entropy=point.entropy,
        lag_seconds=point.lag_seconds,
        policies=[_policy(each) for each in point.policies],
        **of_apprentice,
    )


def _policy(figures: PolicyFigures) -> PolicyBody:
    return PolicyBody(
        name=figures.name,
        expected_reward=figures.expected_reward,
        confidence_interval=figures.interval,
        effective_events=figures.effective_events,
    )


def _weighed(figures: PolicyFigures) -> WeighedPolicyBody:
    return WeighedPolicyBody(
        **_policy(figures).model_dump(), mean_weight=figures.mean_weight, mean_weight_interval=figures.mean_weight_interval
    )


def _latencies(latencies: Latencies, now: datetime) -> LatenciesBody:
    rank, reward = (_latency(latencies.of[kind].spread()) for kind in (RANK, REWARD))
    return LatenciesBody(since=latencies.since(now), rank=rank, reward=reward)


def _latency(spread: Spread) -> LatencyBody:
    p50, p95, p99 = (_milliseconds(each) for each in (spread.p50, spread.p95, spread.p99))
    return LatencyBody(count=spread.count, p50_ms=p50, p95_ms=p95, p99_ms=p99)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000.0 * seconds, 3)
