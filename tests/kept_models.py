"""A log of a few windows with some of every oddity, and the models that the real trainer learns from them."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

from shared.domain.events import Action, Decision, Features, LearningMode, Proposal, Situation
from shared.storage import names
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage
from tests.builders import T0, after, decision, observation
from tests.clocks import SetClock
from tests.reliability.world import event_log, trainer

LOOP = "default"
SILENT = range(60, 80)
"""Seconds in which nothing can be learned from what is ranked."""

_VISITS = (after(40), after(58), after(76), after(94), after(140))
"""When a trainer comes by, each a new one; small windows cut what it finds."""


async def learn(account: Storage) -> list[str]:
    """Write the log and learn it; gives the models, oldest first."""
    clock, chance = SetClock(T0), random.Random(11)
    log = event_log(account, clock)
    for second in range(0, 110, 2):
        clock.at = after(second)
        made = [_decision(f"e{second}-{number}", second, chance) for number in range(3)]
        await asyncio.gather(*map(log.append_decision, made))
        rewarded = [each for each in made if chance.random() < 0.7]
        reports = [
            observation(each.event_id, chance.choice([chance.uniform(-1, 1), -0.0]), at=clock.at, slot=each.slot) for each in rewarded
        ]
        await asyncio.gather(*map(log.append_observation, reports))
    for at in _VISITS:
        await trainer(account, at, store=LOOP, max_events=30).run()
    return [*await FileModelStore(account, loop=LOOP).replaced()]


def _decision(event_id: str, second: int, chance: random.Random) -> Decision:
    ids = "abcd"[: chance.randint(1, 4)]
    context: Features = {
        "user": {"name": f"u{chance.randrange(9)}", "age": chance.uniform(0, 90), "tags": [chance.random(), 0.1]},
        "é": None,
    }
    weights = [chance.random() for _ in ids]
    made = decision(
        "e0-0" if second == 20 else event_id,
        at=after(second) + timedelta(microseconds=chance.randrange(9)),
        chosen=chance.randrange(len(ids)),
        probabilities=tuple(weight / sum(weights) for weight in weights),
        deferred=chance.random() < 0.1,
        asked=Situation((context,), tuple(Action(each, ({"length": chance.gauss(0, 10), "new": chance.random() < 0.5},)) for each in ids)),
        slot="top" if chance.random() < 0.2 else "",
        proposal=Proposal(chance.randrange(len(ids)), chance.random(), chance.random() < 0.5) if chance.random() < 0.2 else None,
    )
    return replace(made, mode=_mode(made, second))


def _mode(made: Decision, second: int) -> LearningMode:
    if second in SILENT:
        return LearningMode.LOGGING_ONLY
    return LearningMode.ONLINE if made.proposal is None else LearningMode.APPRENTICE


async def delete_chunk(account: Storage, name: str) -> None:
    await account.files(names.LOGS).delete(names.chunks_prefix(LOOP) + name)
