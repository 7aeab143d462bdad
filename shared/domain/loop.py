"""A learning loop: its settings, and the record of what its owner has decided."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from shared.domain.errors import SettingsError
from shared.domain.events import LearningMode

LOOP_NAME = re.compile(r"[a-z][a-z0-9]{0,30}")
"""Loop names are part of table names, which take letters and digits only."""

DEFAULT_LOOP: Final = "default"
"""The loop that is always there."""

LONGEST_WAIT: Final = timedelta(days=30)
LONGEST_EXPORT: Final = timedelta(days=1)
MOST_LIVES: Final = 9_999
MAX_ARGUMENTS: Final = 1_024
MAX_POLICY_NAME: Final = 256
LEAST_HOLDOUT: Final = 0.001
MOST_HOLDOUT: Final = 0.9
"""Of the share of events that are held out, where there is one: one event of a smaller part would stand for thousands."""
MAX_FEATURE: Final = 256
"""Characters of the name of a feature that rewards are told apart by."""


class RewardAggregation(StrEnum):
    """How several rewards for one event become one."""

    EARLIEST = "earliest"
    SUM = "sum"
    AVERAGE = "average"
    MEDIAN = "median"
    MIN = "min"
    MAX = "max"


class ApprenticeLearning(StrEnum):
    """What the model learns in Apprentice mode: to choose as the baseline does, or what the baseline's choices earn."""

    IMITATE = "Imitate"
    OBSERVE = "Observe"


@dataclass(frozen=True, slots=True)
class LearningPolicy:
    """How the loop explores and learns, in the policy syntax of `shared.learning.arguments`."""

    name: str = "default"
    arguments: str = "--cb_explore_adf"


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """What a loop's owner chooses; the defaults are Azure Personalizer's.

    ``resets`` counts how often the model was to be forgotten and learned again from the log; the trainer does so when it is ahead of the
    published pointer's. ``retrains_last_days`` says that the owner has set ``model_retrain_days``: then these days are learned again
    (0: none), and nothing that is older. ``log_retention_days`` of -1 keep the joined log for ever.
    ``breakdown_feature`` names the context's feature by whose values rewards are told apart ("": none). ``holdout_percentage`` is the share
    of the events of Online mode that are shown the application's own choice (0: none).

    Raises `SettingsError`, naming the field, for a value out of its range.
    """

    name: str = DEFAULT_LOOP
    reward_wait: timedelta = timedelta(minutes=10)
    default_reward: float = 0.0
    reward_aggregation: RewardAggregation = RewardAggregation.EARLIEST
    exploration_percentage: float = 0.2
    learning_mode: LearningMode = LearningMode.ONLINE
    apprentice_learning: ApprenticeLearning = ApprenticeLearning.IMITATE
    model_export_frequency: timedelta = timedelta(minutes=5)
    model_retrain_days: int = 2
    retrains_last_days: bool = False
    resets: int = 0
    policy: LearningPolicy = field(default_factory=LearningPolicy)
    log_retention_days: int = 90
    log_mirror_enabled: bool = False
    log_mirror_sas_uri: str = field(default="", repr=False)
    is_auto_optimization_enabled: bool = False
    auto_optimization_frequency: timedelta = timedelta(days=28)
    auto_optimization_start: datetime | None = None
    is_inference_explainability_enabled: bool = False
    breakdown_feature: str = ""
    holdout_percentage: float = 0.0
    edited_at: datetime | None = None

    def __post_init__(self) -> None:
        if not LOOP_NAME.fullmatch(self.name):
            raise SettingsError(f"name: {self.name!r} must be a lower-case letter followed by at most 30 letters or digits")
        if not timedelta(seconds=1) <= self.reward_wait <= LONGEST_WAIT:
            raise SettingsError("rewardWaitTime: must be between 1 second and 30 days")
        if not -1.0 <= self.default_reward <= 1.0:
            raise SettingsError("defaultReward: must be between -1 and 1")
        if not 0.0 <= self.exploration_percentage <= 1.0:
            raise SettingsError("explorationPercentage: must be between 0 and 1")
        if not timedelta(seconds=1) <= self.model_export_frequency <= LONGEST_EXPORT:
            raise SettingsError("modelExportFrequency: must be between 1 second and 1 day")
        if not is_holdout(self.holdout_percentage):
            raise SettingsError(f"holdoutPercentage: must be {HOLDOUT_RANGE}")
        if len(self.breakdown_feature) > MAX_FEATURE:
            raise SettingsError(f"breakdownFeature: must have at most {MAX_FEATURE} characters")


HOLDOUT_RANGE: Final = f"0, or from {LEAST_HOLDOUT} to {MOST_HOLDOUT}"


def is_holdout(share: float) -> bool:
    """Whether this share of the events may be held out.

    >>> [is_holdout(share) for share in (0.0, 0.1, 1.0, 1e-6, float("nan"))]
    [True, True, False, False, False]
    """
    return share == 0.0 or LEAST_HOLDOUT <= share <= MOST_HOLDOUT


class Tier(StrEnum):
    """What a loop is for, by the names of Azure's price tiers."""

    F0 = "F0"
    S0 = "S0"
    E0 = "E0"

    @property
    def preset(self) -> Mapping[str, Any]:
        """The settings that a loop of this tier starts with, in place of the app's."""
        mode = LearningMode.APPRENTICE if self is Tier.E0 else LearningMode.ONLINE
        return MappingProxyType({"learning_mode": mode})

    @property
    def monthly_ranks(self) -> int | None:
        """How many Rank calls it answers in a calendar month (UTC); None: any number."""
        return 50_000 if self is Tier.F0 else None


@dataclass(frozen=True, slots=True)
class Remains:
    """What a life of a loop left in storage under the name ``place`` when it ended."""

    place: str
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class LoopRecord:
    """What is stored of a loop; all that changes it replaces it on condition.

    ``overrides`` are fields of `LoopSettings` that take the place of the app's. ``keys`` are digests (`key_digest`) of the two
    subscription keys, none while the app's own are in force, and ``client_keys`` that of its client key. A loop lives once more each time
    it is created again under its name: nothing of an earlier life is read, and ``remains`` names what is still to be erased.
    Where it ``has_apps_policy``, only the name of the policy among the overrides is the loop's: its arguments are the app's.
    """

    name: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    tier: Tier = Tier.S0
    keys: tuple[str, ...] = field(default=(), repr=False)
    created_at: datetime | None = None
    life: int = 0
    deleted_at: datetime | None = None
    remains: tuple[Remains, ...] = ()
    client_keys: tuple[str, ...] = field(default=(), repr=False)
    has_apps_policy: bool = False

    @property
    def is_there(self) -> bool:
        """Whether it was created, as the default loop need not be, and not deleted since."""
        return self.deleted_at is None and (self.life > 0 or self.name == DEFAULT_LOOP)

    @property
    def place(self) -> str:
        """The name that the loop's tables and blobs carry in this life.

        >>> LoopRecord("default").place, LoopRecord("news", life=2).place
        ('default', 'newsx0002')
        """
        return self.name if self.name == DEFAULT_LOOP else f"{self.name}x{self.life:04d}"

    def settings(self, defaults: LoopSettings) -> LoopSettings:
        """Give the settings in force: the app's, overridden; raises `SettingsError`."""
        is_set = defaults.retrains_last_days or "model_retrain_days" in self.overrides
        own = {**self.overrides, "name": self.name, "retrains_last_days": is_set}
        if self.has_apps_policy and "policy" in own:
            own["policy"] = replace(own["policy"], arguments=defaults.policy.arguments)
        return replace(defaults, **own)

    def overriding(self, changes: Mapping[str, Any]) -> "LoopRecord":
        """Override these fields too."""
        return replace(self, overrides={**self.overrides, **changes})


OVERRIDABLE: Final = frozenset(each.name for each in fields(LoopSettings)) - {"name", "retrains_last_days"}


def is_loop_name(name: str) -> bool:
    """Whether a loop may be called so: not like the place of another one.

    >>> is_loop_name("news"), is_loop_name("News"), is_loop_name("newsx0001")
    (True, False, False)
    """
    return LOOP_NAME.fullmatch(name) is not None and re.search(r"x\d{4}$", name) is None
