"""What a demo plays: events with the reward of every action known, so that the best possible score is known too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Namespaces = Mapping[str, Mapping[str, str | float]]


@dataclass(frozen=True, slots=True)
class Action:
    """Something the app could show, with its features by namespace."""

    id: str
    features: Namespaces


@dataclass(frozen=True, slots=True)
class Event:
    """One visit: `expected` holds the mean reward of each action, in the order of `actions`.

    `chance`, uniform in 0..1, turns a click probability into a click. It belongs to the event, not to the action, so a run
    does not depend on which thread was faster. Without it the expected reward is paid as it is.
    """

    context: Namespaces
    actions: tuple[Action, ...]
    expected: tuple[float, ...]
    chance: float | None = None

    def reward_of(self, action_id: str) -> float:
        """Give what showing this action earns; `KeyError` if it was not offered.

        >>> menu = (Action("tea", {}), Action("coffee", {}))
        >>> Event(context={}, actions=menu, expected=(0.2, 0.7), chance=0.5).reward_of("coffee")
        1.0
        """
        for action, expected in zip(self.actions, self.expected, strict=True):
            if action.id == action_id:
                return expected if self.chance is None else float(self.chance < expected)
        raise KeyError(action_id)


@dataclass(frozen=True)
class Programme:
    """The events of a run in the order they are played; from `drift_at` on other tastes hold."""

    name: str
    events: Sequence[Event]
    drift_at: int | None = None

    @cached_property
    def random(self) -> Floats:
        """Expected reward of each event when an action is picked blindly."""
        return np.array([sum(event.expected) / len(event.expected) for event in self.events])

    @cached_property
    def first(self) -> Floats:
        """Expected reward of each event when the app's own first action is shown: the baseline."""
        return np.array([event.expected[0] for event in self.events])

    @cached_property
    def optimum(self) -> Floats:
        """Expected reward of each event for somebody who knows every probability."""
        return np.array([max(event.expected) for event in self.events])

    @cached_property
    def fixed_menu(self) -> bool:
        """Tell whether every event offers the same actions in the same order, as data sets made from classes do.

        Such a file has no order of the app's own: its first action is just the class that was numbered 0.
        """
        menu = self.events[0].actions
        return all(event.actions is menu or event.actions == menu for event in self.events)
