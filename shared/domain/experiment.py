"""The words for what the standing holdout has shown."""

from enum import StrEnum


class Verdict(StrEnum):
    """What is proven of the policy beside the application's own choice."""

    BETTER = "better"
    WORSE = "worse"
    NOT_KNOWN = "notKnown"
