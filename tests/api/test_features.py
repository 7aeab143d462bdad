"""The rules for feature objects, without a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api.features import MAX_DEPTH, count_values, has_value, problem


def nested(depth: int) -> dict:
    return {"x": nested(depth - 1)} if depth > 1 else {"x": 1}


@pytest.mark.parametrize(
    "features",
    [{}, {"x": None}, {"x": []}, {"x": [1, 2.5, -3]}, {"x": ["1", ""]}, {"x": {"y": {}}}, {" ": "", "_x": True}, nested(MAX_DEPTH)],
    ids=lambda features: str(features)[:30],
)
def test_features_may_be_scalars_arrays_of_numbers_or_texts_and_objects(features):
    assert problem([features], "contextFeatures") is None


@pytest.mark.parametrize(
    ("objects", "place"),
    [
        ([{"": 1}], "here[0]"),
        ([{}, {"x": {"y": {"": 1}}}], "here[1].x.y"),
        ([{"x": ["1", 1]}], "here[0].x[1]"),
        ([{"x": ["1", None]}], "here[0].x[1]"),
        ([{"x": [True, "1"]}], "here[0].x[0]"),
        ([{"x": [1, True]}], "here[0].x[1]"),
        ([{"x": [1, 2, None]}], "here[0].x[2]"),
        ([{"x": {"y": [[1]]}}], "here[0].x.y[0]"),
        ([{"x": [{}]}], "here[0].x[0]"),
        ([nested(MAX_DEPTH + 1)], "here[0]" + ".x" * MAX_DEPTH),
        ([nested(900)], "here[0]" + ".x" * MAX_DEPTH),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_first_broken_rule_is_named_with_its_place(objects, place):
    found = problem(objects, "here")
    assert found is not None
    assert found[0] == place


def test_of_several_broken_rules_the_first_in_reading_order_is_named():
    assert problem([{"a": [1, "x"], "": 1}, {"": 1}], "here") == (
        "here[0].a[1]",
        "an array of features may hold only numbers, or only texts",
    )


@pytest.mark.parametrize("value", [0, False, "", 0.0, [0], {"x": 0}, [{"x": {"y": [None, 1]}}]])
def test_falsy_values_are_values(value):
    assert has_value(value)


@pytest.mark.parametrize("value", [None, {}, [], [{}], {"x": None}, [{"x": {"y": [None, {}]}}]])
def test_nulls_and_empty_containers_are_none(value):
    assert not has_value(value)


def test_every_number_of_an_embedding_is_a_value():
    assert count_values([{"e": [0.5] * 768, "name": "x"}, {"nested": {"a": [1], "b": None}}]) == 771


@pytest.mark.parametrize(
    "features", [{"": 1}, {"x": {"": 1}}, {"x": ["1", 1]}, {"x": [True]}, {"x": [None]}, {"x": [[1]]}, nested(MAX_DEPTH + 1)]
)
def test_what_breaks_a_rule_is_not_counted_but_named(features):
    assert count_values([features]) is None
    assert problem([features], "here") is not None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=2),
        lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=1), x, max_size=3),
    )
)
def test_what_is_counted_has_no_problem_and_the_other_way_round(value):
    assert (count_values([{"x": value}]) is None) == (problem([{"x": value}], "here") is not None)
