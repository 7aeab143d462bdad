"""What was asked for and what was acknowledged: who promised what to whom, and when."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import PersonalizerError
from shared.domain.uploads import Accepted
from tests.simulation.plan import Step

APART: Final = timedelta(seconds=4)
"""By which two processes may see the time differently (docs/decisions/clocks.md), and a little more."""


@dataclass
class Promise:
    """A call: when it was made, and when it was answered with success, if it was."""

    step: Step
    life: str
    made_at: datetime
    kept_at: datetime | None = None
    refusal: PersonalizerError | None = None
    answer: object = None

    @property
    def event(self) -> str:
        return str(self.step.arguments.get("event", ""))

    @property
    def events(self) -> list[str]:
        """The events that it is to be logged for."""
        found: list[str] = self.step.arguments.get("events", [self.event])
        return found

    @property
    def is_acknowledged(self) -> bool:
        return self.kept_at is not None

    @property
    def is_logged(self) -> bool:
        """Whether it was acknowledged that it is logged by this very call; a client's batch may be refused, or have been there before."""
        if isinstance(self.answer, Accepted) and self.answer.stored < len(self.events):
            return False
        return self.is_acknowledged

    def is_surely_before(self, other: "Promise") -> bool:
        """Whether this was over when the other was asked for, as all see it; one process sees it exactly."""
        apart = timedelta(0) if self.life == other.life else APART
        return self.kept_at is not None and self.kept_at + apart < other.made_at


class Promises(defaultdict[str, list[Promise]]):
    """All calls, by what was asked for; ``sets_clocks`` tells whether somebody has set a clock."""

    def __init__(self, *, sets_clocks: bool) -> None:
        super().__init__(list)
        self.sets_clocks = sets_clocks

    def is_sent_again(self, reward: Promise) -> bool:
        """Whether a client has sent this reward before: then the first one counts, and is in time or is not."""
        asked = reward.step.arguments
        return reward.step.what == "tell" and any(
            each.step < reward.step
            and (each.event, each.step.arguments["slot"], each.step.arguments["id"]) == (reward.event, asked["slot"], asked["id"])
            for each in self["tell"]
        )
