"""Lines of Apprentice mode are told from others by the costs around them: all are the imitation, and some are not what was observed."""

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import UnreadableError
from shared.domain.events import JoinedEvent, LearningMode, Proposal
from shared.domain.loop import LoopSettings
from shared.joining.dsjson import line, read_situation
from shared.joining.foreign.reader import DsjsonReader, Read
from shared.joining.foreign.runs import LONG, MOST_BYTES, MOST_HELD, ApprenticeRuns, Sign
from shared.joining.foreign.terms import Terms
from shared.joining.reading import read_line
from shared.joining.rejoin import rejoin
from shared.learning.encoding import Encoder
from shared.services.training.lessons import lessons
from tests.builders import T0
from tests.joining.test_foreign import PERSONALIZER, SLOTS, without

ASKED = {"FromUrl": [{"x": 1}], "_multi": [{"_tag": "a"}, {"_tag": "b"}]}
ONLINE, APPRENTICE = LearningMode.ONLINE, LearningMode.APPRENTICE


def logged(first: int, cost: float, original: float | None, **changes: Any) -> dict[str, Any]:
    """A line as the client libraries' joiner writes it; ``first`` is the first of ``a``."""
    told = {
        "_label_cost": cost,
        "_label_probability": 0.5,
        "_label_Action": first,
        "_labelIndex": first - 1,
        "a": [first, 3 - first],
        "p": [0.5, 0.5],
        "o": [] if original is None else [{"v": -original}],
        "c": ASKED,
    }
    return told | ({} if original is None else {"_original_label_cost": original}) | changes


def imitating(first: int, original: float, **changes: Any) -> dict[str, Any]:
    return logged(first, -1.0 if first == 1 else -0.0, original, **changes)


def of_slots(*first: int, own: Sequence[int] = (1, 2), original: float = -0.5) -> dict[str, Any]:
    """Two slots with their own actions ``own``; ``first`` are those that were proposed, all counted from 0."""
    top, side, _ = SLOTS["_outcomes"]
    outcomes = [
        {
            **each,
            "_a": [number, *({0, 1, 2} - {number})],
            "_p": [0.5, 0.25, 0.25],
            "_label_cost": -float(number == own[index]),
            "_original_label_cost": original * index,
            "_o": [],
        }
        for index, (each, number) in enumerate(zip((top, side), first, strict=True))
    ]
    slots = {**SLOTS["c"], "_slots": SLOTS["c"]["_slots"][:2]}
    return {**SLOTS, "c": slots, "_outcomes": outcomes, "_ba": list(own)}


def reads(lines: Sequence[dict | bytes], **options: Any) -> list[Read]:
    reader = DsjsonReader(undated=T0, **options)
    found: list[Read] = []
    for number, each in enumerate(lines, start=1):
        with suppress(UnreadableError):
            reader.take(each if isinstance(each, bytes) else orjson.dumps(each), number)
        found += [told.outcome for told in reader.told() if isinstance(told.outcome, Read)]
    reader.end()
    return found + [told.outcome for told in reader.told() if isinstance(told.outcome, Read)]


def read(lines: Sequence[dict | bytes], **options: Any) -> list[JoinedEvent]:
    return [event for each in reads(lines, **options) for event in each.events]


def modes(lines: Sequence[dict | bytes]) -> list[LearningMode]:
    return [event.decision.mode for event in read(lines)]


SEEN = [imitating(1, -5.0), imitating(2, -2.0)]


def test_what_was_observed_is_the_reward_and_what_was_shown_the_baseline():
    events = read(SEEN)
    assert [(event.reward, event.decision.chosen, event.decision.probabilities, event.decision.mode) for event in events] == [
        (5.0, 0, (1.0, 0.0), APPRENTICE),
        (2.0, 0, (1.0, 0.0), APPRENTICE),
    ]
    assert [event.decision.proposal for event in events] == [Proposal(0, 0.5, False), Proposal(1, 0.5, False)]
    assert [event.decision.is_imitated for event in events] == [True, False]
    assert [rejoin(event, LoopSettings()).reward for event in events] == [5.0, 2.0]


def test_the_model_learns_what_the_baseline_earned_or_to_propose_it():
    for imitates, rewards in ((False, [5.0, 2.0]), (True, [1.0, 0.0])):
        encoder = Encoder()
        events = read(SEEN, terms=Terms(imitates=imitates), encode=lambda asked, action: encoder.encode(asked).logged(action))  # noqa: B023
        assert lessons(events, encoder).rewards.tolist() == rewards
        assert [event.decision.learned_action for event in events] == ([0, 1] if imitates else [0, 0])
        anew = [read_line(line(event).rstrip()) for event in events]
        assert lessons(anew, Encoder()).rewards.tolist() == rewards


def test_a_slots_own_action_is_what_was_shown_in_it():
    events = read([of_slots(1, 0), of_slots(0, 2)])
    assert [(event.decision.slot, event.decision.chosen, event.decision.probabilities, event.reward) for event in events] == [
        ("top", 1, (0.0, 1.0, 0.0, 0.0), 0.0),
        ("side", 2, (0.0, 0.0, 1.0, 0.0), 0.5),
    ] * 2
    assert [event.decision.is_imitated for event in events] == [True, False, False, True]
    assert {event.decision.mode for event in events} == {APPRENTICE}
    asked = read_situation(events[0].decision.situation)
    assert asked.actions[asked.baseline].id == asked.actions[1].id == asked.baseline_id


def test_a_slot_without_an_outcome_says_nothing_of_the_mode():
    lines = [of_slots(1, 0), of_slots(0, 2)]
    without_outcome = [{**each, "c": SLOTS["c"], "_outcomes": [*each["_outcomes"], SLOTS["_outcomes"][2]]} for each in lines]
    assert modes(without_outcome) == [APPRENTICE] * 4


NO_IMITATION = {
    "costs that differ in another way": [logged(1, -0.5, -5.0), logged(2, 0.0, -2.0)],
    "costs that are all as observed": [logged(1, -1.0, -1.0), logged(2, 0.0, 0.0)],
    "the imitation but for one line": [*SEEN, logged(2, -1.0, -1.0)],
    "rewards that somebody capped": [logged(1, -1.0, -5.0), logged(1, -0.5, -0.5), logged(2, -1.0, -3.0)],
    "lines without what was observed": [logged(1, -1.0, None), logged(2, 0.0, None)],
    "lines that say their mode": [{**each, "Mode": "Online"} for each in SEEN],
    "slots without own actions": [without(of_slots(1, 0), "_ba"), without(of_slots(0, 2), "_ba")],
    "slots with fewer own actions": [{**of_slots(1, 0), "_ba": [1]}, {**of_slots(0, 2), "_ba": [1]}],
}


@pytest.mark.parametrize("lines", NO_IMITATION.values(), ids=NO_IMITATION)
def test_other_costs_are_taken_as_they_are(lines):
    assert set(modes(lines)) == {ONLINE}
    costs = [outcome["_label_cost"] for each in lines for outcome in each.get("_outcomes", [each])]
    assert [event.reward for event in read(lines)] == [-cost + 0.0 for cost in costs]


@pytest.mark.parametrize("lines", NO_IMITATION.values(), ids=NO_IMITATION)
def test_that_a_cost_is_not_the_observed_one_is_told_of_lines_that_are_taken_as_they_are(lines):
    pairs = [[(each["_label_cost"], each.get("_original_label_cost")) for each in line.get("_outcomes", [line])] for line in lines]
    expected = [any(original not in (None, cost) for cost, original in pair) for pair in pairs]
    assert [any("observed cost" in note for note in told.notes) for told in reads(lines)] == expected
    assert not any(told.notes for told in reads(SEEN))


def test_a_line_that_says_that_it_is_of_apprentice_mode_is_so_among_others_too():
    said = {**SEEN[1], "Mode": "Apprentice"}
    (event, other) = read([said, logged(1, -0.5, -0.5)])
    assert (event.decision.mode, event.reward, event.decision.chosen) == (APPRENTICE, 2.0, 0)
    assert (other.decision.mode, other.reward) == (ONLINE, 0.5)


@pytest.mark.parametrize("lost", [imitating(2, 0.0), of_slots(0, 2)], ids=["one", "slots"])
def test_one_line_that_lost_what_was_observed_is_refused_and_the_others_are_what_they_were(lost):
    outcomes = [without(each, "_original_label_cost") for each in lost.get("_outcomes", [])]
    lost = without(lost, "_original_label_cost") | ({"_outcomes": outcomes} if outcomes else {})
    events = read([SEEN[0], lost, SEEN[1]])
    assert [(event.reward, event.decision.mode) for event in events] == [(5.0, APPRENTICE), (2.0, APPRENTICE)]
    assert set(modes([lost, lost])) == {ONLINE}
    assert set(modes([SEEN[0], logged(2, -1.0, None), SEEN[1]])) == {ONLINE}


def test_what_tells_nothing_between_the_lines_changes_nothing():
    nothing = [b"{broken", b'{"RewardValue":1.0,"EventId":"e1"}', b"{}"]
    assert modes([nothing[0], SEEN[0], *nothing, SEEN[1]]) == [APPRENTICE] * 2


def switched(before: int, after: int, seed: int = 7) -> tuple[list[dict], list[dict]]:
    """A file in whose middle a loop was switched from Apprentice to Online, its last lines of the former mode not to be mistaken."""
    chance = random.Random(seed)
    clicks = [-chance.choice([0.0, 0.25, 0.75]) for _ in range(before + after)]
    apprentice = [imitating(chance.choice([1, 2]), click, EventId=f"a{number}") for number, click in enumerate(clicks[:before])]
    online = [logged(chance.choice([1, 2]), click - 0.1, click - 0.1, EventId=f"o{n}") for n, click in enumerate(clicks[before:])]
    return apprentice, online


@pytest.mark.parametrize(("before", "after"), [(2 * LONG, 3), (3, 2 * LONG), (300, 300)])
def test_a_long_run_of_lines_is_of_apprentice_mode_where_the_mode_was_switched(before, after):
    apprentice, online = switched(before, after)
    expected = [APPRENTICE if before >= LONG else ONLINE] * before
    assert modes([*apprentice, *online]) == [*expected, *[ONLINE] * after]
    assert modes([*online, *apprentice]) == [*[ONLINE] * after, *expected]


@given(seed=st.integers(0, 2**32), share=st.floats(0.5, 0.9))
def test_costs_that_were_cut_to_success_or_none_are_no_imitation_however_often_they_look_like_one(seed, share):
    """Where the first action is mostly chosen, and mostly has success, four of five lines look like it."""
    chance = random.Random(seed)
    lines = []
    for _ in range(300):
        first, success = (1 if chance.random() < share else 2), chance.random() < share
        lines.append(logged(first, -float(success), -5.0 * success - 0.5))
    lines[150] = logged(2, -1.0, -5.5)
    assert set(modes(lines)) == {ONLINE}


def test_a_file_larger_than_what_is_held_back_is_told_apart_all_the_same():
    apprentice, online = switched(2 * MOST_HELD + 5, 5)
    assert modes(apprentice) == [APPRENTICE] * len(apprentice)
    assert modes([*apprentice, *online]) == [*[APPRENTICE] * len(apprentice), *[ONLINE] * 5]


@given(st.lists(st.sampled_from(Sign), max_size=40), st.integers(1, 9))
def test_each_line_is_given_once_and_in_order_and_few_are_held_back(signs, most):
    told: ApprenticeRuns[int] = ApprenticeRuns(most)
    given_back: list[int] = []
    for number, sign in enumerate(signs):
        given_back += [item for item, _ in told.feed(number, sign, 1)]
        assert number + 1 - len(given_back) < most
    given_back += [item for item, _ in told.end()]
    assert given_back == [*range(len(signs))]


def test_lines_are_held_back_by_their_bytes_too():
    told: ApprenticeRuns[int] = ApprenticeRuns()
    assert not [*told.feed(1, Sign.DIFFERS, 1)]
    assert [*told.feed(2, Sign.FITS, MOST_BYTES)] == [(1, True), (2, True)]


def test_what_was_not_to_be_learned_stays_so_and_names_the_baseline_all_the_same():
    (event, _) = read([{**SEEN[0], "_skipLearn": True, "DeferredAction": True}, SEEN[1]])
    assert (event.skip, event.reward, event.decision.mode) == ("notActivated", 5.0, APPRENTICE)


def test_our_own_lines_are_never_taken_for_another_joins():
    event = read(SEEN)[0]
    assert read([line(event)]) == [event]
    assert read([orjson.dumps(PERSONALIZER)])[0].decision.mode is ONLINE
