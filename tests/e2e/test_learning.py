"""The whole loop on the embedded store: traffic in, a better policy out, and every event accounted for."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.domain.clock import SystemClock
from shared.domain.events import Action, Situation
from shared.runtime.loop_services import LoopServices
from shared.runtime.settings import read_settings
from shared.runtime.wiring import build
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.settings import FolderSettings
from tests.stores import settings_of

pytestmark = pytest.mark.slow

SETTINGS = {
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
    "PERSONALIZER_INGEST_GRACE": "PT0.5S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.1S",
}
PALATES = {"ann": "sweet", "bob": "salty", "cem": "sour"}
DISHES = {"soup": "salty", "cake": "sweet", "pickle": "sour", "bread": "plain", "candy": "sweet"}
BASELINE = 0.9 / 3 + 0.1 * 2 / 3
"""Expected reward of always showing soup: liked by one guest in three."""


class Ahead:
    """The machine's clock, put forward where a test would wait."""

    def __init__(self) -> None:
        self._by = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self._by

    def pass_(self, seconds: float) -> None:
        self._by += timedelta(seconds=seconds)


CLOCK = Ahead()
"""Of all stores of these tests; it never goes back."""


def built(place: str, **own: str) -> LoopServices:
    """Put the loop in a folder together, with settings of its own."""
    storage = EmbeddedStorage(FolderSettings(Path(place), make=True), clock=CLOCK)
    return build(read_settings({**settings_of(place), **SETTINGS, **own}), storage=storage, clock=CLOCK)


@pytest.fixture
async def services(storage) -> AsyncIterator[LoopServices]:
    services = built(storage)
    yield services
    await services.close()


def dinner(guest: str) -> Situation:
    actions = tuple(Action(dish, ({"taste": {"is": taste}},)) for dish, taste in DISHES.items())
    return Situation(context=({"guest": {"name": guest}},), actions=actions)


async def serve(services: LoopServices, chance: random.Random, number: int, round_: int) -> float:
    guest = chance.choice(list(PALATES))
    ranking = await services.ranker.rank(dinner(guest), event_id=f"dinner-{round_}-{number}", deferred=False)
    is_liked = DISHES[ranking.reward_action_id] == PALATES[guest]
    reward = float(chance.random() < (0.9 if is_liked else 0.1))
    if reward:
        await services.rewarder.reward(ranking.event_id, reward)
    return reward


async def settled(services: LoopServices, seconds: float = 20) -> None:
    """Train as the timer would, every half second of a clock that goes faster, until nothing is pending."""
    async with asyncio.timeout(seconds):
        while (await services.progress.read()).pending:
            CLOCK.pass_(0.5)
            await services.trainer.run()


async def test_the_learned_policy_beats_the_baseline_and_every_event_is_accounted_for(services):
    """Seeded: guests, tastes and event ids, and with them the draws. Optimum .9, baseline .37, random .32; margin .2."""
    chance = random.Random(2026)
    versions: list[str] = []
    rewards: list[float] = []
    for round_ in range(5):
        rewards = [await each for each in [serve(services, chance, number, round_) for number in range(120)]]
        await settled(services)
        await asyncio.sleep(0.4)
        versions.append((await services.models.served()).version)
    assert sum(rewards) / len(rewards) > BASELINE + 0.2
    assert versions == sorted(set(versions))
    assert len(versions) == 5
    progress = await services.progress.read()
    assert progress.ranked == progress.counters.learned == 5 * 120
    assert (progress.pending, progress.lag) == (0, timedelta(0))


async def test_counters_add_up_while_events_are_under_way_and_when_they_are_done(services):
    situation = dinner("ann")
    for event_id in ("plain", "plain", "rewarded", "deferred", "activated"):
        await services.ranker.rank(situation, event_id=event_id, deferred=event_id in ("deferred", "activated"))
    for event_id in ("rewarded", "rewarded", "deferred", "nobody"):
        await services.rewarder.reward(event_id, 1.0)
    await services.rewarder.activate("activated")
    waiting = await services.progress.read()
    assert (waiting.ranked, waiting.pending, waiting.rewards) == (5, 5, 4)
    await settled(services)
    await services.rewarder.reward("plain", 1.0)
    CLOCK.pass_(1 + services.settings.grace.total_seconds() + 0.5)
    await services.trainer.run()
    done = await services.progress.read()
    assert (done.ranked, done.pending, done.counters.learned) == (5, 0, 3)
    assert done.counters.skipped == {"duplicate": 1, "notActivated": 1}
    assert (done.rewards, done.counters.late_rewards, done.counters.unknown_rewards) == (5, 1, 1)


async def test_the_same_request_with_the_same_event_id_and_model_gets_the_same_answer(services):
    chance = random.Random(1)
    for number in range(60):
        await serve(services, chance, number, 0)
    await settled(services)
    await asyncio.sleep(0.4)
    first = await services.ranker.rank(dinner("bob"), event_id="again", deferred=False)
    assert not (await services.models.served()).model.is_cold
    assert all([await services.ranker.rank(dinner("bob"), event_id="again", deferred=False) == first for _ in range(5)])


async def test_commits_and_retention_keep_what_is_needed_and_only_that_many_models(services, storage):
    kept = built(storage, PERSONALIZER_MODELS_KEPT="2")
    for round_ in range(4):
        await asyncio.gather(*(serve(kept, random.Random(number), number, round_) for number in range(20)))
        await settled(kept)
    before = await kept.progress.read()
    versions = [*await kept.store.replaced()]
    assert len(versions) == 2
    assert len([name async for name in kept.store.figures_kept()]) == 1
    await kept.retention.run()
    assert [*await kept.store.replaced()] == versions == [version async for version in kept.store.states()]
    assert before.published_version in versions
    after = await kept.progress.read()
    assert (after.ranked, after.counters) == (before.ranked, before.counters)
    assert len(await kept.log.day_tables()) >= 4  # today's and tomorrow's
    await kept.close()
