"""Gates on the wire and in files: the rules that a policy has to keep before it may be put to use."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from shared.api.wire import WireModel
from shared.domain.gates import Gate, Looks, Ruling

Estimator = Literal[
    "ips", "snips", "dm", "dr", "calibrated_dr", "sndr", "cressie_read", "clipped_ips", "clipped_dr", "switch_dr", "dr_os", "mle"
]
_MOST_ESTIMATORS = 12
_MOST_EVENTS = 10**12


class GateContract(WireModel):
    """A gate; a rule that is left out is not asked for, but for the least lift, which is 0.

    A member that is no rule is refused: a rule with a slip of the pen must not be a rule that nobody checks.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"leastLift": 0.0, "leastEvents": 1000, "mostWeight": 50.0, "estimators": ["dr", "snips"]}]},
    )

    least_lift: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    least_events: Annotated[int, Field(ge=0, le=_MOST_EVENTS)] = 0
    most_weight: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    estimators: Annotated[list[Estimator], Field(max_length=_MOST_ESTIMATORS)] = Field(default_factory=list)
    compared_with: Literal["present policy", "online", "baseline1"] | None = None
    looks: Literal["one", "many"] = "many"

    def to_gate(self) -> Gate:
        """Give the gate."""
        return Gate(
            least_lift=self.least_lift,
            least_events=self.least_events,
            most_weight=self.most_weight,
            estimators=tuple(dict.fromkeys(self.estimators)),
            compared_with=self.compared_with or "",
            looks=Looks(self.looks),
        )


def told(ruling: Ruling) -> dict[str, Any]:
    """Write what a gate says of a policy."""
    checks = [{"rule": each.rule, "asked": each.asked, "found": each.found, "isKept": each.is_kept} for each in ruling.checks]
    return {"policyName": ruling.policy, "isPassed": ruling.is_passed, "checks": checks}
