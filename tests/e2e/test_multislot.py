"""Several slots a call on the embedded store: each learns from its own rewards, and every slot is accounted for."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from shared.domain.events import Action
from shared.domain.slots import MultiSlotSituation, Slot
from shared.runtime.loop_services import LoopServices
from shared.services.serving.multislot import MultiSlotRanker
from tests.e2e.test_learning import CLOCK, DISHES, built, settled

pytestmark = pytest.mark.slow

COURSES = {"starter": "salty", "snack": "sour", "dessert": "sweet"}
"""What is liked in each slot."""
BASELINES = {"starter": "bread", "snack": "cake", "dessert": "pickle"}


@pytest.fixture
async def services(storage) -> AsyncIterator[LoopServices]:
    services = built(storage)
    yield services
    await services.close()


@pytest.fixture
def ranker(services: LoopServices) -> MultiSlotRanker:
    return services.slots


def menu() -> MultiSlotSituation:
    actions = tuple(Action(dish, ({"taste": {"is": taste}},)) for dish, taste in DISHES.items())
    slots = tuple(Slot(course, BASELINES[course], features=({"course": {"is": course}},)) for course in COURSES)
    return MultiSlotSituation(context=({"guest": {"name": "ann"}},), actions=actions, slots=slots)


async def serve(services: LoopServices, ranker: MultiSlotRanker, chance: random.Random, event_id: str) -> float:
    ranking = await ranker.rank(menu(), event_id=event_id, deferred=False)
    liked = [(filled.slot_id, DISHES[filled.reward_action_id] == COURSES[filled.slot_id]) for filled in ranking.slots]
    rewards = [(slot_id, float(chance.random() < (0.9 if is_liked else 0.1))) for slot_id, is_liked in liked]
    await services.rewarder.reward_slots(event_id, rewards)
    return sum(reward for _, reward in rewards) / len(rewards)


async def test_each_slot_learns_from_its_own_rewards_and_all_are_accounted_for(services, ranker):
    """Seeded. Optimum .9, random .31, baselines .1; margin .3."""
    chance = random.Random(2026)
    rewards: list[float] = []
    for round_ in range(5):
        rewards = [await each for each in [serve(services, ranker, chance, f"meal-{round_}-{number}") for number in range(60)]]
        await settled(services)
        await asyncio.sleep(0.4)
    assert sum(rewards) / len(rewards) > 0.31 + 0.3
    progress = await services.progress.read()
    assert progress.ranked == progress.counters.learned == 5 * 60 * len(COURSES)
    assert (progress.pending, progress.counters.unknown_rewards, progress.counters.late_rewards) == (0, 0, 0)


async def test_slots_are_deferred_and_activated_together_and_counters_add_up(services, ranker):
    for event_id in ("plain", "repeated", "repeated", "deferred", "activated"):
        await ranker.rank(menu(), event_id=event_id, deferred=event_id in ("deferred", "activated"))
    await services.rewarder.reward_slots("plain", [("starter", 1.0), ("dessert", 0.5)])
    await services.rewarder.reward_slot("deferred", "starter", 1.0)
    await services.rewarder.reward_slot("plain", "none", 1.0)
    await services.rewarder.reward("plain", 1.0)
    await services.rewarder.activate("activated")
    waiting = await services.progress.read()
    assert (waiting.ranked, waiting.pending, waiting.rewards) == (15, 15, 5)
    await settled(services)
    CLOCK.pass_(2)  # the last rewards were stored after the last decision, and are counted when their own time has come
    await services.trainer.run()
    done = await services.progress.read()
    assert (done.ranked, done.pending, done.counters.learned) == (15, 0, 9)
    assert done.counters.skipped == {"duplicate": 3, "notActivated": 3}
    assert (done.rewards, done.counters.unknown_rewards) == (5, 2)
