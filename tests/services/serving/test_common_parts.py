"""What the slots of a call share is encoded and written once, and nothing of what is decided or logged is other for it."""

import asyncio
import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.events import Action, Decision, JoinedEvent, LearningMode, Situation
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.domain.slots import Filling, MultiSlotSituation, Slot
from shared.joining.dsjson import action_text
from shared.learning.arguments import parse_arguments
from shared.learning.encoding import Encoder
from shared.learning.learner import Learner
from shared.services.serving.deciding import Decider
from shared.services.serving.model_server import Served
from shared.services.serving.multislot import MultiSlotRanker
from shared.services.training.lessons import lessons
from tests.builders import T0, decision
from tests.clocks import SetClock

POLICIES = ["--ccb_explore_adf", "--ccb_explore_adf --bag 5", "--ccb_explore_adf -q ua --ignore_linear s", "--ccb_explore_adf --cover 3"]
MODES = [*LearningMode]


class Log:
    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    async def append_decisions(self, decisions: Sequence[Decision]) -> None:
        self.decisions = [*decisions]


class Models:
    def __init__(self, served: Served) -> None:
        self._served = served

    async def served(self) -> Served:
        return self._served


def features(chance: random.Random, most: int) -> dict[str, Any]:
    """Draw features of every kind: texts, numbers, objects, arrays, what is ignored and what is too many."""
    kinds: list[Any] = [1, -2.5, 1e300, 5e-324, 2**60, "text", "", "中文", None, True, [1.0, 2, 3], {"a": 1, "b": {"c": "d"}}, {"_x": 1}]
    found = {f"{chance.choice('uaz_')}{number}": chance.choice(kinds) for number in range(chance.randint(0, most))}
    return found | ({"wide": [chance.random() for _ in range(400)]} if chance.random() < 0.2 else {})


def a_call(chance: random.Random) -> MultiSlotSituation:
    count = chance.randint(1, 8)
    ids = [f"a{number}" for number in range(count)]
    drawn = [(each, ({"is": each}, features(chance, 6))) for each in ids]
    actions = tuple([Action(each, given, action_text(each, given) if chance.random() < 0.7 else b"") for each, given in drawn])
    context = tuple([features(chance, 300 if chance.random() < 0.1 else 5) for _ in range(chance.randint(0, 2))])
    baselines = chance.sample(ids, chance.randint(1, count))
    slots = [
        Slot(
            f"s{number}",
            baseline,
            tuple([features(chance, 4) for _ in range(chance.randint(0, 2))]),
            frozenset(chance.sample([each for each in ids if each != baseline], chance.randint(0, min(2, count - 1)))),
        )
        for number, baseline in enumerate(baselines)
    ]
    return MultiSlotSituation(context, actions, tuple(slots))


def served(policy: str, mode: LearningMode, *, is_cold: bool) -> Served:
    arguments = parse_arguments(policy)
    learner, encoder = Learner.cold(arguments.interactions), Encoder(arguments.interactions)
    asked = Situation(({"u1": 1, "z2": "text"},), tuple([Action(f"a{number}", ({"is": f"a{number}"},)) for number in range(5)]))
    logged = [encoder.encode(asked).logged(number) for number in range(5)]
    events = [
        JoinedEvent(replace(decision(f"e{number}", chosen=number % 5, probabilities=(0.2,) * 5), encoded=logged[number % 5]), number % 2)
        for number in range(100)
    ]
    if not is_cold:
        learner.learn(lessons(events, encoder))
    settings = LoopSettings(policy=LearningPolicy("several", policy), learning_mode=mode)
    return Served("v1", None, learner.model(), settings, None, arguments)


def ranked(asked: MultiSlotSituation, by: Served, event_id: str) -> list[Decision]:
    log = Log()
    ranker = MultiSlotRanker(log, Models(by), clock=SetClock(T0))  # type: ignore[arg-type]  # as much of both as it needs
    asyncio.run(ranker.rank(asked, event_id=event_id, deferred=False))
    return log.decisions


def digests() -> dict[str, str]:
    """Give, of each policy and mode, the digest of all that some calls log."""
    found = {}
    for policy in POLICIES:
        for mode in MODES:
            chance, by = random.Random(f"{policy} {mode}"), served(policy, mode, is_cold=False)
            logged = [each for number in range(12) for each in ranked(a_call(chance), by, f"e{number}")]
            found[f"{policy} {mode}"] = hashlib.sha256("\n".join(map(_told, logged)).encode()).hexdigest()[:16]
    return found


# --- tests -----------------------------------------------------------------------------------------------------------------


def _told(decision: Decision) -> str:
    """Write all of a decision that the release before knew of."""
    return repr(decision).replace(", holdout=None", "")


LOGGED_BEFORE = {
    "--ccb_explore_adf LoggingOnly": "f1f9256832a1a007",
    "--ccb_explore_adf --bag 5 LoggingOnly": "fade0459935c10ae",
    "--ccb_explore_adf -q ua --ignore_linear s LoggingOnly": "5b19980380ea96f1",
    "--ccb_explore_adf --cover 3 LoggingOnly": "cdc6684121ed8f0f",
}
"""By the release that encoded each slot by itself, where no model has a say, whose last bits depend on the machine."""


def test_what_is_logged_is_what_the_release_before_logged():
    found = digests()
    assert {name: found[name] for name in LOGGED_BEFORE} == LOGGED_BEFORE


@pytest.mark.parametrize("is_cold", [True, False])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.sweep(keep=8)
def test_each_slot_is_decided_and_logged_as_if_it_were_asked_about_by_itself(policy, mode, is_cold):
    chance, by = random.Random(f"{policy}{mode}{is_cold}"), served(policy, mode, is_cold=is_cold)
    for number in range(25):
        asked = a_call(chance)
        expected, left = [], Filling(asked)
        for slot in asked.slots:
            expected.append(Decider().decide(left.situation(slot), by, event_id=f"e{number}", at=T0, deferred=False))
            left.take(asked.actions[expected[-1].chosen].id)
        assert ranked(asked, by, f"e{number}") == expected


class Counting(Encoder):
    """Counts the actions that are hashed."""

    hashed = 0

    def _encoded(self, action: Action) -> Any:
        self.hashed += 1
        return super()._encoded(action)


def test_an_action_that_is_too_long_to_be_remembered_is_hashed_once_a_call():
    encoder = Counting()
    actions = tuple([Action(f"a{number}", ({"x": "y" * 2_000},)) for number in range(10)])
    common = encoder.common(({"hour": 9},), actions)
    for number in range(10):
        assert common.encode(({"slot": {"id": f"s{number}"}},)).actions == common.actions
    assert encoder.hashed == 10
