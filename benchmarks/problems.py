"""What the learner is measured on: sets with the reward of every action known, and made-up requests of any size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from examples import datasets, events
from shared.domain.events import Action, Situation
from shared.joining.dsjson import action_text

SUFFIXES = (".npz", ".jsonl.gz")


@dataclass(frozen=True, slots=True)
class Event:
    """A request and what each action would have earned: ``expected`` on average, ``rewards`` this time."""

    situation: Situation
    expected: tuple[float, ...]
    rewards: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """The events of one set in the order they are played; from ``change`` on other tastes hold."""

    name: str
    events: Sequence[Event]
    change: int | None = None

    @property
    def actions(self) -> int:
        """The most actions of any event."""
        return max(len(event.expected) for event in self.events)


def find(folder: Path) -> dict[str, Path]:
    """Give the sets in a folder by name, in alphabetical order."""
    found = {path.name.removesuffix(suffix): path for suffix in SUFFIXES for path in folder.glob(f"*{suffix}")}
    return dict(sorted(found.items()))


def read(path: Path, *, seed: int, limit: int | None = None) -> Problem:
    """Read the events that this seed plays, at most ``limit``; `examples.datasets` has the formats, the order and the usual limits.

    Raises `examples.errors.DataError` for a file that is not of its format.
    """
    programme = datasets.load(path, seed=seed, limit=limit)
    return Problem(programme.name, [_event(event) for event in programme.events], programme.drift_at)


def _event(event: events.Event) -> Event:
    actions = tuple([known(action.id, action.features) for action in event.actions])
    rewards = tuple([event.reward_of(action.id) for action in actions])
    return Event(Situation((event.context,), actions), event.expected, rewards)


def known(action_id: str, features: Mapping[str, Any]) -> Action:
    """Make an action as the reader of requests does, its text included."""
    return Action(action_id, (features,), action_text(action_id, (features,)))


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of made-up requests: features of the context, actions, and values that a feature of the context can have."""

    features: int = 10
    actions: int = 10
    values: int = 50


def made(shape: Shape, *, seed: int) -> Iterator[Situation]:
    """Make requests without end; a context's features are strings, and a request's actions are some of 200."""
    rng = np.random.default_rng(seed)
    catalogue = [_article(rng, number) for number in range(max(200, shape.actions))]
    while True:
        values = rng.integers(shape.values, size=shape.features).tolist()
        context = {"user": {f"f{place}": f"v{value}" for place, value in enumerate(values)}}
        offered = rng.choice(len(catalogue), shape.actions, replace=False)
        yield Situation((context,), tuple([catalogue[number] for number in offered]))


def _article(rng: np.random.Generator, number: int) -> Action:
    features = {f"g{place}": f"v{rng.integers(20)}" for place in range(5)}
    return known(f"article-{number:04d}", {"article": {**features, "length": round(float(rng.random()), 3)}})
