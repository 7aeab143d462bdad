"""Reading a Rank body the quick way: known actions are not parsed again, and nothing else is different."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api.rank import ActionReader, RankRequest, read_rank
from shared.api.wire import parse
from shared.domain.errors import InvalidRankRequestError, RequestError
from shared.domain.events import Situation

FIRST = {"id": "a", "features": [{"x": 1}, {"topic": {"is": "ü"}}]}
SECOND = {"id": "b", "features": [{"x": 2.5, "tags": [1, 2]}]}
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "a", "b", "features", "\x00", ".."])
values = st.recursive(
    scalars, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.sampled_from(["", "id", "features", "x"]), x, max_size=3)
)
members = st.fixed_dictionaries(
    {"actions": st.lists(st.sampled_from([FIRST, SECOND]) | values, max_size=4)},
    optional=dict.fromkeys(("contextFeatures", "excludedActions", "eventId", "deferActivation", "unknown"), values),
)
ODD = [
    b"",
    b"[]",
    b"{",
    b"\xff",
    b'{"actions": [' + b"[" * 5000,
    b'{"actions": [{"id": "\xff"}]}',
    b'{"actions": [1e999]}',
    b'{"actions": [NaN]}',
]


def careful(body: bytes) -> tuple[RankRequest, Situation]:
    request = parse(body, RankRequest, InvalidRankRequestError)
    return request, request.to_situation(ActionReader())


def outcome(read, body: bytes) -> object:
    try:
        request, situation = read(body)
    except RequestError as error:
        return type(error), str(error), error.target
    return situation, request.event_id, request.defer_activation


def test_an_action_met_before_is_the_same_object_again():
    reader = ActionReader()
    body = json.dumps({"actions": [FIRST, SECOND], "contextFeatures": [{"t": 1}], "eventId": "e"}).encode()
    _, first = read_rank(body, reader)
    _, again = read_rank(body, reader)
    assert [one is other for one, other in zip(first.actions, again.actions, strict=True)] == [True, True]


@given(members)
def test_a_body_read_quickly_is_read_as_carefully(document):
    body = json.dumps(document).encode()
    reader = ActionReader()
    assert outcome(lambda b: read_rank(b, reader), body) == outcome(careful, body)
    assert outcome(lambda b: read_rank(b, reader), body) == outcome(careful, body)  # now with what it remembers


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_what_is_not_json_is_named_as_carefully(body):
    assert outcome(lambda b: read_rank(b, ActionReader()), body) == outcome(careful, body)
