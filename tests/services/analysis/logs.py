"""Made-up logs whose truth is known: what each action earns for each kind of visitor."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from shared.domain.events import Action, JoinedEvent, Situation
from tests.builders import T0, decision, observation

ACTIONS = ("a", "b", "c")
EXPECTED = {"young": (0.2, 0.8, 0.4), "old": (0.7, 0.1, 0.4)}
"""What the actions earn on average; who takes the best one for each visitor earns 0.75, and 0.45 with the first one always."""

BEST, FIRST, RANDOM = 0.75, 0.45, 2.6 / 6


def situation(visitor: str, ids: tuple[str, ...] = ACTIONS) -> Situation:
    actions = tuple(Action(each, ({"item": {"topic": f"of {each}"}},)) for each in ids)
    return Situation(context=({"user": {"kind": visitor}}, {"noise": {"day": "d1"}}), actions=actions)


def event(
    number: int, chance: Random, *, at: datetime, probabilities: tuple[float, ...] = (0.4, 0.3, 0.3), visitor: str = "", **others
) -> JoinedEvent:
    """Draw one: the visitor, the choice by these probabilities, and a reward of 0 or 1."""
    visitor = visitor or chance.choice(list(EXPECTED))
    chosen = chance.choices(range(len(probabilities)), probabilities)[0]
    made = decision(f"e{number}", at=at, chosen=chosen, probabilities=probabilities, asked=situation(visitor), **others)
    reward = float(chance.random() < EXPECTED[visitor][chosen])
    return JoinedEvent(made, reward, observations=(observation(made.event_id, reward, at=at, slot=made.slot),))


def drawn(count: int, *, seed: int = 1, every: float = 10.0, first: datetime = T0, **others) -> list[JoinedEvent]:
    chance = Random(seed)
    return [event(number, chance, at=first + timedelta(seconds=every * number), **others) for number in range(count)]


def with_rewards(events: list[JoinedEvent], reward: float) -> list[JoinedEvent]:
    return [replace(each, reward=reward) for each in events]


def written_and_read(plain: object) -> object:
    return json.loads(json.dumps(plain))
