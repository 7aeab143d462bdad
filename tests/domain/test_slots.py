"""Filling slots: whatever is chosen on the way, every slot gets an action of its own that is not excluded there."""

import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidRankRequestError
from shared.domain.slots import Filling, MultiSlotSituation, Slot
from tests.builders import situation

IDS = "abcdef"


def asked(actions: str, *slots: Slot) -> MultiSlotSituation:
    return MultiSlotSituation(context=({"user": {"segment": "s1"}},), actions=situation(*actions).actions, slots=slots)


def slot(name: str, baseline: str, excluded: str = "") -> Slot:
    return Slot(name, baseline, excluded=frozenset(excluded))


@st.composite
def situations(draw: st.DrawFn) -> MultiSlotSituation:
    ids = IDS[: draw(st.integers(1, 6))]
    baselines = draw(st.permutations(ids))[: draw(st.integers(1, len(ids)))]
    slots = [slot(f"s{n}", own, "".join(draw(st.sets(st.sampled_from(ids))) - {own})) for n, own in enumerate(baselines)]
    return asked(ids, *slots)


def may_end(situation: MultiSlotSituation, number: int, taken: list[str]) -> bool:
    """Try everything: whether the slots from this one on can be filled."""
    rest = situation.slots[number:]
    left = [action.id for action in situation.actions if action.id not in taken]
    tries = permutations(left, len(rest))
    return any(all(each not in place.excluded for each, place in zip(ids, rest, strict=True)) for ids in tries)


@given(situations(), st.randoms(use_true_random=False))
def test_every_slot_gets_an_action_of_its_own_and_may_get_every_one_that_leaves_the_others_some(asked, chance):
    filling = Filling(asked)
    taken: list[str] = []
    for number, place in enumerate(asked.slots):
        choice = filling.situation(place)
        possible = [
            a.id for a in asked.actions if a.id not in taken and a.id not in place.excluded and may_end(asked, number + 1, [*taken, a.id])
        ]
        assert [action.id for action, may in zip(choice.actions, choice.allowed, strict=True) if may] == possible
        taken.append(chance.choice(possible))
        filling.take(taken[-1])
    assert len(set(taken)) == len(asked.slots)


@given(situations())
def test_the_baselines_are_one_way_to_fill_all_slots(asked):
    filling = Filling(asked)
    for place in asked.slots:
        choice = filling.situation(place)
        assert choice.actions[choice.baseline].id == place.baseline
        filling.take(place.baseline)


def test_fifty_slots_that_are_hard_to_fill_are_filled_in_no_time():
    ids = [f"a{n}" for n in range(50)]
    chance = random.Random(1)
    places = tuple(Slot(f"s{n}", each, excluded=frozenset(chance.sample(ids, 45)) - {each}) for n, each in enumerate(ids))
    filling = Filling(MultiSlotSituation((), situation(*ids).actions, places))
    for place in places:
        choice = filling.situation(place)
        filling.take(chance.choice([each for each, may in zip(ids, choice.allowed, strict=True) if may]))


def test_a_slots_features_and_its_id_join_the_context():
    place = Slot("top", "a", features=({"size": {"is": "large"}}, {"position": 1}))
    choice = Filling(asked("ab", place)).situation(place)
    assert choice.context == ({"user": {"segment": "s1"}}, {"size": {"is": "large"}}, {"position": 1}, {"slot": {"id": "top"}})
    assert (choice.slot, choice.baseline_id) == ("top", "a")


def test_a_baseline_that_was_taken_makes_way_for_the_first_that_may_be_chosen():
    first, second = slot("s1", "a"), slot("s2", "b")
    filling = Filling(asked("abc", first, second))
    filling.situation(first)
    filling.take("b")
    assert filling.situation(second).baseline == 0


@pytest.mark.parametrize(
    ("slots", "target"),
    [
        ([], "slots"),
        ([slot(str(n), each) for n, each in enumerate("abca")], "slots"),
        ([slot("s", "a"), slot("s", "b")], "slots[1].id"),
        ([slot("", "a")], "slots[0].id"),
        ([slot("s", "d")], "slots[0].baselineAction"),
        ([slot("s", "a"), slot("t", "a")], "slots[1].baselineAction"),
        ([slot("s", "a", "ab")], "slots[0].baselineAction"),
        ([slot("s", "a", "x")], "slots[0].excludedActions"),
    ],
    ids=["none", "too many", "same id", "no id", "unknown baseline", "same baseline", "excluded baseline", "unknown exclusion"],
)
def test_slots_that_cannot_all_be_filled_are_refused_by_field(slots, target):
    with pytest.raises(InvalidRankRequestError) as refused:
        asked("abc", *slots)
    assert refused.value.target == target


def test_actions_with_the_same_id_are_refused():
    with pytest.raises(InvalidRankRequestError):
        asked("aab", slot("s", "a"))
