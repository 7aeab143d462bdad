"""Requests of the client are what the service would read from their JSON."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from math import inf, nan
from threading import Thread
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_personalizer import Action, InvalidRequestError, Slot
from open_personalizer.requests import EventIds, Reader, event_id_of

from shared.api.multislot import read_multi_slot_rank
from shared.api.rank import ActionReader, read_rank
from shared.learning.encoding import Encoder

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
names = st.text(max_size=4)
arrays = st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), max_size=3) | st.lists(st.text(max_size=3), max_size=3)
objects = st.recursive(
    st.dictionaries(names, scalars | arrays, max_size=4), lambda inner: st.dictionaries(names, inner | scalars, max_size=3), max_leaves=6
)
contexts = objects | st.lists(objects, max_size=3)
actions = st.lists(objects, min_size=1, max_size=4)


class Colour(StrEnum):
    RED = "red"


class OldColour(str, Enum):  # noqa: UP042 - it is written differently
    RED = "red"


def by_service(text: bytes):
    return read_rank(b"{" + text + b"}", ActionReader())[1]


def encoded(situation):
    return [(row.hashes, row.values) for each in [Encoder().encode(situation)] for row in (each.context, *each.actions)]


@given(context=contexts, described=actions)
def test_the_service_reads_the_same_request_from_the_text_that_is_sent(context, described):
    asked = [{"id": f"a{number}", "features": features} for number, features in enumerate(described)]
    try:
        read = Reader().read(context, asked, ["a0"] if len(asked) > 1 else [])
    except InvalidRequestError:
        body = {
            "contextFeatures": context if isinstance(context, list) else [context],
            "actions": [{**each, "features": [each["features"]]} for each in asked],
        }
        with pytest.raises(InvalidRequestError):
            read_rank(json.dumps(body).encode(), ActionReader())
        return
    theirs = by_service(read.text)
    assert encoded(read.situation) == encoded(theirs)
    assert read.situation.allowed == theirs.allowed
    assert [each.id for each in read.situation.actions] == [each.id for each in theirs.actions]


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED,
        OldColour.RED,
        np.float64(0.1),
        (1, 2, 3),
        ("a", "b"),
        10**30,
        -0.0,
        True,
        {1: "one", None: "none", False: "no"},
        {"": 1, "b": 2},
        {"": 1},
        [1.5, 2],
        {"deep": {"er": (1.0, 2.0)}},
        np.float32(0.1),
        np.float16(0.1),
        np.longdouble(0.1),
        np.int64(-7),
        np.uint64(2**64 - 1),
        np.bool_(True),
        np.str_("text"),
        np.array([0.1, 0.2], dtype=np.float32),
        np.array([1, 2]),
        np.array(["a", "b"]),
        np.array(0.5),
        [np.float32(0.1), 2.0],
    ],
    ids=repr,
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_values_that_are_only_written_as_json_count_as_what_is_written(value, wrapped):
    context = {"a": value, "n": {"b": value}}
    given_context = MappingProxyType(context) if wrapped else context
    read = Reader().read(given_context, [Action("x", {"f": value}), {"id": "y", "features": [{"f": value}]}], [])
    assert encoded(read.situation) == encoded(by_service(read.text))


@pytest.mark.parametrize("value", [nan, inf, "\ud800", object(), {1}, b"bytes", [1, "a"], [[1]]], ids=lambda value: type(value).__name__)
def test_what_json_cannot_say_or_the_service_refuses_is_refused(value):
    with pytest.raises(InvalidRequestError):
        Reader().read({"a": value}, [Action("x", {"f": 1})], [])
    with pytest.raises(InvalidRequestError):
        Action("x", {"f": value})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (nan, "nan is no number"),
        (np.float32(-inf), "-inf is no number"),
        (np.float64(nan), "nan is no number"),
        (np.array([1.0, nan]), r"\[1\]: .*nan is no number"),
        (datetime(2026, 1, 1, tzinfo=UTC), "a datetime is no value"),
        (np.datetime64("2026-01-01"), "a datetime64 is no value"),
        (np.timedelta64(5, "s"), "a timedelta64 is no value"),
        (Decimal("0.5"), "a Decimal is no value"),
        (np.array([1 + 1j]), "a ndarray is no value"),
        (np.array([object()]), "a ndarray is no value"),
        ({np.int64(1): 2}, "keys must be"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_written_is_named_by_its_place_and_kind(value, why):
    """A row of a table may have gaps, times and numbers of other kinds."""
    with pytest.raises(InvalidRequestError, match=why) as refused:
        Reader().read([{"a": 1}, {"user": {"age": 30, "last": [value]}}], [Action("x", {"f": 1})], [])
    assert (refused.value.target or "").startswith("contextFeatures[1].user.last[0]")
    with pytest.raises(InvalidRequestError, match=why) as refused:
        Reader().read({"a": 1}, [{"id": "x", "features": {"f": value}}], [])
    assert (refused.value.target or "").startswith("actions[0].features")


@pytest.mark.parametrize("number", [10**400, -(10**400), 2**1024])
@pytest.mark.parametrize("wrap", [lambda number: number, lambda number: [1, number], lambda number: {"b": {"c": number}}])
@pytest.mark.parametrize("of_action", [False, True])
def test_a_whole_number_that_the_service_cannot_read_is_refused_at_once(number, wrap, of_action):
    large, small = {"a": wrap(number)}, {"a": 1}
    with pytest.raises(InvalidRequestError) as refused:
        Reader().read(small if of_action else large, [{"id": "x", "features": large if of_action else small}], ())
    assert (refused.value.target or "").startswith("actions[0]" if of_action else "contextFeatures")


def test_the_largest_numbers_that_the_service_can_read_are_read_as_it_reads_them():
    read = Reader().read({"a": int(1.7e308), "b": [10**30, -(10**300)]}, [{"id": "x", "features": {"a": -(2**1023)}}], ())
    assert encoded(read.situation) == encoded(by_service(read.text))


@pytest.mark.parametrize(
    "given",
    [["b"], ("b",), {"b"}, {"b": 1}.keys(), iter(["b"]), (each for each in ["b"]), np.array(["b"])],
    ids=lambda given: type(given).__name__,
)
def test_ids_are_excluded_whatever_they_are_given_in(given):
    read = Reader().read({}, [{"id": each, "features": {"n": 1}} for each in "ab"], given)
    assert read.situation.allowed == by_service(read.text).allowed == (True, False)


@pytest.mark.parametrize("wrong", ["b", b"b", 5, [5], None, [None]])
def test_exclusions_that_are_no_ids_are_refused(wrong):
    with pytest.raises(InvalidRequestError) as refused:
        Reader().read({}, [{"id": "a", "features": {"n": 1}}], wrong)
    assert refused.value.target == "excludedActions"


def test_an_object_that_holds_itself_or_is_too_deep_is_refused():
    own: dict = {}
    own["own"] = own
    deep: dict = {"a": 1}
    for _ in range(5_000):
        deep = {"a": deep}
    for context in (own, deep):
        with pytest.raises(InvalidRequestError):
            Reader().read(context, [Action("x", {"f": 1})], [])


def many(count: int) -> list[Action]:
    return [Action(f"a{number}", {"f": 1}) for number in range(count)]


@pytest.mark.parametrize(
    ("context", "asked", "excluded", "target"),
    [
        ({}, [], [], "actions"),
        ({}, many(51), [], "actions"),
        ({}, [*many(2), Action("a1", {"f": 2})], [], "actions[2].id"),
        ({}, many(2), ["a0", "a1"], "excludedActions"),
        ({}, many(2), "a0", "excludedActions"),
        ({}, [{"id": "x"}], [], "actions[0]"),
        ({}, [*many(1), {"id": "x", "features": {}}], [], "actions[1].features"),
        ({}, [{"id": "", "features": {"f": 1}}], [], "actions[0].id"),
        ({}, [{"id": "i" * 257, "features": {"f": 1}}], [], "actions[0].id"),
        ({}, [{"id": 7, "features": {"f": 1}}], [], "actions[0].id"),
        ("text", many(1), [], "contextFeatures"),
        (["text"], many(1), [], "contextFeatures[0]"),
        ({"big": [0.5] * 50_001}, many(1), [], "actions"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_place(context, asked, excluded, target):
    with pytest.raises(InvalidRequestError) as refused:
        Reader().read(context, asked, excluded)
    assert refused.value.target == target


@pytest.mark.parametrize("wrong", [".", "..", "a\0b", "i" * 257])
def test_event_ids_that_no_reward_could_name_are_refused(wrong):
    with pytest.raises(InvalidRequestError):
        event_id_of(wrong)


def test_an_event_id_is_taken_as_the_service_takes_it():
    assert event_id_of("a%2fb") == "a/b"
    assert event_id_of("e1") == "e1"


def test_new_event_ids_are_all_different_in_every_thread():
    ids, found = EventIds(), list[str]()
    threads = [Thread(target=lambda: found.extend([ids.of(given) for given in (None, "") for _ in range(500)])) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(found)) == 4_000
    assert {len(each) for each in found} == {32}


def test_a_call_for_several_slots_is_read_as_the_service_reads_it():
    given_slots = [Slot("top", "a0", {"width": 3}, ["a2"]), Slot("side", "a1", [{"width": (1, 2)}])]
    read = Reader().read_slots({"user": {"age": 3}}, many(3), given_slots)
    theirs = read_multi_slot_rank(b"{" + read.text + b"}", ActionReader())[1]
    assert [(each.id, each.baseline, each.excluded) for each in read.situation.slots] == [
        (each.id, each.baseline, each.excluded) for each in theirs.slots
    ]
    assert [each.features for each in read.situation.slots] == [each.features for each in theirs.slots]
    assert read.situation.context == theirs.context


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [Slot("", "a0")],
        [Slot("top", "other")],
        [Slot("top", "a0", excluded=["a0"])],
        [Slot("top", "a0"), Slot("top", "a1")],
        [Slot("top", "a0"), Slot("side", "a0")],
        [Slot("top", "a0", excluded=["unknown"])],
        [Slot(f"s{number}", f"a{number}") for number in range(4)],
    ],
)
def test_slots_that_break_a_rule_are_refused(wrong):
    with pytest.raises(InvalidRequestError):
        Reader().read_slots({}, many(3), wrong)


def test_features_are_kept_as_they_were():
    features = {"colour": "red"}
    action = Action("x", features)
    features["colour"] = "blue"
    assert action.features == ({"colour": "red"},)
    asked = Reader()
    before = asked.read({}, [{"id": "x", "features": features}], []).text
    features["colour"] = "green"
    assert asked.read({}, [{"id": "x", "features": features}], []).text != before
