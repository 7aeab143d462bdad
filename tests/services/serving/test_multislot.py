"""Multi-slot Rank: what it decides, and that all of it is stored together."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import EventTooLargeError, InvalidMultiSlotApiAccessError, StorageUnavailableError
from shared.domain.events import Decision, LearningMode, Observation, Situation
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.domain.slots import MultiSlotSituation, Slot
from shared.joining.dsjson import read_situation
from shared.learning.encoding import Encoder
from shared.services.serving.deciding import Decider
from shared.services.serving.model_server import ModelServer, Polling
from shared.services.serving.multislot import MOST_BYTES, FilledSlot, MultiSlotRanker, check_multi_slot
from shared.services.serving.rewarding import Rewarder
from tests.builders import T0, situation
from tests.clocks import SetClock
from tests.services.serving.test_model_server import Feed

ASKED = MultiSlotSituation(
    context=({"user": {"segment": "s1"}},),
    actions=situation(*"abcde").actions,
    slots=(
        Slot("top", "b", features=({"size": {"is": "large"}},)),
        Slot("side", "a", excluded=frozenset("cde")),
        Slot("foot", "c", excluded=frozenset("b")),
    ),
)
"""Only a and b may go to the side: if one of them is taken for the top, the other is left for it."""


class Log:
    """Keeps what is appended, append by append."""

    def __init__(self) -> None:
        self.decisions: list[Sequence[Decision]] = []
        self.observations: list[Sequence[Observation]] = []
        self.error: Exception | None = None

    async def append_decisions(self, decisions: Sequence[Decision]) -> None:
        if self.error is not None:
            raise self.error
        self.decisions.append(decisions)

    async def append_observation(self, observation: Observation) -> None:
        await self.append_observations([observation])

    async def append_observations(self, observations: Sequence[Observation]) -> None:
        self.observations.append(observations)


class World:
    """A ranker, its log, and the model and settings it answers with."""

    def __init__(self) -> None:
        self.log = Log()
        self.feed = Feed()
        self.models = ModelServer(self.feed, self.feed, defaults=LoopSettings(), polling=Polling(timedelta(hours=1)))
        self.ranker = MultiSlotRanker(self.log, self.models, clock=SetClock(T0))  # type: ignore[arg-type]  # as much of a log as it needs

    async def rank(self, event_id: str | None = "e1", *, deferred: bool = False) -> list[str]:
        ranking = await self.ranker.rank(ASKED, event_id=event_id, deferred=deferred)
        assert [filled.slot_id for filled in ranking.slots] == [slot.id for slot in ASKED.slots]
        return [filled.reward_action_id for filled in ranking.slots]


@pytest.fixture
def world():
    world = World()
    yield world
    world.models.stop()


@pytest.fixture(params=["cold", "trained"])
def either(request, world):
    """Answering with nothing learned, and with something."""
    if request.param == "trained":
        world.feed.publish("v1")
    return world


async def test_no_action_is_shown_twice_and_exclusions_hold(either):
    answers = Counter([tuple(await either.rank(f"e{n}")) for n in range(300)])
    assert len(answers) > 3
    for top, side, foot in answers:
        assert len({top, side, foot}) == 3
        assert side in "ab"
        assert foot != "b"


async def test_what_is_logged_is_what_was_drawn_from(either):
    for number in range(100):
        shown = await either.rank(f"e{number}")
        taken: set[str] = set()
        for decision, slot, action_id in zip(either.log.decisions[-1], ASKED.slots, shown, strict=True):
            chances = dict(zip("abcde", decision.probabilities, strict=True))
            assert sum(chances.values()) == pytest.approx(1.0)
            assert not [each for each in slot.excluded | taken if chances[each] != 0.0]
            assert ASKED.actions[decision.chosen].id == action_id
            assert chances[action_id] > 0.0
            taken.add(action_id)


async def test_all_slots_are_stored_by_one_append_each_with_a_situation_of_its_own(world):
    await world.rank(deferred=True)
    ((*decisions,),) = world.log.decisions
    assert [(d.event_id, d.slot, d.deferred, d.decided_at) for d in decisions] == [("e1", slot.id, True, T0) for slot in ASKED.slots]
    situations = [read_situation(decision.situation) for decision in decisions]
    assert [(s.slot, s.baseline_id) for s in situations] == [(slot.id, slot.baseline) for slot in ASKED.slots]
    assert all(s.actions == ASKED.actions for s in situations)
    assert [Encoder().encode(s).logged(d.chosen) for s, d in zip(situations, decisions, strict=True)] == [d.encoded for d in decisions]
    assert len({decision.encoded for decision in decisions}) == 3


async def test_the_same_request_with_the_same_event_id_gets_the_same_answer(either):
    first = {n: await either.rank(f"e{n}") for n in range(20)}
    assert {n: await either.rank(f"e{n}") for n in range(20)} == first
    assert len({tuple(answer) for answer in first.values()}) > 1


async def test_each_slot_has_a_draw_of_its_own(world):
    """Two slots of one event with the same chances: the same action as often as two independent draws give it."""
    decider, served = Decider(), await world.models.served()
    asked = [replace(situation(*"abcd"), slot=slot) for slot in ("s1", "s2")]
    events = [[decider.decide(each, served, event_id=f"e{n}", at=T0, deferred=False).chosen for each in asked] for n in range(1000)]
    assert 0.2 < sum(one == other for one, other in events) / len(events) < 0.3


@pytest.mark.parametrize("mode", [LearningMode.APPRENTICE, LearningMode.LOGGING_ONLY])
async def test_outside_online_mode_each_slot_shows_its_baseline(either, mode):
    either.feed.settings = LoopSettings(learning_mode=mode)
    for number in range(20):
        assert await either.rank(f"e{number}") == ["b", "a", "c"]
    assert {decision.mode for decisions in either.log.decisions for decision in decisions} == {mode}
    assert {max(decision.probabilities) for decisions in either.log.decisions for decision in decisions} == {1.0}


async def test_without_an_event_id_one_is_made_for_all_slots(world):
    answers = [await world.ranker.rank(ASKED, event_id=None, deferred=False) for _ in range(2)]
    assert len(answers[0].event_id) == 32
    assert answers[0].event_id != answers[1].event_id
    assert {decision.event_id for decision in world.log.decisions[0]} == {answers[0].event_id}
    assert isinstance(answers[0].slots[0], FilledSlot)


async def test_what_was_not_stored_is_not_answered(world):
    world.log.error = StorageUnavailableError("down")
    with pytest.raises(StorageUnavailableError):
        await world.rank()


async def test_rewards_name_their_slot_and_an_activation_names_none(world):
    rewarder = Rewarder(world.log, clock=SetClock(T0))
    await rewarder.reward_slot("e1", "top", 0.5)
    await rewarder.reward_slots("e1", [("side", 1.0), ("foot", 0.0)])
    await rewarder.activate("e1")
    assert [[(o.event_id, o.slot, o.reward) for o in append] for append in world.log.observations] == [
        [("e1", "top", 0.5)],
        [("e1", "side", 1.0), ("e1", "foot", 0.0)],
        [("e1", "", None)],
    ]


async def test_many_calls_at_once_do_not_disturb_each_other(world):
    alone = [await world.rank(f"e{n}") for n in range(30)]
    assert await asyncio.gather(*(world.rank(f"e{n}") for n in range(30))) == alone


# --- which loops, and how much ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["--ccb_explore_adf", "--ccb_explore_adf --epsilon 0.2", "--epsilon=0.2 --ccb_explore_adf"])
def test_a_policy_for_several_slots_lets_several_be_ranked(arguments):
    check_multi_slot(LoopSettings(policy=LearningPolicy("mine", arguments)))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (LoopSettings(), "--ccb_explore_adf"),
        (LoopSettings(policy=LearningPolicy("--ccb_explore_adf", "--cb_explore_adf")), "--ccb_explore_adf"),
        (LoopSettings(policy=LearningPolicy("mine", "--ccb_explore_adf"), is_auto_optimization_enabled=True), "optimises"),
    ],
)
def test_other_settings_do_not_and_the_refusal_says_which(settings, why):
    with pytest.raises(InvalidMultiSlotApiAccessError, match=why):
        check_multi_slot(settings)


async def test_a_call_that_no_row_could_hold_is_given_up_half_way(world, monkeypatch):
    slots = (*ASKED.slots, Slot("more", "d"), Slot("most", "e"))
    large = MultiSlotSituation(({"text": {"is": "x" * (MOST_BYTES // 4)}},), ASKED.actions, slots)
    decided: list[str] = []

    class Noting(Decider):
        def decide(self, situation: Situation, *args: Any, **others: Any) -> Decision:
            decided.append(situation.slot)
            return super().decide(situation, *args, **others)

    monkeypatch.setattr("shared.services.serving.multislot.Decider", Noting)
    ranker = MultiSlotRanker(world.log, world.models, clock=SetClock(T0))
    with pytest.raises(EventTooLargeError):
        await ranker.rank(large, event_id="e1", deferred=False)
    assert decided == ["top", "side", "foot", "more"]
    assert world.log.decisions == []
