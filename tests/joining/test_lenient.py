"""Lines of others whose members have another type or form than usual, but one meaning: they are read as what they mean."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api.multislot import read_multi_slot_rank
from shared.api.rank import ActionReader
from shared.domain.errors import KindNotReadError, NoLogError, UnreadableError
from shared.domain.events import JoinedEvent, Observation
from shared.domain.slots import Filling
from shared.joining.dsjson import read_situation
from shared.joining.foreign.asked import told_apart
from shared.joining.foreign.decoding import _LINE_MEMBERS, _OUTCOME_MEMBERS, decoded
from shared.joining.foreign.line import MAX_ID_LENGTH, Line, Outcome
from shared.learning.encoding import Encoder
from tests.builders import T0, after
from tests.joining.test_foreign import NAMESPACES, PERSONALIZER, SLOTS, read, the_event, without
from tests.services.importing.reading_files import MemoryFile, read_files

GUID = "72887bd4-bb0e-45bd-8f23-46b6cabe83b7"


def slots_of(line: dict[str, Any], **changes: Any) -> list[str]:
    return [event.decision.slot for event in read(line, **changes).events]


def ids_of(event: JoinedEvent) -> list[str]:
    return [action.id for action in read_situation(event.decision.situation).actions]


# --- actions that count from 0 ---


def test_a_that_holds_a_zero_counts_from_zero_and_the_index_names_the_choice():
    told = {"a": [0, 1], "p": [0.2, 0.8], "_label_Action": 2, "_labelIndex": 1}
    event = the_event(PERSONALIZER, **told)
    assert (event.decision.chosen, event.decision.probabilities) == (1, (0.2, 0.8))
    assert the_event(PERSONALIZER, **{**told, "_label_Action": 1}).decision.chosen == 1
    three = the_event(NAMESPACES, a=[2, 0], p=[0.75, 0.25], _labelIndex=2, _label_Action=3, _label_probability=0.75)
    assert (three.decision.chosen, three.decision.probabilities) == (2, (0.25, 0.0, 0.75))


@pytest.mark.parametrize(("a", "action", "chosen"), [([1, 0], 2, 1), ([1, 0], 1, 1), ([0, 1], 1, 0), ([0, 1], 0, 0), ([1, 0], None, 1)])
def test_without_an_index_the_action_counts_as_the_first_of_a_shows(a, action, chosen):
    told = {**without(PERSONALIZER, "_labelIndex", "_label_probability"), "a": a, "p": [0.8, 0.2], "_label_Action": action}
    assert the_event(told).decision.chosen == chosen


def test_a_that_counts_from_zero_and_from_one_at_once_or_another_choice_is_refused():
    for changes in ({"a": [0, 2]}, {"a": [0, 1], "_labelIndex": 0, "_label_Action": 2}, {"a": [-1, 0]}):
        with pytest.raises(UnreadableError):
            read(PERSONALIZER, **changes)


# --- numbers without end ---

HUGE = 10**400
"""JSON has whole numbers of any length."""


@pytest.mark.parametrize(
    "name", ["_label_cost", "_original_label_cost", "_label_probability", "_label_Action", "_labelIndex", "pdrop", "a", "p"]
)
@pytest.mark.parametrize("number", [HUGE, -HUGE, "1e999"], ids=["most", "least", "text"])
async def test_a_number_beyond_all_floats_is_refused_on_its_line_wherever_it_stands(name, number):
    told = json.dumps({**PERSONALIZER, name: [number, 1] if len(name) == 1 else number}).encode()
    events, done = await read_files([MemoryFile("log.json", told + b"\n" + orjson.dumps(PERSONALIZER))], now=after(0))
    assert (len(events), done.malformed) == (1, 1)


def test_what_tells_nothing_may_be_any_number():
    told = {**PERSONALIZER, "o": [{"v": HUGE}, {"v": 0.5}], "VWState": {"m": HUGE}}
    event = the_event(json.dumps(told).encode())
    assert (event.reward, [each.reward for each in event.observations]) == (0.5, [0.5])


@pytest.mark.parametrize("reward", [1e16, -1e16, 1e308])
def test_a_reward_that_no_figure_could_hold_is_refused(reward):
    with pytest.raises(UnreadableError, match=r"the reward is .*: at most 1e\+15 is read"):
        read(PERSONALIZER, _label_cost=-reward)
    assert the_event(PERSONALIZER, _label_cost=-1e15).reward == 1e15


@pytest.mark.parametrize("chance", [0.0, 5e-324, 1e-200, 9e-13])
def test_a_choice_that_could_not_have_been_drawn_is_refused(chance):
    with pytest.raises(UnreadableError, match=r"the chosen action's probability is .*: it was drawn"):
        read(PERSONALIZER, p=[chance, 1.0], _label_probability=chance)
    assert the_event(PERSONALIZER, p=[1e-12, 1.0], _label_probability=1e-12).decision.probabilities == (1.0, 1e-12)


# --- only the chosen action is listed ---


@pytest.mark.parametrize("told", [{"a": [2], "p": [0.7]}, {"a": 2, "p": 0.7}, {"a": [2], "p": ["0.7"], "_label_probability": 0.7}])
def test_where_only_the_chosen_action_is_listed_the_others_share_the_rest(told):
    line = without(NAMESPACES, "_label_probability", "a", "p") | {"_label_Action": 2, "_labelIndex": 1} | told
    assert the_event(line).decision.probabilities == pytest.approx((0.15, 0.7, 0.15))


@pytest.mark.parametrize(("number", "chance"), [(3, 0.5), ([3], [0.5])])
def test_in_a_slot_those_share_it_that_no_slot_before_has_taken(number, chance):
    first = {"_label_cost": -1.0, "_a": [1], "_p": [0.4]}
    one, two = read(SLOTS, _outcomes=[first, {"_label_cost": 0.0, "_a": number, "_p": chance}]).events
    assert one.decision.probabilities == pytest.approx((0.2, 0.4, 0.2, 0.2))
    assert two.decision.probabilities == pytest.approx((0.25, 0.0, 0.25, 0.5))


def test_an_action_that_is_listed_alone_and_was_not_chosen_or_was_certain_is_as_it_is_told():
    with pytest.raises(UnreadableError, match="add up to 1"):
        read(without(PERSONALIZER, "_label_probability"), a=[1], p=[0.8])
    assert the_event(without(PERSONALIZER, "_label_probability"), a=[2], p=[1.0]).decision.probabilities == (0.0, 1.0)


# --- lists of feature objects ---


def test_null_and_an_empty_list_between_feature_objects_are_no_features_as_in_a_call():
    c = {"FromUrl": [None, {"x": 1}], "_multi": [{"_tag": "a", "j": [{"y": 2}, None]}, {"_tag": "b", "j": [[]]}]}
    situation = read_situation(the_event(PERSONALIZER, c=c).decision.situation)
    assert (situation.context, [action.features for action in situation.actions]) == (({"x": 1},), [({"y": 2},), ()])
    slots = {**SLOTS["c"], "_slots": [{"_id": "top", "sj": [None, {"size": "large"}]}, {"_id": "side"}, {"_id": "bottom"}]}
    top, _ = read(SLOTS, c=slots).events
    assert {"size": "large"} in read_situation(top.decision.situation).context


def test_one_feature_object_without_its_list_is_the_same_as_in_it():
    listed = {"FromUrl": [{"x": 1}], "_multi": [{"_tag": "a", "j": [{"y": {"z": 2}}]}, {"_tag": "b"}]}
    alone = {"FromUrl": {"x": 1}, "_multi": [{"_tag": "a", "j": {"y": {"z": 2}}}, {"_tag": "b"}]}
    assert the_event(PERSONALIZER, c=alone).decision.situation == the_event(PERSONALIZER, c=listed).decision.situation
    slots = [[{**slot, "sj": under} for slot in SLOTS["c"]["_slots"]] for under in ({"size": "large"}, [{"size": "large"}])]
    one, other = (read(SLOTS, c={**SLOTS["c"], "_slots": each}).events for each in slots)
    assert one == other


@pytest.mark.parametrize(("own", "named"), [([1, None, 0], ["1", ""]), ([-1, 3], ["", "3"]), ([None], ["", ""]), (["1", 3.0], ["1", "3"])])
def test_a_slot_may_have_no_action_of_its_own(own, named):
    actions = [{"_tag": str(number)} for number in range(4)]
    events = read(SLOTS, c={**SLOTS["c"], "_multi": actions}, _ba=own).events
    assert [read_situation(event.decision.situation).baseline_id for event in events] == named
    with pytest.raises(UnreadableError, match="_ba names action 4 of 4"):
        read(SLOTS, _ba=[4])


@pytest.mark.parametrize(("c", "why"), [(None, "c is not an object"), ([], "c is not an object"), ({"_multi": None}, "_multi")])
def test_what_was_asked_and_is_of_another_type_is_named(c, why):
    with pytest.raises(UnreadableError, match=why):
        read(PERSONALIZER, c=c)


# --- times ---


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2023-05-17T08:30Z", "2023-05-17T08:30:00+00:00"),
        ("2023-05-17", "2023-05-17T00:00:00+00:00"),
        ("2023-05-17T10:30+02:00", "2023-05-17T08:30:00+00:00"),
        (" 2023-05-17 08:30 ", "2023-05-17T08:30:00+00:00"),
        ("", T0.isoformat()),
        ("0001-01-01T00:00:00", T0.isoformat()),
        ("0001-01-01T00:00:00.0000000+00:00", T0.isoformat()),
    ],
)
def test_a_time_is_read_in_any_form_of_iso_8601(told, at):
    assert the_event(PERSONALIZER, Timestamp=told).decision.decided_at.isoformat() == at


@pytest.mark.parametrize("told", [1684312200, "yesterday", True, []])
def test_what_is_no_time_is_refused_as_that_of_a_decision_and_ignored_as_that_of_an_observation(told):
    with pytest.raises(UnreadableError, match="Timestamp is not a time such as"):
        read(PERSONALIZER, Timestamp=told)
    (observation,) = the_event(PERSONALIZER, o=[{"v": 0.5, "ts": told}]).observations
    assert observation.observed_at == the_event(PERSONALIZER).decision.decided_at


# --- members of another type ---


def test_every_member_of_a_line_is_read_when_another_is_of_another_type():
    assert {field for field, _ in _LINE_MEMBERS.values()} | {"c"} == {field.name for field in msgspec.structs.fields(Line)}
    assert {field.encode_name for field in msgspec.structs.fields(Line)} == set(_LINE_MEMBERS) | {"c"}
    assert {field.encode_name for field in msgspec.structs.fields(Outcome)} == set(_OUTCOME_MEMBERS)


@pytest.mark.parametrize(
    "line", [PERSONALIZER, NAMESPACES, SLOTS, {**SLOTS, "_ba": [1, 3, 0]}], ids=["cb", "namespaces", "slots", "baselines"]
)
def test_a_line_that_is_read_leniently_says_what_it_says_to_the_letter(line):
    strictly, leniently = (decoded(orjson.dumps({**line, "VWState": state})) for state in ({"m": "x"}, "x"))
    assert msgspec.structs.asdict(strictly) | {"c": b""} == msgspec.structs.asdict(leniently) | {"c": b""}
    assert bytes(strictly.c) == bytes(leniently.c)


SAME: dict[str, dict[str, Any]] = {
    "an observation that is a number": {"o": [0.5]},
    "observations that are none": {"o": 0},
    "observations that are text": {"o": "0.5"},
    "one observation without its list": {"o": PERSONALIZER["o"][0]},
    "null among observations": {"o": [None, *PERSONALIZER["o"]]},
    "an observation of an event whose id is no text": {"o": [{"EventId": [7], "v": 0.5}, {"EventId": False}]},
    "an observation of an event whose id is a number": {"o": [{"EventId": 7, "v": 0.5, "ActionTaken": 0}]},
    "positions that are whole floats": {"_label_Action": 2.0, "_labelIndex": 1.0, "a": [2.0, 1.0]},
    "numbers that are text": {"_label_cost": "-0.5", "_label_probability": "0.8", "p": ["8e-1", "0.2"], "_labelIndex": "1", "pdrop": "0"},
    "flags that are numbers": {"DeferredAction": 0, "_skipLearn": 0},
    "flags that are text": {"DeferredAction": "False", "_skipLearn": "false"},
    "no model": {"VWState": {"m": None}},
    "no state": {"VWState": None},
    "a state that is text": {"VWState": "ff8d6f2c/1a2b"},
    "members that are null": {"pdrop": None, "_skipLearn": None, "Mode": None},
}


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME)
def test_a_member_of_another_type_with_the_same_meaning_makes_the_same_event(changes):
    event, expected = the_event(PERSONALIZER, **changes), the_event(PERSONALIZER)
    if "VWState" in changes and changes["VWState"] != "ff8d6f2c/1a2b":
        expected = replace(expected, decision=replace(expected.decision, model_version=""))
    named = [replace(each, event_id="e1") for each in event.observations]
    assert replace(event, observations=tuple(named)) == expected


def test_the_cost_decides_whatever_the_observations_are():
    event = the_event(PERSONALIZER, o=[1.0], _label_cost=-0.25)
    assert (event.reward, event.observations) == (0.25, (Observation("e1", event.decision.decided_at, 0.25),))


def test_ids_that_are_numbers_are_their_text():
    event = the_event(PERSONALIZER, EventId=17)
    assert event.decision.event_id == "17"
    outcomes = [{**each, "_id": number, "_o": [1.0]} for number, each in enumerate(SLOTS["_outcomes"])]
    assert read(SLOTS, _outcomes=outcomes).events == tuple(
        [replace(each, observations=each.observations if each.reward else ()) for each in read(SLOTS).events]
    )
    named = {**SLOTS["c"], "_slots": [{"_id": number} for number in (10, 11, 12)]}
    assert slots_of(SLOTS, c=named) == ["10", "11"]


def test_labels_are_read_in_any_case_as_vowpal_wabbit_does_and_the_usual_ones_come_first():
    names = {"_label_cost": "_label_Cost", "_label_probability": "_LABEL_PROBABILITY", "_label_Action": "_label_action"}
    other = {names.get(name, name): value for name, value in without(PERSONALIZER, "p", "_labelIndex").items()}
    assert the_event(other) == the_event(without(PERSONALIZER, "p"))
    assert the_event({**other, "_label_cost": -0.25}).reward == 0.25
    assert the_event({**PERSONALIZER, "_label_Cost": -9.0, "o": 0}).reward == 0.5


REFUSED: dict[str, dict[str, Any]] = {
    "_label_cost": {"_label_cost": "much"},
    "_label_probability": {"_label_probability": True},
    "_labelIndex": {"_labelIndex": 1.5},
    "_label_Action": {"_label_Action": [2]},
    "a": {"a": [2, None]},
    "p": {"p": [0.8, "some"]},
    "EventId": {"EventId": ["e1"]},
    "_skipLearn": {"_skipLearn": "perhaps"},
    "DeferredAction": {"DeferredAction": 7},
    "Timestamp": {"Timestamp": "yesterday"},
    "_outcomes": {"_outcomes": 1},
}


@pytest.mark.parametrize(("name", "changes"), REFUSED.items(), ids=REFUSED)
def test_a_member_without_a_meaning_is_refused_by_its_name(name, changes):
    with pytest.raises(UnreadableError) as refused:
        read(PERSONALIZER, **changes)
    assert str(refused.value).startswith(name.partition(".")[0])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["v", "m", "_a", "_p", "_o", "_label_cost", "EventId"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(line=st.sampled_from([PERSONALIZER, NAMESPACES, SLOTS]), name=st.sampled_from(sorted(_LINE_MEMBERS)), value=json_values)
def test_whatever_a_member_holds_the_line_is_read_or_refused(line, name, value):
    with contextlib.suppress(UnreadableError):
        read(json.dumps({**line, name: value}).encode())


def test_members_of_any_depth_and_numbers_of_any_length_are_refused_without_another_error():
    for value in (b"[" * 100_000, b"1" * 5_000, b'"' + b"1" * 5_000 + b'"', b"1e400", b'{"m":' * 5_000):
        for name in (b"_label_cost", b"o", b"VWState", b"a", b"_outcomes"):
            with pytest.raises(UnreadableError):
                read(b'{"%b":%b,"_labelIndex":"x","c":{"_multi":[{}]}}' % (name, value))


# --- actions and slots that have the same id, or none ---


@pytest.mark.parametrize("named", [{"_tag": "x"}, {"i": {"constant": 1, "id": "x"}}], ids=["tag", "id"])
async def test_actions_of_the_same_id_are_told_apart_by_their_place_and_the_chosen_place_stays(named):
    actions = [{**named, "j": [{"n": number}]} for number in range(3)]
    line = {**NAMESPACES, "c": {"_multi": actions}, "_label_Action": 3, "_labelIndex": 2, "a": [3, 1, 2], "_label_probability": 0.25}
    event = the_event(line)
    assert (ids_of(event), event.decision.chosen) == (["x", "x-2", "x-3"], 2)
    assert read_situation(event.decision.situation).actions[2].features == ({"n": 2},)
    lines = b"\n".join(orjson.dumps({**line, "EventId": str(number)}) for number in range(5))
    _, done = await read_files([MemoryFile("log.json", lines)], now=after(0))
    assert [(each.count, "named by their place" in each.reason) for each in done.fates[0].remarks] == [(5, True)]


@given(st.lists(st.sampled_from(["a", "b", "a-2", "a-3", "a-2-2", "", "c" * MAX_ID_LENGTH, "c" * (MAX_ID_LENGTH - 2) + "-2"]), max_size=9))
def test_ids_that_are_told_apart_differ_and_those_that_differed_stay(ids):
    made = told_apart(ids)
    assert len(set(made)) == len(made)
    assert max(map(len, made), default=0) <= MAX_ID_LENGTH
    for number, each in enumerate(ids):
        if each not in ids[:number]:
            assert made[number] == each


def unnamed(line: dict[str, Any], **named: Any) -> dict[str, Any]:
    return {**line["c"], "_slots": [{**without(slot, "_id"), **named} for slot in line["c"]["_slots"]]}


def test_a_slot_without_an_id_is_known_by_its_place_and_what_is_made_for_an_event_is_no_slot_and_no_feature():
    outcomes = [{**each, "_id": f"{GUID[:-1]}{number}2930709527"} for number, each in enumerate(SLOTS["_outcomes"])]
    events = read(SLOTS, c=unnamed(SLOTS), _outcomes=outcomes).events
    assert [each.decision.slot for each in events] == ["0", "1"]
    assert all(b"2930709527" not in each.decision.situation for each in events)
    other = [{**each, "_id": f"{GUID[:-1]}{number}11111"} for number, each in enumerate(SLOTS["_outcomes"])]
    assert [each.decision.situation for each in read(SLOTS, c=unnamed(SLOTS), _outcomes=other).events] == [
        each.decision.situation for each in events
    ]


def test_a_guid_that_a_client_made_for_one_event_is_no_slot_but_one_that_names_a_slot_is():
    fresh = [f"{GUID[:-1]}{number}" for number in range(3)]

    def named(ids: list[str]) -> dict[str, Any]:
        return {**SLOTS["c"], "_slots": [{"_id": each, "size": "large"} for each in ids]}

    assert slots_of(SLOTS, c=named([f"{each}2930709527" for each in fresh])) == ["0", "1"]
    assert slots_of(without(SLOTS, "EventId"), c=named(fresh)) == ["0", "1"]
    assert slots_of(SLOTS, c=named(fresh)) == fresh[:2]


def test_slots_of_the_same_id_and_places_that_are_ids_of_others_are_told_apart():
    def named(*ids: str | None) -> dict[str, Any]:
        return {**SLOTS["c"], "_slots": [{} if each is None else {"_id": each} for each in ids]}

    assert slots_of(SLOTS, c=named("top", "top", "top")) == ["top", "top-2"]
    assert slots_of(SLOTS, c=named(None, "0", None)) == ["place 0", "0"]


def test_slots_whose_features_stand_under_sj_hash_as_in_the_live_call():
    slots: list[dict[str, Any]] = [
        {"id": "top", "features": [{"size": "Large", "at": {"x": 1}}], "baselineAction": "b"},
        {"id": "side", "baselineAction": "a"},
    ]
    actions: list[dict[str, Any]] = [{"id": each, "features": [{"roast": each}]} for each in ("a", "b", "c")]
    body: dict[str, Any] = {"contextFeatures": [{"weather": "sunny"}], "actions": actions, "slots": slots}
    _, live = read_multi_slot_rank(orjson.dumps(body), ActionReader())
    logged = {
        "FromUrl": body["contextFeatures"],
        "_multi": [{"_tag": each["id"], "i": {"constant": 1, "id": each["id"]}, "j": each["features"]} for each in actions],
        "_slots": [{"_id": each["id"], **({"sj": each["features"]} if "features" in each else {})} for each in slots],
    }
    outcomes = [
        {"_label_cost": -1.0, "_id": "top", "_a": [1, 0, 2], "_p": [0.8, 0.1, 0.1]},
        {"_label_cost": 0.0, "_a": [0, 2], "_p": [0.9, 0.1]},
    ]
    events = read({"EventId": "e", "c": logged, "_outcomes": outcomes, "_ba": [1, 0]}).events
    filling = Filling(live)
    for event, slot in zip(events, live.slots, strict=True):
        asked, known = filling.situation(slot), read_situation(event.decision.situation)
        assert Encoder().encode(known).logged(event.decision.chosen) == Encoder().encode(asked).logged(event.decision.chosen)
        assert (known.context, known.slot) == (asked.context, asked.slot)


# --- probabilities that were rounded ---


def rounded(p: list[float], label: float) -> dict[str, Any]:
    return {**NAMESPACES, "p": p, "_label_probability": label}


@pytest.mark.parametrize(("p", "label"), [([0.33] * 3, 0.33), ([0.33] * 3, 1 / 3), ([0.17, 0.67, 0.17], 0.17), ([0.32, 0.33, 0.33], 0.32)])
async def test_probabilities_that_were_rounded_are_divided_by_their_sum_and_that_is_said_once_a_file(p, label):
    line = rounded(p, label)
    assert the_event(line).decision.probabilities == pytest.approx([each / sum(p) for each in p])
    assert sum(the_event(line).decision.probabilities) == pytest.approx(1.0)
    lines = b"\n".join(orjson.dumps({**line, "EventId": str(number)}) for number in range(4))
    _, done = await read_files([MemoryFile("log.json", lines)], now=after(0))
    assert [(each.count, each.line, "rounded" in each.reason) for each in done.fates[0].remarks] == [(4, 1, True)]


def test_a_label_that_was_rounded_beside_exact_probabilities_changes_nothing():
    exact = [1 / 3] * 3
    found = read(rounded(exact, 0.33))
    assert (found.events[0].decision.probabilities, found.notes) == (tuple(exact), ())
    small = [0.0125, 0.9, 0.0875]
    assert the_event(rounded(small, 0.01)).decision.probabilities == tuple(small)


def test_rounded_probabilities_of_slots_are_divided_by_their_sum():
    outcomes = [{**SLOTS["_outcomes"][0], "_p": [0.67, 0.11, 0.11, 0.12]}, *SLOTS["_outcomes"][1:]]
    event, _ = read(SLOTS, _outcomes=outcomes).events
    assert sum(event.decision.probabilities) == pytest.approx(1.0)
    assert event.decision.probabilities[1] == pytest.approx(0.67 / 1.01)


@pytest.mark.parametrize(
    ("p", "label"), [([0.32] * 3, 0.32), ([0.35] * 3, 0.35), ([1 / 3] * 3, 0.35), ([1 / 3] * 3, 0.0), ([0.004, 0.5, 0.496], 0.0)]
)
def test_what_is_farther_from_1_than_two_percent_or_another_probability_is_refused(p, label):
    with pytest.raises(UnreadableError, match="probabilit"):
        read(rounded(p, label))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"a": [2, 1], "p": [0.8, 0.1, 0.1]}, "there are 2 and 3"),
        ({"a": [2, 2]}, "an action is named twice"),
        ({"a": [2, 3]}, "action 3 of 2 has one"),
        ({"a": [1, 0, 2], "p": [0.8, 0.1, 0.1]}, "action 3 of 2 has one"),
    ],
)
def test_in_which_way_actions_and_probabilities_do_not_fit_each_other_is_told(changes, why):
    with pytest.raises(UnreadableError, match=f"actions and probabilities do not fit each other: {why}"):
        read(PERSONALIZER, **changes)


# --- what is said of other lines ---


@pytest.mark.parametrize(
    "changes",
    [{"RewardValue": 1.0}, {"RewardValue": None}, {}, {"ActionTaken": True}, {"EnqueuedTimeUtc": "2023-05-17T09:30:00Z", "EventId": None}],
)
def test_a_reward_without_its_decision_is_known_with_its_value_or_without(changes):
    with pytest.raises(KindNotReadError, match="a reward without its decision"):
        read({"Timestamp": "2023-05-17T08:30:00Z", "EventId": "e1", **changes})


def test_an_event_that_lacks_what_was_asked_and_what_is_no_event_are_told_apart():
    with pytest.raises(UnreadableError, match="c is missing"):
        read(without(PERSONALIZER, "c"))
    with pytest.raises(NoLogError):
        read(b'{"BlockPosition":{"BlobName":"x"}}')


CONTINUOUS = {
    "_label_ca": {"cost": -0.95, "pdf_value": 0.0021, "action": 185.0035},
    "Timestamp": "2021-01-12T13:16:22.3840000Z",
    "EventId": "x",
    "c": {"18-25": 1, "male": 1},
    "pdf": [{"left": 185.0, "right": 17000.0, "pdf_value": 0.0021}],
    "VWState": {"m": "N/A"},
}


async def test_continuous_actions_and_slates_are_refused_by_name_once_a_file():
    slate = {**PERSONALIZER, "c": {"_multi": [{"_slot_id": 0}, {"_slot_id": 1}]}}
    for line, name in ((CONTINUOUS, "_label_ca"), (slate, "slates")):
        lines = b"\n".join(orjson.dumps({**line, "EventId": str(number)}) for number in range(30))
        _, done = await read_files([MemoryFile("log.json", lines)], now=after(0))
        assert (done.malformed, len(done.told), name in done.told[0].reason) == (30, 1, True)


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity"])
@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b'{"_label_cost": %b, "c": {"_multi": [{}]}}', "_label_cost"),
        (b'{"_label_cost":-1,"p":[1.0, %b],"c":{"_multi":[{}]}}', "p"),
        (b'{"_label_cost":-1,"c":{"x":{"y":%b},"_multi":[{}]}}', "y"),
        (b'{"_label_cost":-1,"o":[{"v":%b}],"c":{"_multi":[{}]}}', "v"),
    ],
)
def test_what_python_writes_for_numbers_that_are_none_is_named_with_its_place(text, name, value):
    with pytest.raises(UnreadableError) as refused:
        read(text % value)
    assert str(refused.value).startswith(f"{value.decode()} at {name} is not a number")
    with pytest.raises(UnreadableError, match="nan at _label_cost is not a number in JSON: write null"):
        read(b'{"_label_cost": nan}')
    with pytest.raises(UnreadableError, match="not a line of dsjson"):
        read(b'{"x": "NaN and Infinity", y}')
