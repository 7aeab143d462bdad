"""Logs of others as joined events: our own come back as they were, those of Personalizer and Vowpal Wabbit as Rank would have had them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import vowpalwabbit
from hypothesis import example, given
from hypothesis import strategies as st

from shared.api.rank import ActionReader, read_rank
from shared.domain.errors import UnreadableError
from shared.domain.events import Action, Holdout, JoinedEvent, LearningMode, Observation, Proposal, SkipReason
from shared.domain.loop import LoopSettings
from shared.joining.dsjson import line, read_situation, situation_text
from shared.joining.foreign.reader import DsjsonReader, Read
from shared.joining.reading import read_line
from shared.joining.rejoin import rejoin
from shared.learning.encoding import Encoder
from shared.services.training.lessons import lessons
from tests.builders import T0, after, apprentice, decision, observation
from tests.joining.test_dsjson import situations

PERSONALIZER: dict[str, Any] = {
    "_label_cost": -0.5,
    "_label_probability": 0.8,
    "_label_Action": 2,
    "_labelIndex": 1,
    "o": [{"EventId": "e1", "v": 0.5, "ActionTaken": False}],
    "Timestamp": "2023-05-17T08:30:00.1234567Z",
    "Version": "1",
    "EventId": "e1",
    "DeferredAction": False,
    "a": [2, 1],
    "c": {
        "FromUrl": [{"timeOfDay": "morning", "weather": {"sky": "blue", "degrees": 21.5}, "_id": "ignored"}, {"device": "phone"}],
        "_multi": [
            {"_tag": "pasta", "i": {"constant": 1, "id": "pasta"}, "j": [{"taste": "salty", "nutrition": {"calories": 600}}]},
            {"_tag": "ice-cream", "i": {"constant": 1, "id": "ice-cream"}, "j": [{"taste": "sweet"}, {"_score": 3}]},
        ],
    },
    "p": [0.8, 0.2],
    "VWState": {"m": "ff8d6f2c/1a2b"},
    "pdrop": 0.0,
}
"""As Azure Personalizer logged."""

NAMESPACES: dict[str, Any] = {
    "_label_cost": -1.0,
    "_label_probability": 0.25,
    "_label_Action": 1,
    "_labelIndex": 0,
    "Timestamp": "2021-02-03T04:05:06Z",
    "Version": "1",
    "EventId": "w1",
    "a": [1, 2, 3],
    "c": {
        "User": {"major": "physics", "age": 30},
        "hour": 7,
        "_multi": [{"Item": {"topic": "gardens"}}, {"Item": {"topic": "learning"}}, {"Item": {"topic": "snow", "places": [0.5, 0.25]}}],
    },
    "p": [0.25, 0.5, 0.25],
    "VWState": {"m": "N/A"},
}
"""As the documentation of Vowpal Wabbit has it: namespaces, and actions without ids."""

SLOTS: dict[str, Any] = {
    "Timestamp": "2021-02-03T04:05:06Z",
    "Version": "1",
    "EventId": "s1",
    "c": {
        "User": {"major": "physics"},
        "_multi": [{"Item": {"topic": each}} for each in ("gardens", "learning", "snow", "rain")],
        "_slots": [{"_id": "top", "Place": {"size": "large"}}, {"_id": "side"}, {"_id": "bottom"}],
    },
    "_outcomes": [
        {"_label_cost": -1.0, "_id": "top", "_a": [1, 3, 0, 2], "_p": [0.7, 0.1, 0.1, 0.1], "_o": [{"v": 1.0, "EventId": "s1"}]},
        {"_label_cost": 0.0, "_id": "side", "_a": [3, 0, 2], "_p": [0.8, 0.1, 0.1], "_o": []},
        {"_id": "bottom", "_a": [0, 2], "_p": [0.5, 0.5]},
    ],
    "VWState": {"m": "N/A"},
}
"""Several slots: the last has no outcome."""


def read(told: dict | bytes, number: int = 1, **changes) -> Read:
    text = told if isinstance(told, bytes) else orjson.dumps({**told, **changes})
    return DsjsonReader(undated=T0).read(text, number)


def the_event(told: dict | bytes, **changes) -> JoinedEvent:
    (event,) = read(told, **changes).events
    return event


def without(told: dict, *names: str) -> dict:
    return {name: value for name, value in told.items() if name not in names}


# --- our own ---


def own_events() -> st.SearchStrategy[JoinedEvent]:
    reports = st.lists(
        st.builds(observation, reward=st.none() | st.floats(-1, 1).map(lambda value: 0.0 + value), at=st.just(after(2.5))), max_size=3
    )
    modes = st.sampled_from(LearningMode)

    def built(asked, reports, mode, deferred, reward, skip, proposal, holdout, pdrop) -> JoinedEvent:
        count = len({action.id for action in asked.actions})
        asked = replace(asked, actions=tuple({action.id: action for action in asked.actions}.values()))
        mode = LearningMode.LOGGING_ONLY if skip is SkipReason.LOGGING_ONLY else mode
        made = decision(asked=asked, probabilities=(0.7, *[0.3 / (count - 1)] * (count - 1)) if count > 1 else (1.0,), deferred=deferred)
        proposal = replace(proposal, action=proposal.action % count) if proposal is not None else None
        return JoinedEvent(
            replace(made, mode=mode, proposal=proposal, holdout=holdout, encoded=b""), 0.0 + reward, tuple(reports), skip, pdrop
        )

    skips = st.none() | st.sampled_from([SkipReason.DUPLICATE, SkipReason.NOT_ACTIVATED, SkipReason.LOGGING_ONLY])
    proposals = st.none() | st.builds(Proposal, st.integers(0, 9), st.floats(0, 1), st.booleans())
    return st.builds(
        built,
        situations,
        reports,
        modes,
        st.booleans(),
        st.floats(-1, 1),
        skips,
        proposals,
        st.none() | st.builds(Holdout, st.floats(0.001, 0.9), st.floats(0, 1), st.booleans()),
        st.just(0.0) | st.floats(0, 1, exclude_max=True),
    )


@given(own_events())
def test_a_line_of_our_own_is_read_as_it_was_written(event):
    assert the_event(line(event)) == read_line(line(event).rstrip()) == event


def test_a_line_of_our_own_slot_or_of_apprentice_mode_is_too():
    for made in (decision("e", slot="top"), apprentice("e", proposed=1, chance=0.3, is_lesson=False)):
        event = JoinedEvent(replace(made, encoded=b""), 0.25, (observation("e", 0.25, slot=made.slot),))
        assert the_event(line(event)) == event


# --- Personalizer's ---


def test_a_line_of_personalizer_is_what_was_decided_there():
    event = the_event(PERSONALIZER)
    made = event.decision
    assert (made.event_id, made.chosen, made.probabilities, made.mode) == ("e1", 1, (0.2, 0.8), LearningMode.ONLINE)
    assert made.decided_at == datetime(2023, 5, 17, 8, 30, 0, 123457, tzinfo=UTC)
    assert (made.model_version, made.deferred, event.skip) == ("ff8d6f2c/1a2b", False, None)
    assert (event.reward, event.observations) == (0.5, (Observation("e1", made.decided_at, 0.5),))


def test_its_features_are_encoded_as_if_they_had_come_through_rank():
    multi = PERSONALIZER["c"]["_multi"]
    body = {
        "contextFeatures": PERSONALIZER["c"]["FromUrl"],
        "actions": [{"id": each["_tag"], "features": each["j"]} for each in multi],
    }
    _, asked = read_rank(orjson.dumps(body), ActionReader())
    event = the_event(PERSONALIZER)
    assert read_situation(event.decision.situation) == asked
    ranked = Encoder().encode(asked).logged(1)
    as_ranked, as_read = (lessons([replace(event, decision=replace(event.decision, encoded=e))], Encoder()) for e in (ranked, b""))
    assert as_read.context_hashes.tolist() == as_ranked.context_hashes.tolist()
    assert as_read.action_values.tolist() == as_ranked.action_values.tolist()


@pytest.mark.parametrize("told", [PERSONALIZER, NAMESPACES, SLOTS])
def test_what_is_encoded_while_reading_is_what_would_be_encoded_later(told):
    encoder = Encoder()
    reader = DsjsonReader(undated=T0, encode=lambda asked, action: encoder.encode(asked).logged(action))
    events = reader.read(orjson.dumps(told), 1).events
    assert [replace(event, decision=replace(event.decision, encoded=b"")) for event in events] == list(read(told).events)
    for event in events:
        assert event.decision.encoded == Encoder().encode(read_situation(event.decision.situation)).logged(event.decision.chosen)


def test_namespaces_are_those_of_rank():
    actions = [{"id": str(number), "features": [each]} for number, each in enumerate(NAMESPACES["c"]["_multi"])]
    body = {"contextFeatures": [{"User": {"major": "physics", "age": 30}, "hour": 7}], "actions": actions}
    _, asked = read_rank(orjson.dumps(body), ActionReader())
    known = read_situation(the_event(NAMESPACES).decision.situation)
    assert known.context == asked.context
    assert [action.features for action in known.actions] == [action.features for action in asked.actions]


def test_an_action_without_an_id_is_known_by_what_it_looks_like():
    def ids(*actions: dict) -> list[str]:
        asked = read_situation(the_event(NAMESPACES, c={"_multi": list(actions)}, a=[1, 2], p=[0.25, 0.75]).decision.situation)
        return [action.id for action in asked.actions]

    first, second = {"Item": {"topic": "snow"}}, {"Item": {"topic": "rain"}}
    assert ids(first, second) == ids(second, first)[::-1]
    twice = ids(first, first)
    assert (twice[0], twice[1]) == (ids(first, second)[0], f"{twice[0]}-2")


def test_a_tag_is_an_id_and_so_is_an_id_that_is_a_number():
    c = {"_multi": [{"_tag": "x", "Item": {"a": 1}}, {"i": {"id": 7, "constant": 1}, "j": [{"a": 2}]}, {"i": {"price": 3}}]}
    asked = read_situation(the_event(NAMESPACES, c=c).decision.situation)
    assert [action.id for action in asked.actions][:2] == ["x", "7"]
    assert [action.features for action in asked.actions] == [({"Item": {"a": 1}},), ({"a": 2},), ({"i": {"price": 3}},)]


# --- what is not told ---


def test_without_p_the_other_actions_share_the_rest():
    assert the_event(without(NAMESPACES, "p", "a")).decision.probabilities == pytest.approx((0.25, 0.375, 0.375))


def test_without_an_index_the_action_or_else_the_first_of_a_is_the_chosen_one():
    assert the_event(without(PERSONALIZER, "_labelIndex")).decision.chosen == 1
    assert the_event(without(PERSONALIZER, "_labelIndex", "_label_Action")).decision.chosen == 1


def test_actions_that_are_not_in_a_had_no_chance():
    assert the_event(NAMESPACES, a=[1, 3], p=[0.25, 0.75]).decision.probabilities == (0.25, 0.0, 0.75)


def test_a_reward_that_no_observation_tells_is_one_so_that_it_lasts():
    event = the_event(without(NAMESPACES, "o"))
    assert event.observations == (Observation("w1", event.decision.decided_at, 1.0),)
    assert rejoin(event, LoopSettings(default_reward=-1.0)).reward == 1.0
    assert the_event(NAMESPACES, _label_cost=0.0).observations == ()


def test_a_time_without_a_zone_is_utc_and_one_that_is_missing_is_that_of_the_line_before():
    reader = DsjsonReader(undated=T0)
    undated = orjson.dumps(without(NAMESPACES, "Timestamp", "EventId"))
    times = [reader.read(text, number).events[0].decision.decided_at for number, text in enumerate([
        undated, orjson.dumps({**NAMESPACES, "Timestamp": "2021-02-03T04:05:06.5"}), undated
    ])]  # fmt: skip
    local = datetime(2021, 2, 3, 4, 5, 6, 500_000, tzinfo=UTC)
    assert times == [T0, local, local]


def test_lines_without_an_event_id_are_told_apart_by_their_number_and_are_the_same_again():
    undated = without(NAMESPACES, "EventId")
    ids = [read(undated, number=number).events[0].decision.event_id for number in (1, 2, 1)]
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize(("deferred", "skip"), [(True, SkipReason.NOT_ACTIVATED), (False, SkipReason.LOGGING_ONLY)])
def test_what_was_not_to_be_learned_is_skipped_and_stays_so(deferred, skip):
    event = the_event(PERSONALIZER, _skipLearn=True, DeferredAction=deferred)
    assert (event.skip, rejoin(event, LoopSettings()).skip) == (skip, skip)


def test_a_deferred_event_that_was_learned_is_learned_again_whatever_is_told_of_its_activation():
    activated = [{"EventId": "e1", "ActionTaken": True}, {"EventId": "e1", "v": 0.5}]
    for o in (PERSONALIZER["o"], activated):
        event = the_event(PERSONALIZER, DeferredAction=True, o=o)
        assert (event.skip, rejoin(event, LoopSettings()).skip, event.reward) == (None, None, 0.5)


ACTIVATED = [{"EventId": "e1", "v": 0.5}, {"EventId": "e1", "ActionTaken": True}]


@pytest.mark.parametrize(
    ("changes", "skip"),
    [
        ({"_deferred": True}, SkipReason.NOT_ACTIVATED),
        ({"_deferred": True, "o": None}, SkipReason.NOT_ACTIVATED),
        ({"_deferred": True, "DeferredAction": True}, SkipReason.NOT_ACTIVATED),
        ({"_deferred": True, "_skipLearn": True, "o": ACTIVATED}, SkipReason.LOGGING_ONLY),
        ({"_deferred": True, "o": ACTIVATED}, None),
        ({"_deferred": False}, None),
        ({"_deferred": None}, None),
    ],
)
def test_what_was_deferred_and_never_activated_is_kept_and_not_learned_now_or_later(changes, skip):
    event = the_event(PERSONALIZER, **changes)
    assert (event.skip, rejoin(event, LoopSettings()).skip, event.reward) == (skip, skip, 0.5)
    assert (read_line(line(event).rstrip()).skip, event.decision.deferred) == (skip, bool(changes.get("_deferred")))


def test_one_activation_is_for_all_slots_wherever_it_stands():
    top, side, bottom = SLOTS["_outcomes"]
    activated = {**side, "_o": [{"EventId": "s1", "ActionTaken": True}]}
    of_slot = read(SLOTS, _deferred=True, _outcomes=[top, activated, bottom])
    of_line = read(SLOTS, _deferred=True, o=[{"EventId": "s1", "ActionTaken": True}])
    waiting = read(SLOTS, _deferred=True)
    assert [[event.skip for event in each.events] for each in (of_slot, of_line, waiting)] == [
        [None, None],
        [None, None],
        [SkipReason.NOT_ACTIVATED] * 2,
    ]


def test_thinned_lines_are_said_to_be_and_their_label_may_be_multiplied_by_the_chance_of_being_kept():
    thinned = read(PERSONALIZER, pdrop=0.5, _label_probability=0.4)
    assert (thinned.is_thinned, thinned.events[0].decision.probabilities) == (True, (0.2, 0.8))
    assert not read(PERSONALIZER).is_thinned


def test_a_line_weighs_as_many_as_it_stands_for_and_keeps_that_when_it_is_written_and_joined_anew():
    for pdrop, weight in ((0.9, 10.0), (0.5, 2.0), (0.0, 1.0), (None, 1.0), (1.0 - 1e-9, 1e6)):
        event = the_event(PERSONALIZER, pdrop=pdrop)
        written = read_line(line(event).rstrip())
        assert [each.weight for each in (event, written, rejoin(written, LoopSettings()))] == [pytest.approx(weight)] * 3
    assert [event.weight for event in read(SLOTS, pdrop=0.75).events] == [4.0, 4.0]
    (event,) = read(PERSONALIZER, pdrop=0.9).events
    batch = lessons([event, replace(event, pdrop=0.0)], Encoder())
    assert batch.counts is not None
    assert batch.counts.tolist() == pytest.approx([10.0, 1.0])
    assert lessons([replace(event, pdrop=0.0)], Encoder()).counts is None


@pytest.mark.parametrize("pdrop", [1, 1.5, -0.1, -1e-9])
def test_a_line_that_cannot_have_been_kept_is_refused(pdrop):
    for told in (PERSONALIZER, SLOTS):
        with pytest.raises(UnreadableError, match=f"pdrop is {pdrop:g}: .* at least 0 and less than 1"):
            read(told, pdrop=pdrop)


# --- slots ---


def test_each_slot_with_an_outcome_is_an_event_of_its_own():
    top, side = read(SLOTS).events
    assert [(each.decision.event_id, each.decision.slot, each.decision.chosen, each.reward) for each in (top, side)] == [
        ("s1", "top", 1, 1.0),
        ("s1", "side", 3, 0.0),
    ]
    assert top.decision.probabilities == (0.1, 0.7, 0.1, 0.1)
    assert side.decision.probabilities == (0.1, 0.0, 0.1, 0.8)
    asked = read_situation(top.decision.situation)
    assert asked.context == ({"User": {"major": "physics"}}, {"Place": {"size": "large"}}, {"slot": {"id": "top"}})
    assert asked.slot == "top"
    assert top.observations == (Observation("s1", top.decision.decided_at, 1.0, "top"),)


# --- what cannot be used ---


def test_a_reward_without_its_decision_is_said_to_be_one():
    dangling = b'{"Timestamp":"2023-05-17T08:30:00Z","RewardValue":1.0,"EnqueuedTimeUtc":"2023-05-17T09:30:00Z","EventId":"e1"}'
    with pytest.raises(UnreadableError, match="a reward without its decision"):
        read(dangling)


ODD = {
    "not JSON": b"{",
    "no object": b"[]",
    "no text": b"\xff\xfe",
    "no c": b"{}",
    "no actions": orjson.dumps({**PERSONALIZER, "c": {"_multi": []}}),
    "actions that are none": orjson.dumps({**PERSONALIZER, "c": {"_multi": [1, 2]}}),
    "c is not an object": orjson.dumps({**PERSONALIZER, "c": [1]}),
    "no reward": orjson.dumps(without(PERSONALIZER, "_label_cost")),
    "no probability": orjson.dumps(without(PERSONALIZER, "p", "_label_probability")),
    "no choice": orjson.dumps(without(PERSONALIZER, "_labelIndex", "_label_Action", "a")),
    "two choices": orjson.dumps({**PERSONALIZER, "_labelIndex": 0}),
    "a choice that is not there": orjson.dumps({**PERSONALIZER, "_labelIndex": 7, "_label_Action": 8}),
    "another probability": orjson.dumps({**PERSONALIZER, "_label_probability": 0.5}),
    "no sum of 1": orjson.dumps({**PERSONALIZER, "p": [0.8, 0.8]}),
    "a negative probability": orjson.dumps({**PERSONALIZER, "p": [0.8, -0.2]}),
    "too few probabilities": orjson.dumps({**PERSONALIZER, "p": [1.0]}),
    "an action twice": orjson.dumps({**PERSONALIZER, "a": [2, 2]}),
    "an impossible choice": orjson.dumps({**without(PERSONALIZER, "_label_probability"), "p": [0.0, 1.0]}),
    "a long id": orjson.dumps({**PERSONALIZER, "EventId": "e" * 257}),
    "a long id of an action": orjson.dumps({**PERSONALIZER, "c": {"_multi": [{"_tag": "a" * 257}, {"_tag": "b"}]}}),
    "no time": orjson.dumps({**PERSONALIZER, "Timestamp": "yesterday"}),
    "an early time": orjson.dumps({**PERSONALIZER, "Timestamp": "1969-12-31T23:59:59Z"}),
    "an impossible time": orjson.dumps({**PERSONALIZER, "Timestamp": "0001-01-01T00:00:00+05:00"}),
    "too deep": b'{"_label_cost":0,"p":[1],"a":[1],"c":{"x":%b1%b,"_multi":[{}]}}' % (b'{"x":' * 50, b"}" * 50),
    "far too deep": b'{"c":%b' % (b"[" * 100_000),
    "an infinite reward": b'{"_label_cost":1e999,"p":[1],"a":[1],"c":{"_multi":[{}]}}',
    "a slate": orjson.dumps({**PERSONALIZER, "c": {"_multi": [{"_slot_id": 0}, {"_slot_id": 1}]}}),
    "slots without outcomes": orjson.dumps({**PERSONALIZER, "c": SLOTS["c"]}),
    "outcomes without slots": orjson.dumps({**SLOTS, "c": NAMESPACES["c"]}),
    "no outcome at all": orjson.dumps({**SLOTS, "_outcomes": [{"_a": [0], "_p": [1.0]}]}),
    "a slot without actions": orjson.dumps({**SLOTS, "_outcomes": [{"_label_cost": 0.0, "_a": [], "_p": []}]}),
    "a holdout of all events": orjson.dumps({**PERSONALIZER, "Holdout": {"share": 1.0, "p": 0.5, "held": True}}),
    "a proposal that was not there": orjson.dumps({**PERSONALIZER, "Proposed": {"a": 3, "p": 0.5, "lesson": True}}),
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_cannot_be_used_is_refused_with_a_short_reason(text):
    with pytest.raises(UnreadableError) as refused:
        read(text)
    assert 0 < len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.integers(-3, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*PERSONALIZER, *SLOTS, *SLOTS["_outcomes"][0], "_multi",
        "_slots", "_id", "_slot", "FromUrl", "i", "j", "id", "v", "m"]), inner, max_size=5), max_leaves=12),
    st.sampled_from([PERSONALIZER, SLOTS]), st.sampled_from([*PERSONALIZER, *SLOTS]))  # fmt: skip
def test_whatever_a_member_holds_a_line_is_read_or_refused(value, told, name):
    try:
        events = read(orjson.dumps({**told, name: value})).events
    except UnreadableError:
        return
    assert len(lessons(events, Encoder())) == sum(event.skip is None for event in events)


# --- Vowpal Wabbit as a witness ---


def test_vowpal_wabbit_reads_these_samples_too_and_what_is_written_of_them():
    """From what was read and written again it learns the same probabilities as from the original."""
    learned = []
    for text in (orjson.dumps(NAMESPACES), line(the_event(NAMESPACES))):
        workspace = vowpalwabbit.Workspace("--cb_explore_adf --epsilon 0.1 --dsjson --quiet --ignore i")
        for _ in range(10):
            workspace.learn(workspace.parse(text.decode()))
        learned.append(workspace.predict(workspace.parse(text.decode())))
        workspace.finish()
    assert learned[0] == pytest.approx(learned[1])
    assert max(learned[0]) == learned[0][0]


def test_vowpal_wabbit_reads_the_sample_with_slots_and_each_slot_that_is_written_of_it():
    workspace = vowpalwabbit.Workspace("--ccb_explore_adf --epsilon 0.1 --dsjson --quiet")
    for _ in range(5):
        workspace.learn(workspace.parse(orjson.dumps(SLOTS).decode()))
    assert len(workspace.predict(workspace.parse(orjson.dumps(SLOTS).decode()))) == 3
    workspace.finish()
    workspace = vowpalwabbit.Workspace("--cb_explore_adf --epsilon 0.1 --dsjson --quiet -q ::")
    for event in read(SLOTS).events * 20:
        workspace.learn(workspace.parse(line(event).decode()))
    probabilities = workspace.predict(workspace.parse(line(read(SLOTS).events[0]).decode()))
    workspace.finish()
    assert probabilities.index(max(probabilities)) == 1


def test_actions_of_a_situation_keep_their_order():
    event = the_event(PERSONALIZER)
    assert [action.id for action in read_situation(event.decision.situation).actions] == ["pasta", "ice-cream"]
    assert read_situation(event.decision.situation).actions[0] == Action("pasta", ({"taste": "salty", "nutrition": {"calories": 600}},))


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
@pytest.mark.parametrize("place", ["Timestamp", "ts"])
def test_a_time_whose_offset_puts_it_beyond_the_calendar_makes_a_line_malformed(at, place):
    report = {"EventId": "e1", "v": 0.5, "ActionTaken": False}
    changes = {"Timestamp": at} if place == "Timestamp" else {"o": [{**report, "ts": at}]}
    with pytest.raises(UnreadableError, match=f"{place}.* is out of range"):
        DsjsonReader(undated=T0).read(orjson.dumps({**PERSONALIZER, **changes}), 1)


@given(at=st.datetimes(timezones=st.timezones() | st.none()))
def test_every_time_of_an_observation_is_read_in_utc_or_refused(at):
    text = orjson.dumps({**PERSONALIZER, "o": [{"EventId": "e1", "v": 0.5, "ts": at.isoformat()}]})
    try:
        [event] = DsjsonReader(undated=T0).read(text, 1).events
    except UnreadableError:
        return
    assert all(each.observed_at.tzinfo is UTC for each in event.observations)
    assert read_line(line(event).rstrip()).observations == event.observations


def deepest(levels: int, value: Any) -> dict[str, Any]:
    for _ in range(levels):
        value = {"x": value}
    return dict(value)


@given(levels=st.integers(1, 32), context=st.booleans(), value=st.sampled_from([1, "one", None, [1.0, 2.0], {}]))
@example(levels=32, context=True, value=[1.0])
@example(levels=32, context=False, value=[1.0])
def test_however_deep_features_that_rank_takes_are_they_are_learned_and_read_back_as_our_own_and_as_anothers(levels, context, value):
    deep = deepest(levels - (value == {}), value)
    body = {"contextFeatures": [deep if context else {}], "actions": [{"id": "a", "features": [{"y": 1}, {} if context else deep]}]}
    _, asked = read_rank(orjson.dumps(body), ActionReader())
    event = JoinedEvent(replace(decision("e1", probabilities=(1.0,)), situation=situation_text(asked)), 0.5)
    text = line(event).rstrip()
    own, foreign = read_line(text), DsjsonReader(undated=T0).read(text, 1).events[0]
    assert foreign.decision.situation == own.decision.situation == event.decision.situation
    assert Encoder().encode(read_situation(own.decision.situation)).logged(0) == Encoder().encode(asked).logged(0)
