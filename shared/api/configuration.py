"""The service configuration on the wire, in the shape of each version of the contract.

The ranges of values, and how they go together, are `shared.services.loops.configuring`'s to check.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

from shared.api.durations import Duration
from shared.api.lenient import mended
from shared.api.times import Time
from shared.api.wire import WireModel, one_of, parse, read_json, validated
from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.errors import InvalidConfigurationError
from shared.domain.events import LearningMode
from shared.domain.loop import MAX_FEATURE, MOST_HOLDOUT, LoopSettings, RewardAggregation

MAX_AGGREGATION: Final = 256
MAX_URI: Final = 4_096
MAX_MEMBER: Final = 64
MAX_UNSET: Final = 32
_NUMBER_OF_DAYS = Field(ge=-(2**31), le=2**31 - 1)

Number = Annotated[float, Field(allow_inf_nan=False)]
Days = Annotated[int, _NUMBER_OF_DAYS]
DefaultReward = Annotated[Number, WithJsonSchema({"type": "number", "minimum": -1, "maximum": 1})]
Share = Annotated[Number, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
HoldoutShare = Annotated[Number, WithJsonSchema({"type": "number", "minimum": 0, "maximum": MOST_HOLDOUT})]
Aggregation = Annotated[str, StringConstraints(max_length=MAX_AGGREGATION), one_of(RewardAggregation)]
Mode = Annotated[str, one_of(LearningMode)]
RetentionDays = Annotated[Days, WithJsonSchema({"type": "integer", "minimum": -1, "maximum": 2**31 - 1})]
FeatureName = Annotated[str, StringConstraints(max_length=MAX_FEATURE)]
RetrainDays = Annotated[Days, WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 2**31 - 1})]

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "reward_wait_time": "reward_wait",
        "default_reward": "default_reward",
        "reward_aggregation": "reward_aggregation",
        "exploration_percentage": "exploration_percentage",
        "model_export_frequency": "model_export_frequency",
        "log_mirror_enabled": "log_mirror_enabled",
        "log_mirror_sas_uri": "log_mirror_sas_uri",
        "log_retention_days": "log_retention_days",
        "learning_mode": "learning_mode",
        "is_auto_optimization_enabled": "is_auto_optimization_enabled",
        "auto_optimization_frequency": "auto_optimization_frequency",
        "auto_optimization_start_date": "auto_optimization_start",
        "is_inference_explainability_enabled": "is_inference_explainability_enabled",
        "model_retrain_days": "model_retrain_days",
        "breakdown_feature": "breakdown_feature",
        "holdout_percentage": "holdout_percentage",
    }
)
"""Which member is which field of `LoopSettings`."""


class _Changes(WireModel):
    """Members that are missing, or null, leave what is there."""

    def changes(self) -> dict[str, Any]:
        """Give the fields of `LoopSettings` that are set; raises `InvalidConfigurationError`."""
        given = {name: getattr(self, name) for name in SETTINGS if getattr(self, name, None) is not None}
        return {SETTINGS[name]: _choice(name, value) if name in _CHOICES else value for name, value in given.items()}


class ConfigurationRequest10(_Changes):
    """The body of PUT configurations/service in v1.0."""

    reward_wait_time: Duration
    default_reward: DefaultReward
    reward_aggregation: Aggregation
    exploration_percentage: Share
    model_export_frequency: Duration
    log_retention_days: RetentionDays
    log_mirror_enabled: bool | None = None
    log_mirror_sas_uri: Annotated[str, StringConstraints(max_length=MAX_URI)] | None = None


class ConfigurationRequest11(ConfigurationRequest10):
    """The body of PUT configurations/service in v1.1's previews; v1.0 ignores the last five members."""

    learning_mode: Mode | None = None
    is_auto_optimization_enabled: bool | None = None
    auto_optimization_frequency: Duration | None = None
    auto_optimization_start_date: Time | None = None
    is_inference_explainability_enabled: bool | None = None


class ConfigurationRequest(ConfigurationRequest11):
    """The body of PUT configurations/service in 2022-09-01-preview; the last two members are not Azure's."""

    model_retrain_days: RetrainDays
    breakdown_feature: FeatureName | None = None
    holdout_percentage: HoldoutShare | None = None


class ConfigurationChanges(_Changes):
    """Any part of a configuration, as it goes with a new loop."""

    reward_wait_time: Duration | None = None
    default_reward: DefaultReward | None = None
    reward_aggregation: Aggregation | None = None
    exploration_percentage: Share | None = None
    model_export_frequency: Duration | None = None
    log_retention_days: RetentionDays | None = None
    log_mirror_enabled: bool | None = None
    log_mirror_sas_uri: Annotated[str, StringConstraints(max_length=MAX_URI)] | None = None
    learning_mode: Mode | None = None
    is_auto_optimization_enabled: bool | None = None
    auto_optimization_frequency: Duration | None = None
    auto_optimization_start_date: Time | None = None
    is_inference_explainability_enabled: bool | None = None
    model_retrain_days: RetrainDays | None = None
    breakdown_feature: FeatureName | None = None
    holdout_percentage: HoldoutShare | None = None


class ApprenticeMetricsBody(WireModel):
    """How the policy would have done in the baseline's place, over the latest events of Apprentice mode."""

    last_processed_event_time: Time
    number_of_events: int
    number_of_imitated_events: int
    sum_of_rewards: float
    sum_of_imitated_rewards: float


class ConfigurationResponse(WireModel):
    """The configuration in force; what a version does not have is null, and so left out."""

    reward_wait_time: Duration
    default_reward: float
    reward_aggregation: Annotated[str, one_of(RewardAggregation)]
    exploration_percentage: float
    model_export_frequency: Duration
    log_mirror_enabled: bool
    log_mirror_sas_uri: str | None
    log_retention_days: int
    last_configuration_edit_date: Time | None = None
    learning_mode: Mode | None = None
    is_auto_optimization_enabled: bool | None = None
    auto_optimization_frequency: Duration | None = None
    auto_optimization_start_date: Time | None = None
    is_inference_explainability_enabled: bool | None = None
    latest_apprentice_mode_metrics: ApprenticeMetricsBody | None = None
    model_retrain_days: int | None = None
    breakdown_feature: str | None = None
    holdout_percentage: float | None = None


_REQUESTS: Final[Mapping[str, type[_Changes]]] = MappingProxyType(
    {
        "v1.0": ConfigurationRequest10,
        "v1.1-preview.1": ConfigurationRequest11,
        "v1.1-preview.2": ConfigurationRequest11,
        "v1.1-preview.3": ConfigurationRequest11,
        "2022-09-01-preview": ConfigurationRequest,
    }
)
_OF_1_0 = frozenset(ConfigurationRequest10.model_fields)
_ONLY_LATEST = frozenset({"model_retrain_days", "breakdown_feature", "holdout_percentage"})


def read_configuration(body: bytes, version: str) -> dict[str, Any]:
    """Read the body of a PUT in this version as fields of `LoopSettings`; raises `InvalidConfigurationError`."""
    asked = _REQUESTS[version]
    try:
        return parse(body, asked, InvalidConfigurationError).changes()
    except InvalidConfigurationError as error:
        missing = _missing(body, asked)
        if len(missing) < 2:
            raise
        raise InvalidConfigurationError(f"{', '.join(missing)}: these members are required", target=missing[0]) from error


def _missing(body: bytes, asked: type[_Changes]) -> list[str]:
    """Give the required members that a body, which is JSON, lacks."""
    document = read_json(body)
    required = [field.alias or name for name, field in asked.model_fields.items() if field.is_required()]
    given = {name.lower() for name in document} if isinstance(document, dict) else {name.lower() for name in required}
    return [name for name in required if name.lower() not in given]


def read_changes(document: object, *, where: tuple[str, ...] = ("configuration",)) -> dict[str, Any]:
    """Read the ``configuration`` of a body, which errors place at ``where``; raises `InvalidConfigurationError`.

    No member is required, so that none is missing where names are in another case: these are always taken.
    """
    known = mended(document, ConfigurationChanges)
    return validated(known, ConfigurationChanges, InvalidConfigurationError, where=where).changes()


class SetRequest(WireModel):
    """Any part of a configuration, all of which is to be the loop's own."""

    model_config = ConfigDict(extra="forbid")

    configuration: Annotated[dict[str, Any], WithJsonSchema(ConfigurationChanges.model_json_schema())]


def read_set(body: bytes) -> dict[str, Any]:
    """Read the body of a set as fields of `LoopSettings`; raises `InvalidConfigurationError`."""
    return read_changes(parse(body, SetRequest, InvalidConfigurationError).configuration)


class UnsetRequest(WireModel):
    """The members of a configuration that are to follow the app's settings again."""

    members: Annotated[list[Annotated[str, StringConstraints(max_length=MAX_MEMBER)]], Field(min_length=1, max_length=MAX_UNSET)]


def read_unset(body: bytes) -> list[str]:
    """Read the body of an unset as names of fields of `LoopSettings`; raises `InvalidConfigurationError`."""
    return unset_fields(parse(body, UnsetRequest, InvalidConfigurationError).members)


def unset_fields(members: Sequence[str]) -> list[str]:
    """Give the fields of `LoopSettings` for members of a configuration, in any case; raises `InvalidConfigurationError`."""
    fields = {to_camel(name).lower(): field for name, field in SETTINGS.items()}
    for member in members:
        if member.lower() not in fields:
            known = ", ".join(map(to_camel, SETTINGS))
            raise InvalidConfigurationError(
                f"members: {member[:40]!r} is not a member of the configuration: there are {known}", target="members"
            )
    return [fields[member.lower()] for member in members]


def write_configuration(
    settings: LoopSettings, version: str, *, metrics: ApprenticeMetrics | None = None, processed_until: datetime | None = None
) -> ConfigurationResponse:
    """Give the configuration in the shape of this version."""
    members = {name: getattr(settings, field) for name, field in SETTINGS.items()}
    members["log_mirror_sas_uri"] = settings.log_mirror_sas_uri or None
    members["breakdown_feature"] = settings.breakdown_feature or None
    members["holdout_percentage"] = settings.holdout_percentage or None
    members["last_configuration_edit_date"] = settings.edited_at
    if metrics is not None and metrics.rewards and processed_until is not None:
        members["latest_apprentice_mode_metrics"] = _metrics(metrics, processed_until)
    return ConfigurationResponse(**{name: value for name, value in members.items() if _is_part(name, version)})


def _is_part(name: str, version: str) -> bool:
    if version == "v1.0":
        return name in _OF_1_0
    return version == "2022-09-01-preview" or name not in _ONLY_LATEST


def _metrics(metrics: ApprenticeMetrics, processed_until: datetime) -> ApprenticeMetricsBody:
    return ApprenticeMetricsBody(
        last_processed_event_time=processed_until,
        number_of_events=len(metrics.rewards),
        number_of_imitated_events=sum(metrics.imitated),
        sum_of_rewards=metrics.sum_of_rewards,
        sum_of_imitated_rewards=metrics.sum_of_imitated_rewards,
    )


_CHOICES: Final[Mapping[str, tuple[str, type[RewardAggregation] | type[LearningMode]]]] = MappingProxyType(
    {"reward_aggregation": ("rewardAggregation", RewardAggregation), "learning_mode": ("learningMode", LearningMode)}
)


def _choice(name: str, text: str) -> RewardAggregation | LearningMode:
    """Read a word in any case, as the original did with its enumerations."""
    field, options = _CHOICES[name]
    by_name = {option.value.lower(): option for option in options}
    word = text.strip().lower()
    if word not in by_name:
        words = ", ".join(option.value for option in options)
        raise InvalidConfigurationError(f"{field}: must be one of {words}", target=field)
    return by_name[word]
