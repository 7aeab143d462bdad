"""The joined log read back: nothing that the learner asks is lost on the way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.clock import EARLIEST, LATEST
from shared.domain.errors import UnreadableError
from shared.domain.events import Action, Decision, Holdout, JoinedEvent, LearningMode, Observation, Proposal, Situation, SkipReason
from shared.joining.chunks import compressed, decompressed
from shared.joining.dsjson import action_text, line, lines, read_situation, situation_text
from shared.joining.reading import read_line, read_lines
from shared.learning.encoding import WIDTH, Encoder
from tests.builders import T0, after, decision, observation

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
numbers = (
    st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([-0.0, 5e-324, 1e308, 2**53 + 1])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
features = st.lists(st.dictionaries(names, values, max_size=4), max_size=3).map(tuple)
actions = st.lists(st.builds(Action, id=names, features=features), min_size=1, max_size=4).map(tuple)
situations = st.builds(Situation, context=features, actions=actions, slot=st.just("") | texts, baseline_id=texts)
times = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001  # hypothesis wants naive bounds
rewards = st.floats(allow_nan=False, allow_infinity=False).map(lambda reward: 0.0 + reward)  # the join gives no -0.0


@st.composite
def joined_events(draw) -> JoinedEvent:
    asked = draw(situations)
    count = len(asked.actions)
    event_id, slot, decided_at = draw(names), draw(st.just("") | names), draw(times)
    reports = draw(st.lists(st.tuples(times, st.none() | rewards), max_size=3))
    made = Decision(
        event_id=event_id,
        decided_at=decided_at,
        model_version=draw(texts),
        mode=draw(st.sampled_from(LearningMode)),
        probabilities=tuple(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))),
        chosen=draw(st.integers(0, count - 1)),
        deferred=draw(st.booleans()),
        situation=situation_text(asked),
        encoded=b"",
        slot=slot,
        proposal=draw(st.none() | st.builds(Proposal, st.integers(0, count - 1), st.floats(0, 1), st.booleans())),
        holdout=draw(st.none() | st.builds(Holdout, st.floats(0.001, 0.9), st.floats(0, 1), st.booleans())),
    )
    observations = tuple(Observation(event_id, at, reward, slot if reward is not None else "") for at, reward in reports)
    return JoinedEvent(made, draw(rewards), observations, draw(st.none() | st.sampled_from(SkipReason)))


@given(joined_events())
def test_an_event_comes_back_from_its_line_and_gives_the_same_line_again(event):
    written = line(event)
    assert read_line(written) == event
    assert line(read_line(written)) == written


@settings(max_examples=20)
@given(st.lists(joined_events(), max_size=3))
def test_events_come_back_from_a_chunk_in_their_order(events):
    assert list(read_lines(decompressed(compressed(lines(events))))) == events


def test_what_rank_encoded_is_not_in_the_log():
    event = JoinedEvent(decision("e1", at=after(0.000001), slot="top"), -0.5, (observation(slot="top"), observation(reward=None)))
    assert read_line(line(event)) == replace(event, decision=replace(event.decision, encoded=b""))


@given(situations)
def test_a_situation_read_back_is_encoded_to_the_same_bytes(asked):
    assert_encoded_alike(asked)


@given(st.lists(actions, min_size=2, max_size=3), features)
def test_so_is_one_whose_actions_came_as_text(asked, context):
    """The API hands actions on with the text that it knows of them, which is what the encoder then remembers them by."""
    encoder = Encoder()
    for each in asked:
        with_text = tuple(replace(action, text=action_text(action.id, action.features)) for action in each)
        assert_encoded_alike(Situation(context, with_text), encoder)


@settings(max_examples=20)
@given(st.lists(numbers, min_size=WIDTH, max_size=WIDTH + 60), st.integers(1, 300))
def test_so_is_one_with_more_features_than_an_encoding_is_wide(many, count):
    named = {f"n{number}": many[number % len(many)] for number in range(count)}
    assert_encoded_alike(Situation(({"list": many}, named), (Action("a", (named, {"deep": {"list": many}})),)))


def assert_encoded_alike(asked: Situation, encoder: Encoder | None = None) -> None:
    """Compare what Rank logs with what replay computes from the log."""
    ranked = (encoder or Encoder()).encode(asked)
    replayed = Encoder().encode(read_situation(situation_text(asked)))
    for index in range(len(asked.actions)):
        assert ranked.logged(index) == replayed.logged(index)


WHOLE = orjson.loads(line(JoinedEvent(decision(), 1.0, (observation(),))))


@pytest.mark.parametrize(
    "change",
    [
        {"_label_cost": "1"},
        {"_label_cost": None},
        {"_labelIndex": 2},
        {"_labelIndex": -1},
        {"a": [1]},
        {"a": [1, 1]},
        {"a": [2, 1]},
        {"a": [], "p": []},
        {"p": [0.5, 0.25, 0.25]},
        {"p": "all"},
        {"Mode": "Sometimes"},
        {"SkipReason": "whim"},
        {"Timestamp": "yesterday"},
        {"Timestamp": "2026-05-17T12:00:00"},
        {"o": [{}]},
        {"VWState": "m"},
        {"EventId": 1},
        {"Proposed": {"a": 1}},
        {"Proposed": {"a": 3, "p": 0.5, "lesson": True}},
        {"Holdout": {"share": 0.1, "p": 0.1}},
        {"Holdout": {"share": 0.0, "p": 0.1, "held": True}},
        {"Holdout": {"share": 0.1, "p": 1.1, "held": True}},
    ],
    ids=str,
)
def test_a_line_that_makes_no_sense_is_unreadable(change):
    assert read_line(orjson.dumps(WHOLE)).reward == 1.0
    with pytest.raises(UnreadableError):
        read_line(orjson.dumps(WHOLE | change))


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_line_is_unreadable(text):
    with pytest.raises(UnreadableError):
        read_line(text)


def test_of_many_lines_the_damaged_one_is_named():
    good = line(JoinedEvent(decision(at=T0 + timedelta(days=1)), 0.0))
    with pytest.raises(UnreadableError, match="line 3"):
        list(read_lines(good + good + good[:-5] + b"\n" + good))


@pytest.mark.parametrize("data", [b"no gzip", compressed(b"lines")[:-3], b"\x1f\x8b"])
def test_a_damaged_chunk_is_unreadable(data):
    with pytest.raises(UnreadableError):
        decompressed(data)


@pytest.mark.parametrize(("at", "read"), [("0001-01-01T00:00:00+14:00", EARLIEST), ("9999-12-31T23:59:59-12:00", LATEST)])
def test_observations_that_were_imported_with_an_offset_beyond_the_calendar_are_still_read(at, read):
    event = JoinedEvent(decision("e1"), 0.5, (observation("e1", 0.5),))
    before = orjson.dumps({"ts": T0}, option=orjson.OPT_UTC_Z)[1:-1]
    text = line(event).replace(before, b'"ts":"%b"' % at.encode())
    assert text != line(event)
    assert [each.observed_at for each in read_line(text).observations] == [read]
