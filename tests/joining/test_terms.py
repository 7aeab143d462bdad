"""A log that tells no probabilities is refused, and says how it can be taken: with what is assumed of them, or to be kept only."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import UnreadableError
from shared.domain.events import JoinedEvent, LearningMode, SkipReason
from shared.domain.loop import LoopSettings
from shared.joining.dsjson import line
from shared.joining.foreign.reader import TERMS, DsjsonReader, Read
from shared.joining.foreign.terms import Assumed, Terms
from shared.joining.reading import read_line
from shared.joining.rejoin import rejoin
from tests.builders import T0
from tests.joining.test_foreign import NAMESPACES, PERSONALIZER, SLOTS, without
from tests.joining.test_runs import imitating

UNIFORM, MOSTLY, KEPT = Terms(assumed=Assumed()), Terms(assumed=Assumed(0.8)), Terms(is_logging_only=True)
THREE = without(NAMESPACES, "p", "_label_probability", "a")
OF_SLOTS = {**SLOTS, "_outcomes": [without(each, "_p") for each in SLOTS["_outcomes"]]}
UNTOLD: dict[str, dict[str, Any]] = {
    "neither p nor a label's probability": THREE,
    "an empty list": {**THREE, "p": []},
    "null": {**THREE, "p": None, "_label_probability": None},
    "the 0 that the client libraries' joiner writes then": {**THREE, "p": [], "_label_probability": 0.0},
    "slots": OF_SLOTS,
}


def read(told: dict, terms: Terms = TERMS) -> Read:
    return DsjsonReader(undated=T0, terms=terms).read(orjson.dumps(told), 1)


def chances(told: dict, terms: Terms) -> list[tuple[float, ...]]:
    return [event.decision.probabilities for event in read(told, terms).events]


@pytest.mark.parametrize("told", UNTOLD.values(), ids=UNTOLD)
def test_it_is_refused_and_the_refusal_names_each_way_out(told):
    with pytest.raises(UnreadableError) as refused:
        read(told)
    for way in ("--probability uniform", "--probability VALUE", "--mode LoggingOnly"):
        assert way in str(refused.value)
    for terms in (UNIFORM, MOSTLY, KEPT):
        taken = read(told, terms)
        how = "the chosen action is taken as certain" if terms is KEPT else "they are assumed as asked for"
        assert taken.notes == (f"there are no probabilities: {how}",)
        assert all(event == read_line(line(event).rstrip()) for event in taken.events)


def test_all_that_could_be_chosen_had_the_same_probability_or_the_logged_one_that_which_is_said():
    assert chances(THREE, UNIFORM) == [pytest.approx((1 / 3, 1 / 3, 1 / 3))]
    assert chances(THREE, MOSTLY) == [pytest.approx((0.8, 0.1, 0.1))]
    assert chances(THREE, KEPT) == [(1.0, 0.0, 0.0)]
    assert chances({**THREE, "a": [1, 3]}, UNIFORM) == [(0.5, 0.0, 0.5)]
    assert chances({**THREE, "a": [1]}, UNIFORM) == [pytest.approx((1 / 3, 1 / 3, 1 / 3))], "it names the choice, and not what there was"
    alone = {**THREE, "c": {"_multi": [{"x": 1}]}}
    assert [chances(alone, terms) for terms in (UNIFORM, MOSTLY, KEPT)] == [[(1.0,)]] * 3


def test_in_a_slot_could_be_chosen_what_its_line_lists_or_what_slots_before_have_left():
    assert chances(OF_SLOTS, UNIFORM) == [(0.25, 0.25, 0.25, 0.25), pytest.approx((1 / 3, 0.0, 1 / 3, 1 / 3))]
    assert chances(OF_SLOTS, MOSTLY) == [pytest.approx((0.2 / 3, 0.8, 0.2 / 3, 0.2 / 3)), pytest.approx((0.1, 0.0, 0.1, 0.8))]
    chosen_only = {**OF_SLOTS, "_outcomes": [{**each, "_a": each["_a"][:1]} for each in OF_SLOTS["_outcomes"]]}
    assert chances(chosen_only, UNIFORM) == [(0.25, 0.25, 0.25, 0.25), pytest.approx((1 / 3, 0.0, 1 / 3, 1 / 3))]


@pytest.mark.parametrize("told", [PERSONALIZER, NAMESPACES, without(NAMESPACES, "p", "a"), SLOTS])
def test_probabilities_that_are_told_stay_whatever_is_assumed_of_others(told):
    assert read(told, UNIFORM) == read(told, MOSTLY) == read(told)


def kept(told: dict) -> list[JoinedEvent]:
    return [*read(told, KEPT).events]


@pytest.mark.parametrize("told", [PERSONALIZER, THREE, SLOTS, {**PERSONALIZER, "_deferred": True}, imitating(2, -2.0, Mode="Apprentice")])
def test_what_is_kept_only_is_not_learned_now_or_when_it_is_joined_anew(told):
    for event in kept(told):
        assert (event.decision.mode, event.decision.proposal) == (LearningMode.LOGGING_ONLY, None)
        assert event.skip is rejoin(event, LoopSettings()).skip is SkipReason.LOGGING_ONLY
    assert [event.reward for event in kept(told)] == [event.reward for event in read(told, UNIFORM).events]


@pytest.mark.parametrize("terms", [UNIFORM, MOSTLY, KEPT])
@pytest.mark.parametrize("chosen", [[9], [-1], [4, 0], 7])
def test_an_action_that_is_not_there_is_refused_whatever_is_assumed(chosen, terms):
    first, *others = OF_SLOTS["_outcomes"]
    with pytest.raises(UnreadableError):
        read({**OF_SLOTS, "_outcomes": [{**first, "_a": chosen}, *others]}, terms)


def test_an_action_that_could_not_be_chosen_is_refused_all_the_same():
    with pytest.raises(UnreadableError):
        read({**THREE, "a": [2, 3]}, UNIFORM)
    twice = [{**each, "_a": [1]} for each in OF_SLOTS["_outcomes"]]
    with pytest.raises(UnreadableError):
        read({**OF_SLOTS, "_outcomes": twice}, UNIFORM)


@given(
    value=st.recursive(st.none() | st.floats() | st.integers(-3, 5), lambda inner: st.lists(inner, max_size=4), max_leaves=6),
    name=st.sampled_from(["_a", "_p", "_label_cost", "_original_label_cost"]),
    terms=st.sampled_from([UNIFORM, MOSTLY, KEPT]),
)
def test_whatever_a_slots_outcome_holds_it_is_read_or_refused(value, name, terms):
    first, *others = OF_SLOTS["_outcomes"]
    with suppress(UnreadableError):
        for event in read({**OF_SLOTS, "_outcomes": [{**first, name: value}, *others]}, terms).events:
            assert read_line(line(event).rstrip()) == event
