"""What there is in a log of joined events, counted by going over it once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.domain.events import JoinedEvent, JsonValue
from shared.joining.dsjson import read_situation

MOST_NAMES: Final = 10_000
"""Actions, and features, that are told apart; events of others are counted, but not by name."""


@dataclass(slots=True)
class ActionCount:
    """How often an action could be chosen and was, and what it earned in all when it was learned from.

    ``weight`` is how many events those that were learned stand for, and ``rewarded`` counts each as many times.
    """

    offered: int = 0
    chosen: int = 0
    rewarded: float = 0.0
    learned: int = 0
    weight: float = 0.0

    @property
    def average(self) -> float | None:
        """What it earned an event; None if nothing was learned of it."""
        return self.rewarded / self.weight if self.weight else None


@dataclass(slots=True)
class Survey:
    """Counts over joined events; ``features`` tell in how many events a name occurs, ``reward`` sums up what was learned from.

    ``weight`` is how many events those that were learned stand for, and ``reward`` counts each as many times.
    """

    events: int = 0
    learned: int = 0
    rewarded: int = 0
    reward: float = 0.0
    weight: float = 0.0
    least: float = 0.0
    most: float = 0.0
    offered: int = 0
    explored: int = 0
    first: datetime | None = None
    last: datetime | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    slots: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    actions: dict[str, ActionCount] = field(default_factory=dict)
    context: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)

    @property
    def average_reward(self) -> float | None:
        """What an event earned; None if nothing was learned."""
        return self.reward / self.weight if self.weight else None

    def add(self, events: Sequence[JoinedEvent]) -> None:
        """Count these as well; raises `UnreadableError` for a situation that cannot be read."""
        for event in events:
            self._add(event)

    def _add(self, event: JoinedEvent) -> None:
        decision, at = event.decision, event.decision.decided_at
        self.events += 1
        self.first, self.last = min(at, self.first or at), max(at, self.last or at)
        self.offered += len(decision.probabilities)
        self.explored += decision.is_explored
        _count(self.models, decision.model_version)
        if decision.slot:
            _count(self.slots, decision.slot)
        if event.skip is None:
            self._add_reward(event)
        else:
            self.skipped[event.skip.value] += 1
        self._add_situation(event)

    def _add_reward(self, event: JoinedEvent) -> None:
        self.learned += 1
        self.rewarded += any(not each.is_activation for each in event.observations)
        self.least = min(self.least, event.reward) if self.learned > 1 else event.reward
        self.most = max(self.most, event.reward) if self.learned > 1 else event.reward
        self.reward += event.reward * event.weight
        self.weight += event.weight

    def _add_situation(self, event: JoinedEvent) -> None:
        situation = read_situation(event.decision.situation)
        for name in {name for features in situation.context for name in _names(features)}:
            _count(self.context, name)
        for name in {name for action in situation.actions for features in action.features for name in _names(features)}:
            _count(self.features, name)
        for index, action in enumerate(situation.actions):
            count = self.actions.get(action.id)
            if count is None:
                if len(self.actions) >= MOST_NAMES:
                    continue
                count = self.actions[action.id] = ActionCount()
            count.offered += 1
            if index == event.decision.chosen:
                count.chosen += 1
                if event.skip is None:
                    count.learned += 1
                    count.rewarded += event.reward * event.weight
                    count.weight += event.weight


def _count(counter: Counter[str], name: str) -> None:
    if name in counter or len(counter) < MOST_NAMES:
        counter[name] += 1


def _names(features: Mapping[str, JsonValue], path: str = "") -> Iterator[str]:
    """Give the names of all features that are not ignored, as dotted paths."""
    for name, value in features.items():
        if name.startswith("_"):
            continue
        if isinstance(value, Mapping):
            yield from _names(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"
