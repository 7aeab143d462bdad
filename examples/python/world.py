"""The people that the examples serve: drawn by chance, with tastes that only `examples/worlds/NAME.json` knows."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORLDS = Path(__file__).resolve().parent.parent / "worlds"
Features = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is there now; `interest` is the chance that each action is just what they want."""

    context: Features
    actions: Sequence[Mapping[str, Any]]
    interest: Mapping[str, float]
    glance: float
    reactions: Sequence[str]
    chance: float

    def reacts_to(self, action_id: str, *, attention: float = 1.0) -> str:
        """Tell what the visitor does, given how much of their attention the place gets."""
        wanted = attention * self.interest[action_id]
        if self.chance < wanted:
            return self.reactions[0]
        return self.reactions[1] if self.chance < wanted + (1 - wanted) * self.glance else self.reactions[2]

    def expects(self, action_id: str, rewards: Mapping[str, float], *, attention: float = 1.0) -> float:
        """Give the mean reward of showing this action, which no application can know."""
        wanted = attention * self.interest[action_id]
        shares = (wanted, (1 - wanted) * self.glance, (1 - wanted) * (1 - self.glance))
        return sum(share * rewards[reaction] for share, reaction in zip(shares, self.reactions, strict=True))


class World:
    """Draws visitors; equal seeds give equal visitors."""

    def __init__(self, name: str, *, seed: int) -> None:
        self._world = json.loads((WORLDS / f"{name}.json").read_text("utf-8"))
        self._random = random.Random(seed)

    def visitors(self, count: int) -> Iterator[Visitor]:
        """Let them come, one after another."""
        for _ in range(count):
            context = {
                namespace: {name: self._random.choice(values) for name, values in features.items()}
                for namespace, features in self._world["context"].items()
            }
            actions = self._random.sample(self._world["actions"], len(self._world["actions"]))  # no place is the best one by itself
            yield Visitor(
                context=context,
                actions=actions,
                interest={action["id"]: self._interest(context, action) for action in actions},
                glance=self._world["glance"],
                reactions=self._world["reactions"],
                chance=self._random.random(),
            )

    def _interest(self, context: Features, action: Mapping[str, Any]) -> float:
        facts = {"id": action["id"], **_flat(context), **_flat(action["features"])}
        tastes = (taste for taste in self._world["tastes"] if all(facts.get(name) == taste[name] for name in taste if name != "adds"))
        return min(max(float(self._world["interest"] + sum(taste["adds"] for taste in tastes)), 0.0), 1.0)


def _flat(features: Features) -> dict[str, Any]:
    return {f"{namespace}.{name}": value for namespace, inner in features.items() for name, value in inner.items()}
