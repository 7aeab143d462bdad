"""Features by their names, as they stand in logged situations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.domain.events import Action, Features, JoinedEvent
from shared.joining.dsjson import read_situation

MOST_FEATURES: Final = 50
"""The most frequent ones are weighed."""

_IGNORED: Final = "_"
"""Names that begin so are no features."""


@dataclass(frozen=True, slots=True, order=True)
class Feature:
    """A feature of the context or of actions, whatever its value; ``namespace`` is "" for one that stands in none."""

    namespace: str
    name: str

    @property
    def text(self) -> str:
        """One text for it.

        >>> Feature("user", "age").text, Feature("", "age").text
        ('user.age', 'age')
        """
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    def left_out_of(self, objects: Sequence[Features]) -> tuple[Features, ...]:
        """Give the features of a context without it."""
        return tuple([self._without(each) for each in objects])

    def left_out_of_action(self, action: Action) -> Action:
        """Give an action without it."""
        return replace(action, features=self.left_out_of(action.features), text=b"")

    def _without(self, features: Features) -> Features:
        if not self.namespace:
            return {name: value for name, value in features.items() if name != self.name or isinstance(value, dict)}
        inner = features.get(self.namespace)
        if not isinstance(inner, dict) or self.name not in inner:
            return features
        return {**features, self.namespace: {name: value for name, value in inner.items() if name != self.name}}


def features_of(events: Iterable[JoinedEvent], *, most: int) -> list[Feature]:
    """Find the features of these events, the most frequent first, in the order of their names where they occur alike."""
    counted: dict[Feature, int] = {}
    for event in events:
        situation = read_situation(event.decision.situation)
        sides = [*situation.context, *[features for action in situation.actions for features in action.features]]
        for found in {feature for features in sides for feature in _named(features)}:
            counted[found] = counted.get(found, 0) + 1
    return sorted(counted, key=lambda feature: (-counted[feature], feature))[:most]


def _named(features: Features) -> Iterable[Feature]:
    for name, value in features.items():
        if name.startswith(_IGNORED):
            continue
        if isinstance(value, dict):
            yield from [Feature(name, inner) for inner in value if not inner.startswith(_IGNORED)]
        else:
            yield Feature("", name)
