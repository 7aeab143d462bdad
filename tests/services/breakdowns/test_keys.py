"""What events are told apart by is read from their situations, whatever stands in these."""

from dataclasses import replace

import pytest

from shared.domain.events import Action, Situation
from shared.services.breakdowns.keys import LONGEST, NO_VALUE, KeyReader, cut, found_value
from tests.builders import decision


def asked(*ids: str, context: tuple = (), features: tuple = ({"topic": "x"},)) -> Situation:
    return Situation(context, tuple(Action(each, features) for each in ids))


def read(situation: Situation, *, chosen: int = 0, feature: str = "device", slot: str = "") -> tuple[str, str] | None:
    shown = decision("e", asked=situation, chosen=chosen, probabilities=(1 / len(situation.actions),) * len(situation.actions), slot=slot)
    return KeyReader(feature).read(shown)


@pytest.mark.parametrize("chosen", [0, 1, 2])
@pytest.mark.parametrize("slot", ["", "banner"])
def test_the_action_that_was_shown_is_told(chosen, slot):
    situation = asked("a", 'quo"te \\ ü }, "j":', '{"i":{"id":', context=({"device": "tv"},))
    assert read(situation, chosen=chosen, slot=slot) == (situation.actions[chosen].id, "=tv")


@pytest.mark.parametrize(
    "hostile",
    [
        asked("a", "b", context=({"i": {"id": "x"}, "device": "tv"},)),
        asked("a", "b", context=({"device": "tv"},), features=({"i": {"id": "b"}},)),
        asked("a", "b", context=({"device": "tv", "_multi": [{"i": {"id": "x"}}]},)),
        asked("a", "b", context=({"device": "tv"},), features=({"j": [{"i": {"id": "a"}, "j": 1}]}, {"i": {"id": 'a"},"j":'}})),
    ],
)
def test_features_that_look_like_actions_are_none(hostile):
    assert [read(hostile, chosen=chosen) for chosen in (0, 1)] == [("a", "=tv"), ("b", "=tv")]


@pytest.mark.parametrize("damaged", [b"", b"nonsense", b'{"FromUrl":[],"_multi":[{"i":{"id":"a"', b'{"_multi":[{"i":{"id":"a"},"j":[]}]}'])
def test_a_situation_that_cannot_be_read_stops_nothing(damaged):
    assert KeyReader("device").read(replace(decision(), situation=damaged)) is None


@pytest.mark.parametrize(
    ("context", "feature", "key"),
    [
        (({"user": {"device": {"kind": "tv"}}},), "user.device.kind", "=tv"),
        (({"a.b": {"c": 1}},), "a.b.c", "=1"),
        (({"a.b": 2},), "a.b", "=2"),
        (({"x": 1}, {"x": 2}), "x", "=1"),
        (({"x": ""},), "x", "="),
        (({"x": {"y": 1}},), "x", '={"y":1}'),
        (({"x": {"y": 1}},), "x.y.z", NO_VALUE),
        ((), "x", NO_VALUE),
        (({"x": 1e300},), "x", "=1e+300"),
        (({"x": -0.0},), "x", "=0"),
        (({"x": 10**400},), "x", "=" + cut(str(10**400))),
    ],
)
def test_the_first_value_of_a_path_is_told(context, feature, key):
    assert found_value(context, feature) == key


def test_long_texts_that_begin_alike_stay_apart_and_are_bounded_in_bytes():
    one, other = cut("ü" * 1_000 + "a"), cut("ü" * 1_000 + "b")
    assert one != other
    assert max(len(one.encode()), len(other.encode())) <= LONGEST
