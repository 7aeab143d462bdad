"""The standing holdout: what is shown and logged of an event, held out or not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import isclose, prod
from typing import Any

import pytest

from shared.domain.events import Decision, Holdout, LearningMode, Situation
from shared.domain.loop import LoopSettings
from shared.domain.slots import MultiSlotSituation, Slot
from shared.learning import artifact
from shared.learning.model import Model
from shared.services.serving.deciding import Decider
from shared.services.serving.model_server import ModelServer, Polling, Served
from shared.services.serving.multislot import MultiSlotRanker
from tests.builders import T0, situation
from tests.clocks import SetClock
from tests.services.serving.test_model_server import Feed, trained

EVENTS = 1_500
SHARE = 0.2
ASKED = situation(*"abcd")
WITHOUT_FIRST = replace(ASKED, excluded=frozenset("a"))
SLOTS = MultiSlotSituation(
    context=({"user": {"segment": "s1"}},),
    actions=situation(*"abcd").actions,
    slots=(Slot("top", "b"), Slot("side", "a", excluded=frozenset("c")), Slot("foot", "c")),
)


@pytest.fixture(scope="module")
def model() -> Model:
    return artifact.load_model(trained())


def decided(model: Model, asked: Situation = ASKED, *, events: int = EVENTS, **settings: Any) -> Sequence[Decision]:
    served = Served("v1", T0, model, LoopSettings(**{"exploration_percentage": 0.5, **settings}))
    decider = Decider()
    return [decider.decide(asked, served, event_id=f"e{number}", at=T0, deferred=False) for number in range(events)]


def is_likely(found: float, events: int, expected: float, variance: float) -> bool:
    return bool(abs(found - expected) <= 5.0 * (variance / events) ** 0.5)


@pytest.mark.parametrize("asked", [ASKED, WITHOUT_FIRST], ids=["all", "first excluded"])
def test_who_is_held_out_sees_the_first_allowed_action_and_the_others_what_they_would_see_without_a_holdout(model, asked):
    with_holdout, without = decided(model, asked, holdout_percentage=SHARE), decided(model, asked)
    for one, other in zip(with_holdout, without, strict=True):
        assert one.holdout is not None
        assert one.chosen == (asked.baseline if one.holdout.is_held_out else other.chosen)
        assert (other.holdout, one.proposal) == (None, None)
        assert one.encoded == other.encoded or one.holdout.is_held_out
    held = sum(each.holdout.is_held_out for each in with_holdout if each.holdout)
    assert is_likely(held / EVENTS, EVENTS, SHARE, SHARE * (1.0 - SHARE))


@pytest.mark.parametrize("asked", [ASKED, WITHOUT_FIRST], ids=["all", "first excluded"])
def test_what_is_logged_is_the_probability_of_having_been_shown(model, asked):
    with_holdout, without = decided(model, asked, holdout_percentage=SHARE), decided(model, asked)
    for one, other in zip(with_holdout, without, strict=True):
        mixture = [(1.0 - SHARE) * each + SHARE * (index == asked.baseline) for index, each in enumerate(other.probabilities)]
        assert one.probabilities == pytest.approx(mixture)
        assert [each == 0.0 for each in one.probabilities] == [each == 0.0 for each in other.probabilities]
    shown, chances = Counter(each.chosen for each in with_holdout), with_holdout[0].probabilities
    for action, chance in enumerate(chances):
        assert is_likely(shown[action] / EVENTS, EVENTS, chance, chance * (1.0 - chance))


def test_a_repeated_call_gets_the_same_answer(model):
    assert decided(model, events=50, holdout_percentage=SHARE) == decided(model, events=50, holdout_percentage=SHARE)


@pytest.mark.parametrize("mode", [LearningMode.APPRENTICE, LearningMode.LOGGING_ONLY])
def test_where_all_events_show_the_baseline_none_is_held_out(model, mode):
    settings: dict[str, Any] = {"learning_mode": mode}
    assert decided(model, events=50, holdout_percentage=SHARE, **settings) == decided(model, events=50, **settings)


def test_a_holdout_bounds_the_weight_of_the_baseline_whatever_the_policy_explores(model):
    for decision in decided(model, exploration_percentage=0.0, events=50, holdout_percentage=SHARE):
        assert decision.probabilities[0] >= SHARE


# --- several slots -----------------------------------------------------------------------------------------------------


class Log:
    """Keeps what is appended, call by call."""

    def __init__(self) -> None:
        self.calls: list[Sequence[Decision]] = []

    async def append_decisions(self, decisions: Sequence[Decision]) -> None:
        self.calls.append(decisions)


async def filled(share: float, *, events: int) -> list[Sequence[Decision]]:
    log, feed = Log(), Feed()
    feed.settings = replace(feed.settings, holdout_percentage=share, exploration_percentage=0.8)
    models = ModelServer(feed, feed, defaults=feed.settings, polling=Polling(timedelta(hours=1)))
    ranker = MultiSlotRanker(log, models, clock=SetClock(T0))  # type: ignore[arg-type]  # as much of a log as it needs
    for number in range(events):
        await ranker.rank(SLOTS, event_id=f"e{number}", deferred=False)
    models.stop()
    return log.calls


async def test_a_call_for_several_slots_is_held_out_as_a_whole():
    with_holdout, without = await filled(SHARE, events=200), await filled(0.0, events=200)
    told = set()
    for one, other in zip(with_holdout, without, strict=True):
        (is_held_out,) = {each.holdout.is_held_out for each in one if each.holdout}
        told.add(is_held_out)
        shown = [each.chosen for each in one]
        assert shown == ([1, 0, 2] if is_held_out else [each.chosen for each in other])
        assert {each.holdout.share for each in one if each.holdout} == {SHARE}
    assert told == {True, False}


async def test_the_probabilities_of_slots_multiply_to_that_of_the_whole_answer():
    """A later slot knows what the earlier ones show, and so how likely it is that the event is held out."""
    with_holdout, without = await filled(SHARE, events=200), await filled(0.0, events=200)
    for one, other in zip(with_holdout, without, strict=True):
        if [each.chosen for each in one] != [each.chosen for each in other]:
            continue
        mixture, alone = (prod(each.probabilities[each.chosen] for each in decisions) for decisions in (one, other))
        is_baseline = [each.chosen for each in one] == [1, 0, 2]
        assert isclose(mixture, SHARE * is_baseline + (1.0 - SHARE) * alone, rel_tol=1e-9)


async def test_a_slot_behind_one_that_shows_no_baseline_is_drawn_by_the_policy_alone():
    with_holdout, without = await filled(SHARE, events=200), await filled(0.0, events=200)
    found = [
        (each.holdout, each.probabilities == pytest.approx(before.probabilities))
        for one, other in zip(with_holdout, without, strict=True)
        for each, before in zip(one[1:], other[1:], strict=True)
        if one[0].chosen != 1
    ]
    assert found
    assert all(is_same and holdout == Holdout(SHARE, 0.0, is_held_out=False) for holdout, is_same in found)
