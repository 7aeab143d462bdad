"""What a lane reads of a logged situation is what the encoder gives of the whole of it, however much of it was met before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import UnreadableError
from shared.domain.events import Action, Situation
from shared.joining.dsjson import situation_text
from shared.learning.encoding import Encoder
from shared.learning.interactions import Interactions
from shared.services.analysis.features import Feature
from shared.services.analysis.logged import LoggedEncoder
from tests.learning.building import entries

names = st.sampled_from(["user", "item", "age", "_left"])
features = st.dictionaries(
    names, st.integers(0, 3) | st.text("xy", max_size=2) | st.dictionaries(names, st.integers(0, 3), max_size=2), max_size=3
)
actions = st.builds(Action, st.sampled_from(["a", "b", "c"]), st.lists(features, max_size=2).map(tuple))
situations = st.builds(
    Situation,
    context=st.lists(features, max_size=2).map(tuple),
    actions=st.lists(actions, min_size=1, max_size=4).map(tuple),
    slot=st.sampled_from(["", "s"]),
    baseline_id=st.sampled_from(["", "b"]),
)
INTERACTIONS = [Interactions(), Interactions(ignored=frozenset("u")), Interactions(("ui",))]


def sides(encoded):
    return entries(encoded.context), [entries(row) for row in encoded.actions], encoded.fingerprint


def without(feature: Feature, asked: Situation) -> Situation:
    return Situation(feature.left_out_of(asked.context), tuple(feature.left_out_of_action(each) for each in asked.actions))


@given(st.lists(situations, min_size=1, max_size=8), st.sampled_from(INTERACTIONS))
def test_it_is_encoded_as_if_nothing_were_known(met, interactions):
    reader = LoggedEncoder(Encoder(interactions))
    for asked in met:
        read = reader.read(situation_text(asked))
        assert sides(read.encoded) == sides(Encoder(interactions).encode(asked))
        assert read.ids == tuple(action.id for action in asked.actions)
        assert read.baseline_id == (asked.baseline_id if asked.slot else "")


@given(st.lists(situations, min_size=1, max_size=8), st.sampled_from([Feature("", "age"), Feature("item", "age")]))
def test_a_feature_is_left_out_of_the_context_and_of_every_action(met, feature):
    reader = LoggedEncoder(Encoder(), feature)
    for asked in met:
        assert sides(reader.read(situation_text(asked)).encoded) == sides(Encoder().encode(without(feature, asked)))


def test_an_action_that_was_met_is_the_same_row_and_a_long_one_is_not_kept():
    short, long = Action("a", ({"x": 1},)), Action("b", ({"x": "y" * 2000},))
    reader, text = LoggedEncoder(Encoder()), situation_text(Situation((), (short, long)))
    first, second = reader.read(text).encoded, reader.read(text).encoded
    assert first.actions[0] is second.actions[0]
    assert first.actions[1] is not second.actions[1]


@pytest.mark.parametrize("text", [b"", b"[]", b'{"FromUrl":[],"_multi":[{}]}', b'{"FromUrl":[],"_multi":[{"i":{"id":"a"}}]}'])
def test_what_is_no_situation_is_unreadable(text):
    with pytest.raises(UnreadableError):
        LoggedEncoder(Encoder()).read(text)
