"""One piece of advice to whoever runs a loop."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Code(StrEnum):
    """What the advice is about, in the order in which it is worth looking at. docs/how-to/why-is-it-not-learning.md tells of each."""

    NOTHING_RANKED = "nothingRanked"
    LOGGING_ONLY = "loggingOnly"
    CLOCK_WRONG = "clockWrong"
    WAITING = "waiting"
    TRAINER_BEHIND = "trainerBehind"
    LEARNING_ANEW = "learningAnew"
    MIRROR_FAILING = "mirrorFailing"
    NOT_ACTIVATED = "notActivated"
    DUPLICATES = "duplicates"
    NO_REWARDS = "noRewards"
    SAME_REWARDS = "sameRewards"
    LATE_REWARDS = "lateRewards"
    UNKNOWN_REWARDS = "unknownRewards"
    APPRENTICE = "apprentice"
    NO_EXPLORATION = "noExploration"
    ONE_ACTION = "oneAction"
    NEW_ACTIONS = "newActions"
    NOTHING_SHARED = "nothingShared"
    NO_CONTEXT = "noContext"
    WRAPPED_FEATURES = "wrappedFeatures"
    ALWAYS_DIFFERENT = "alwaysDifferent"
    NEVER_DIFFERENT = "neverDifferent"
    LONG_WAIT = "longWait"
    FEW_EVENTS = "fewEvents"
    PERSONAL_DATA = "personalData"


PASSING: Final = frozenset({Code.NOTHING_RANKED, Code.WAITING, Code.LEARNING_ANEW, Code.APPRENTICE, Code.LONG_WAIT, Code.FEW_EVENTS})
"""What is no fault: the loop is young, or is about what its owner has chosen, and goes on by itself."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What was found and what to do about it; ``feature`` names what it is about ("": no single feature).

    Nothing of a caller's is in it but names of features: no value of any.
    """

    code: Code
    message: str
    feature: str = ""
