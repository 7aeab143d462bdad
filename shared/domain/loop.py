"""A learning loop's own settings."""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.domain.errors import SettingsError
from shared.domain.events import LearningMode

LOOP_NAME = re.compile(r"[a-z][a-z0-9]{0,30}")
"""Loop names are part of table names, which take letters and digits only."""


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
class LoopSettings:
    """What a loop's owner chooses; the defaults are Azure Personalizer's.

    Raises `SettingsError`, naming the field, for a value out of its range.
    """

    name: str = "default"
    reward_wait: timedelta = timedelta(minutes=10)
    default_reward: float = 0.0
    reward_aggregation: RewardAggregation = RewardAggregation.EARLIEST
    exploration_percentage: float = 0.2
    learning_mode: LearningMode = LearningMode.ONLINE
    apprentice_learning: ApprenticeLearning = ApprenticeLearning.IMITATE
    model_export_frequency: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        if not LOOP_NAME.fullmatch(self.name):
            raise SettingsError(f"name: {self.name!r} must be a lower-case letter followed by at most 30 letters or digits")
        if not timedelta(seconds=1) <= self.reward_wait <= timedelta(days=30):
            raise SettingsError("rewardWaitTime: must be between 1 second and 30 days")
        if not -1.0 <= self.default_reward <= 1.0:
            raise SettingsError("defaultReward: must be between -1 and 1")
        if not 0.0 <= self.exploration_percentage <= 1.0:
            raise SettingsError("explorationPercentage: must be between 0 and 1")
        if not timedelta(seconds=1) <= self.model_export_frequency <= timedelta(days=1):
            raise SettingsError("modelExportFrequency: must be between 1 second and 1 day")
