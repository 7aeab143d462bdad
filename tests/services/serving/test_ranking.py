"""Rank's answer laid out, and explained where the settings ask for it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import StorageUnavailableError
from shared.domain.events import LearningMode
from shared.domain.loop import LoopSettings
from shared.services.serving.model_server import ModelServer, Polling
from shared.services.serving.ranking import Ranker, Ranking
from tests.builders import T0, situation
from tests.clocks import SetClock
from tests.services.serving.test_model_server import Feed

EXPLAINED = LoopSettings(is_inference_explainability_enabled=True)
ASKED = replace(situation(*"abcd"), excluded=frozenset("b"))


class Log:
    """Keeps what is appended, or fails."""

    def __init__(self) -> None:
        self.decisions: list = []
        self.error: Exception | None = None

    async def append_decision(self, decision) -> None:
        if self.error is not None:
            raise self.error
        self.decisions.append(decision)


class World:
    """A ranker with a trained model."""

    def __init__(self, settings: LoopSettings) -> None:
        self.feed = Feed()
        self.feed.settings = settings
        self.feed.publish("v1")
        self.log = Log()
        self.polling = Polling(timedelta(hours=1))
        models = ModelServer(self.feed, self.feed, defaults=settings, polling=self.polling)
        self.ranker = Ranker(self.log, models, clock=SetClock(T0))  # type: ignore[arg-type]  # as much of a log as it needs

    async def rank(self) -> Ranking:
        try:
            return await self.ranker.rank(ASKED, event_id="e1", deferred=False)
        finally:
            self.polling.stop()


async def test_nothing_is_explained_unless_it_is_asked_for():
    assert (await World(LoopSettings()).rank()).reasons == ()


@pytest.mark.parametrize("mode", [LearningMode.ONLINE, LearningMode.APPRENTICE])
async def test_every_action_is_explained_in_the_order_of_the_ranking(mode):
    ranking = await World(replace(EXPLAINED, learning_mode=mode)).rank()
    assert tuple(action_id for action_id, _ in ranking.reasons) == ranking.action_ids
    assert {name for _, reasons in ranking.reasons for name, _ in reasons} <= {
        *("id", "topic", "length", "user.segment"),
        *("user.segment^id", "user.segment^topic", "user.segment^length"),
    }
    assert any(reasons for _, reasons in ranking.reasons)


async def test_in_logging_only_mode_no_model_is_asked_so_nothing_is_explained():
    assert (await World(replace(EXPLAINED, learning_mode=LearningMode.LOGGING_ONLY)).rank()).reasons == ()


async def test_an_explanation_changes_nothing_else():
    plain, explained = World(LoopSettings()), World(EXPLAINED)
    assert replace(await explained.rank(), reasons=()) == await plain.rank()
    assert explained.log.decisions == plain.log.decisions


async def test_what_was_not_stored_is_neither_answered_nor_explained():
    world = World(EXPLAINED)
    world.log.error = StorageUnavailableError("down")
    with pytest.raises(StorageUnavailableError):
        await world.rank()


async def test_a_large_situation_is_explained_as_a_small_one_is_and_others_go_on_meanwhile():
    """It is taken apart beside the event loop."""
    world, turns = World(EXPLAINED), 0
    large = replace(ASKED, context=(*ASKED.context, {f"n{number}": number for number in range(4_000)}))

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    ranking = await world.ranker.rank(large, event_id="e1", deferred=False)
    task.cancel()
    world.polling.stop()
    assert tuple(action_id for action_id, _ in ranking.reasons) == ranking.action_ids
    assert any(reasons for _, reasons in ranking.reasons)
    assert turns > 1
