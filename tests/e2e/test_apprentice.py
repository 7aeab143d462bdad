"""Apprentice mode on the embedded store: users see the baseline, the model learns from it, and the figures add up."""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from shared.domain.apprentice import LATEST
from shared.domain.events import Action, LearningMode, Situation
from shared.domain.slots import MultiSlotSituation, Slot
from shared.runtime.loop_services import LoopServices
from shared.services.serving.deciding import Decider
from tests.e2e.test_learning import CLOCK, built, settled

pytestmark = pytest.mark.slow

TASTES = {"soup": "salty", "cake": "sweet", "pickle": "sour", "bread": "plain", "candy": "sweet"}
GUESTS = ("ann", "bob", "cem", "dee")
USUAL = {("ann", "noon"): "soup", ("bob", "noon"): "cake", ("cem", "noon"): "bread", ("dee", "noon"): "soup"} | {
    ("ann", "night"): "bread", ("bob", "night"): "pickle", ("cem", "night"): "candy", ("dee", "night"): "pickle"
}  # fmt: skip
"""What the restaurant itself puts before each guest: its baseline, which is not what they like best."""
LIKED = {"ann": "cake", "bob": "pickle", "cem": "soup", "dee": "bread"}
SEATINGS = [(guest, time) for guest in GUESTS for time in ("noon", "night")]


@asynccontextmanager
async def restaurant(storage: str, learning: str, mode: str = "Apprentice") -> AsyncIterator[LoopServices]:
    services = built(storage, PERSONALIZER_LEARNING_MODE=mode, PERSONALIZER_APPRENTICE_LEARNING=learning)
    yield services
    await services.close()


def dishes(first: str) -> tuple[Action, ...]:
    order = [first, *(dish for dish in TASTES if dish != first)]
    return tuple(Action(dish, ({"taste": {"is": TASTES[dish]}},)) for dish in order)


def dinner(guest: str, time: str, first: str) -> Situation:
    return Situation(context=({"guest": {"name": guest, "at": f"{guest} {time}"}},), actions=dishes(first))


def reward_for(dish: str, guest: str, chance: random.Random) -> float:
    return float(chance.random() < (0.9 if dish == LIKED[guest] else 0.2))


async def serve(services: LoopServices, chance: random.Random, event_id: str, baseline: Callable[[str, str], str]) -> float:
    guest, time = chance.choice(SEATINGS)
    first = baseline(guest, time)
    ranking = await services.ranker.rank(dinner(guest, time, first), event_id=event_id, deferred=False)
    assert ranking.reward_action_id == first
    reward = reward_for(first, guest, chance)
    await services.rewarder.reward(event_id, reward)
    return reward


async def evening(
    services: LoopServices, chance: random.Random, round_: int, baseline: Callable[[str, str], str], *, guests: int = 150
) -> list[float]:
    """Serve so many guests, learn from it, and wait until what was learned is served."""
    rewards = [await each for each in [serve(services, chance, f"dinner-{round_}-{n}", baseline) for n in range(guests)]]
    await settled(services)
    await asyncio.sleep(0.4)
    return rewards


async def best(services: LoopServices, asked: Situation) -> str:
    """Tell what would be shown in Online mode, without exploration."""
    served = await services.models.served()
    online = replace(served, settings=replace(served.settings, learning_mode=LearningMode.ONLINE, exploration_percentage=0.0))
    decision = Decider().decide(asked, online, event_id="any", at=CLOCK.now(), deferred=False)
    return asked.actions[decision.chosen].id


async def test_an_apprentice_learns_to_choose_as_the_baseline_does_and_its_figures_add_up(storage):
    """Seeded. Chance agrees in one seating of five; required are more than nine in ten."""
    chance = random.Random(2026)
    async with restaurant(storage, "Imitate") as services:
        rewards: list[float] = []
        imitated: list[int] = []
        for round_ in range(5):
            rewards += await evening(services, chance, round_, lambda guest, time: USUAL[guest, time], guests=210)
            figures = (await services.progress.read()).apprentice
            assert figures.rewards == tuple(rewards[-LATEST:])
            imitated.append(sum(figures.imitated[-210:]))
        agreed = [await best(services, dinner(*seating, first="candy")) == USUAL[seating] for seating in SEATINGS]
        assert sum(agreed) > 0.9 * len(SEATINGS)
        assert imitated[-1] > 0.7 * 210 > imitated[0]
        assert figures.baseline_average_reward == math.fsum(rewards[-LATEST:]) / LATEST
        assert figures.sum_of_imitated_rewards == sum(r for r, same in zip(figures.rewards, figures.imitated, strict=True) if same)
        assert figures.personalizer_average_reward <= figures.baseline_average_reward
        progress = await services.progress.read()
        assert progress.ranked == progress.counters.learned == 5 * 210 > LATEST


async def test_what_rewards_taught_is_there_after_apprentice_mode_and_it_goes_on_learning_meanwhile(storage):
    """Seeded. The baseline is what guests do not like: a model that imitated it would choose that in each seating.

    Online four rounds of 150 guests, then Apprentice four: what guests like is best in more than nine of ten seatings after both.
    """
    chance = random.Random(2026)
    async with restaurant(storage, "Imitate", mode="Online") as services:
        for round_ in range(4):
            for number in range(150):
                guest, time = chance.choice(SEATINGS)
                ranking = await services.ranker.rank(dinner(guest, time, "candy"), event_id=f"own-{round_}-{number}", deferred=False)
                await services.rewarder.reward(f"own-{round_}-{number}", reward_for(ranking.reward_action_id, guest, chance))
            await settled(services)
            await asyncio.sleep(0.4)
        before = [await best(services, dinner(*seating, first="candy")) == LIKED[seating[0]] for seating in SEATINGS]
        await services.configurator.configure({"learning_mode": LearningMode.APPRENTICE})
        await asyncio.sleep(0.4)
        for round_ in range(4):
            await evening(services, chance, round_, lambda guest, time: USUAL[guest, time])
        after = [await best(services, dinner(*seating, first="candy")) == LIKED[seating[0]] for seating in SEATINGS]
        assert min(sum(before), sum(after)) > 0.9 * len(SEATINGS)
        assert (await services.progress.read()).counters.learned == 8 * 150
        assert len((await services.progress.read()).apprentice.rewards) == 4 * 150


async def test_an_observer_learns_what_the_baselines_choices_earn(storage):
    """Seeded. The baseline is any dish, so that only rewards tell what is good: more than nine in ten guests get what they like."""
    chance = random.Random(2026)
    async with restaurant(storage, "Observe") as services:
        for round_ in range(5):
            await evening(services, chance, round_, lambda *_: chance.choice(list(TASTES)))
        found = [await best(services, dinner(guest, time, first="candy")) == LIKED[guest] for guest, time in SEATINGS]
        assert sum(found) > 0.9 * len(SEATINGS)
        figures = (await services.progress.read()).apprentice
        assert len(figures.rewards) == 5 * 150
        assert 0 < sum(figures.imitated) < 5 * 150


async def test_in_several_slots_each_baseline_is_imitated(storage):
    """Seeded. A slot's baseline goes by the slot and the guest."""
    chance = random.Random(2026)
    async with restaurant(storage, "Imitate") as services:
        for round_ in range(5):
            for number in range(120):
                asked = menu(chance.choice(GUESTS))
                ranking = await services.slots.rank(asked, event_id=f"meal-{round_}-{number}", deferred=False)
                assert [filled.reward_action_id for filled in ranking.slots] == [slot.baseline for slot in asked.slots]
            await settled(services)
            await asyncio.sleep(0.4)
        agreed = [await best(services, alone(guest, slot)) == slot.baseline for guest in GUESTS for slot in menu(guest).slots]
        assert sum(agreed) > 0.9 * len(agreed)
        progress = await services.progress.read()
        assert progress.counters.learned == 5 * 120 * 2
        assert len(progress.apprentice.rewards) == LATEST


def menu(guest: str) -> MultiSlotSituation:
    slots = tuple(Slot(time, USUAL[guest, time], features=({"guest": {"at": f"{guest} {time}"}},)) for time in ("noon", "night"))
    return MultiSlotSituation(context=({"guest": {"name": guest}},), actions=dishes("candy"), slots=slots)


def alone(guest: str, slot: Slot) -> Situation:
    """Give the slot as if it were filled first, so that nothing is taken."""
    asked = menu(guest)
    return Situation(context=(*asked.context, *slot.features, {"slot": {"id": slot.id}}), actions=asked.actions)
