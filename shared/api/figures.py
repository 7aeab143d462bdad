"""GET figures on the wire."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from pydantic import WithJsonSchema

from shared.api.paging import refuse
from shared.api.times import Time, read_time
from shared.api.wire import WireModel, one_of
from shared.domain.errors import InvalidRequestError
from shared.domain.experiment import Verdict

INTERVALS: Final = (5, 60, 1440)

_ENDS = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
Ends = Annotated[tuple[float, float], WithJsonSchema(_ENDS)]
_OPEN_ENDS = {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 2, "maxItems": 2}
OpenEnds = Annotated[tuple[float | None, float | None], WithJsonSchema(_OPEN_ENDS)]
"""An end that is null is as far away as can be."""


class PolicyBody(WireModel):
    """The average reward that a policy would have earned; null if no event says anything about it."""

    name: str
    expected_reward: float | None
    confidence_interval: Ends | None
    effective_events: float


class WeighedPolicyBody(PolicyBody):
    """The same, with the mean weight, which is 1 but for chance."""

    mean_weight: float | None
    mean_weight_interval: Ends | None


class MatchBody(WireModel):
    """How often the policy proposed what was shown."""

    match_rate: float


class LiftBody(WireModel):
    """How much more was earned than by the baseline; null as long as too few events tell of it.

    ``value`` is a share of what the baseline earns, ``difference`` is in rewards. An end that is null is not known.
    """

    value: float | None
    confidence_interval: OpenEnds | None
    difference: float | None
    difference_interval: Ends | None
    more_events: int | None


class TotalsBody(WireModel):
    """Over all events since the figures began."""

    events: int
    average_reward: float | None
    policies: list[WeighedPolicyBody]
    lift: LiftBody
    apprentice: MatchBody | None = None


class PointBody(WireModel):
    """A bucket; its rates are over its learned events."""

    time_stamp: Time
    events: int
    rewards: int
    late_rewards: int
    unknown_rewards: int
    skipped: dict[str, int]
    average_reward: float | None
    exploration_share: float | None
    entropy: float | None
    lag_seconds: float | None
    policies: list[PolicyBody]
    match_rate: float | None = None
    proposed_reward: Ends | None = None


class CumulatedBody(WireModel):
    """From when the figures began to the end of a bucket."""

    time_stamp: Time
    policies: list[PolicyBody]


class SideBody(WireModel):
    """One side of the experiment: what it earned an event."""

    events: int
    expected_reward: float | None
    confidence_interval: Ends | None


class SplitBody(WireModel):
    """The share that was to be held out and the one that was, with the chance of so large a difference; it holds at any time."""

    asked: float
    found: float
    p_value: float
    is_as_asked: bool


class ExperimentBody(WireModel):
    """The standing holdout as an experiment. All intervals hold at all looks at once."""

    since: Time
    until: Time
    events: int
    baseline: SideBody
    learned: SideBody
    lift: LiftBody
    split: SplitBody
    verdict: Annotated[str, one_of(Verdict)]
    proven_since: Time | None


class LatencyBody(WireModel):
    """How long calls took, in milliseconds; null if there were none."""

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class LatenciesBody(WireModel):
    """Of the calls that the answering process answered lately, of all loops."""

    since: Time
    rank: LatencyBody
    reward: LatencyBody


class FiguresResponse(WireModel):
    """The figures of one loop."""

    loop: str
    as_of: Time
    watermark: Time | None
    since: Time | None
    interval_in_minutes: int
    totals: TotalsBody
    timeseries: list[PointBody]
    cumulative: list[CumulatedBody]
    latency: LatenciesBody
    experiment: ExperimentBody | None = None

    def to_wire(self) -> bytes:
        """Write as JSON; what is not known is null. Of Apprentice mode and of a holdout there are members only if there were events."""
        return self.model_dump_json(by_alias=True, exclude_unset=True).encode()


@dataclass(frozen=True, slots=True)
class FiguresQuery:
    """Which part of the figures is wanted; None: as far as they go."""

    interval: int
    since: datetime | None
    until: datetime | None


def read_figures_query(params: Mapping[str, str]) -> FiguresQuery:
    """Read the query; raises `InvalidRequestError`, naming the parameter."""
    interval = params.get("interval", str(INTERVALS[0]))
    if not re.fullmatch("|".join(map(str, INTERVALS)), interval):
        refuse("interval", f"must be {', '.join(map(str, INTERVALS[:-1]))} or {INTERVALS[-1]} minutes")
    return FiguresQuery(int(interval), *read_range(params))


def read_range(params: Mapping[str, str]) -> tuple[datetime | None, datetime | None]:
    """Read ``since`` and ``until``; raises `InvalidRequestError`, naming the parameter."""
    since, until = _time(params, "since"), _time(params, "until")
    if since is not None and until is not None and until <= since:
        refuse("until", "must be later than since")
    return since, until


def _time(params: Mapping[str, str], name: str) -> datetime | None:
    if name not in params:
        return None
    try:
        return read_time(params[name])
    except ValueError as cause:
        raise InvalidRequestError(f"{name}: {cause}", target=name) from cause
