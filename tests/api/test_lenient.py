"""What a value means that is not quite of its member's kind, as the original's binder read it, and what stays refused."""

import contextlib
import gzip
import json
import re
import zlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.api.configuration import read_configuration
from shared.api.doors import holds_list, holds_number
from shared.api.durations import read_duration
from shared.api.evaluations import EvaluationContract
from shared.api.lenient import Source
from shared.api.logs import read_interactions, read_observations
from shared.api.loops import LoopRequest, read_loop
from shared.api.multislot import MultiSlotRewardRequest, read_multi_slot_rank
from shared.api.rank import ActionReader, read_rank
from shared.api.reward import RewardRequest
from shared.api.schedules import ScheduleContract
from shared.api.wire import check_encoding, parse
from shared.domain.errors import (
    InvalidConfigurationError,
    InvalidContractError,
    InvalidEvaluationContractError,
    InvalidRankRequestError,
    InvalidRequestError,
    InvalidRewardRequestError,
    UnsupportedMediaTypeError,
)
from shared.domain.events import Situation

FEATURES = [{"x": 1}]
CONFIGURATION = {
    "rewardWaitTime": "PT10M",
    "defaultReward": 0.5,
    "rewardAggregation": "sum",
    "explorationPercentage": 0.2,
    "modelExportFrequency": "PT5M",
    "logRetentionDays": 30,
    "modelRetrainDays": 0,
}


def ranked(body: Any) -> tuple[Situation, str | None, bool | None]:
    """Read a body twice: what is remembered of the first time must change nothing."""
    text, reader = body if isinstance(body, bytes) else json.dumps(body).encode(), ActionReader()
    (request, situation), (_, again) = read_rank(text, reader), read_rank(text, reader)
    assert situation == again
    return situation, request.event_id, request.defer_activation


def rewarded(body: Any) -> float:
    return parse(body if isinstance(body, bytes) else json.dumps(body).encode(), RewardRequest, InvalidRewardRequestError).value


def configured(version: str = "2022-09-01-preview", **members: Any) -> dict[str, Any]:
    return read_configuration(json.dumps({**CONFIGURATION, **members}).encode(), version)


def action(action_id: Any, features: Any = FEATURES) -> dict[str, Any]:
    return {"id": action_id, "features": features}


def test_numbers_as_ids_are_what_they_are_as_texts():
    as_numbers = {"actions": [action(1), action(-2), action(2.5), action(0)], "excludedActions": [1, 2.5], "eventId": 7}
    as_texts = {"actions": [action("1"), action("-2"), action("2.5"), action("0")], "excludedActions": ["1", "2.5"], "eventId": "7"}
    assert ranked(as_numbers) == ranked(as_texts)


@pytest.mark.parametrize("number", ["1.50", "3.0", "1e3", "340282366920938463463374607431768211455", "12345678901234567890.125"])
@pytest.mark.parametrize("more", [{}, {"unknown": 1}, {"excludedActions": []}])
def test_a_number_as_an_id_keeps_every_digit_that_was_sent(number, more):
    other = f"{number[:-1]}{9 - int(number[-1])}"
    both = ", ".join(f'{{"id": {each}, "features": [{{"x": 1}}]}}' for each in (number, other))
    rest = "".join(f', "{name}": {json.dumps(value)}' for name, value in more.items())
    situation, event_id, _ = ranked(f'{{"eventId": {number}, "actions": [{both}]{rest}}}'.encode())
    assert ([each.id for each in situation.actions], event_id) == ([number, other], number)
    pascal, event_id, _ = ranked(f'{{"EventId": {number}, "Actions": [{both.replace("id", "Id")}]}}'.encode())
    assert ([each.id for each in pascal.actions], event_id) == ([number, other], number)


@pytest.mark.parametrize("number", ["1.50", "12345678901234567890123", "3.0"])
def test_a_number_as_the_name_of_a_policy_keeps_every_digit_that_was_sent(number):
    policies = f'[{{"name": "p", "arguments": "--cb_explore_adf"}}, {{"Name": {number}, "Arguments": "--cb_explore_adf"}}]'
    evaluation = f'{{"name": "n", "startTime": "2026-01-01", "endTime": "2026-01-02", "policies": {policies}}}'.encode()
    asked = parse(evaluation, EvaluationContract, InvalidEvaluationContractError).to_asked(Source(evaluation))
    assert [each.name for each in asked.policies] == ["p", number]
    schedule = f'{{"name": "n", "everyDays": 1, "overDays": 1, "policies": {policies}}}'.encode()
    plan = parse(schedule, ScheduleContract, InvalidContractError).to_plan(Source(schedule))
    assert [each.name for each in plan.policies] == ["p", number]


def test_ids_of_slots_baselines_and_what_is_excluded_there_may_be_numbers():
    slots = [{"id": 1, "baselineAction": 11, "excludedActions": [12]}, {"id": 2, "baselineAction": 12}]
    body = json.dumps({"actions": [action(11), action(12), action(13)], "slots": slots, "eventId": 5}).encode()
    request, asked = read_multi_slot_rank(body, ActionReader())
    assert request.event_id == "5"
    assert [(slot.id, slot.baseline, slot.excluded) for slot in asked.slots] == [("1", "11", frozenset({"12"})), ("2", "12", frozenset())]
    rewards = parse(b'{"reward": [{"slotId": 1, "value": "0.5"}]}', MultiSlotRewardRequest, InvalidRewardRequestError).reward
    assert [(each.slot_id, each.value) for each in rewards] == [("1", 0.5)]


@pytest.mark.parametrize(
    ("text", "value"), [("1.0", 1.0), ("-1", -1.0), ("0", 0.0), (" 0.5 ", 0.5), (".5", 0.5), ("1.", 1.0), ("+1", 1.0), ("1e-2", 0.01)]
)
def test_a_number_as_text_is_the_number(text, value):
    assert rewarded({"value": text}) == value
    assert configured(defaultReward=text)["default_reward"] == value


def test_whole_floats_and_texts_are_whole_numbers_and_words_are_flags():
    assert configured(logRetentionDays=30.0, modelRetrainDays="7")["log_retention_days"] == 30
    assert configured(logRetentionDays="-1.0", modelRetrainDays="7")["model_retrain_days"] == 7
    for word, value in {"true": True, "False": False, "TRUE": True}.items():
        assert configured(isAutoOptimizationEnabled=word)["is_auto_optimization_enabled"] is value
        assert ranked({"actions": [action("a")], "deferActivation": word})[2] is value


@pytest.mark.parametrize(
    "value", [None, "", " ", "abc", True, False, [1], [], {}, "0x1", "1_0", "1,0", "nan", "Infinity", "--1", "1e", "9" * 65]
)
def test_what_is_no_number_stays_refused_as_one(value):
    with pytest.raises(InvalidRewardRequestError, match=r"^value: "):
        rewarded({"value": value})
    if value is not None:
        with pytest.raises(InvalidConfigurationError, match=r"^defaultReward: "):
            configured(defaultReward=value)


@pytest.mark.parametrize("value", [None, True, False, [1], {}, "", ["a"]])
def test_what_is_neither_text_nor_number_stays_refused_as_an_id(value):
    with pytest.raises(InvalidRankRequestError, match=r"^actions\[0\]\.id: "):
        ranked({"actions": [action(value)]})


@pytest.mark.parametrize("value", ["yes", "1", "", 1, 0, [True], {}])
def test_what_is_no_flag_stays_refused_as_one(value):
    with pytest.raises(InvalidRankRequestError, match=r"^deferActivation: "):
        ranked({"actions": [action("a")], "deferActivation": value})


def test_blanks_around_a_word_say_nothing():
    assert configured(learningMode=" apprentice ", rewardAggregation="Sum\n") == configured(
        learningMode="Apprentice", rewardAggregation="sum"
    )


@pytest.mark.parametrize("value", [1.5, "1.5", "abc", True, 1e300, "1e300"])
def test_what_is_no_whole_number_stays_refused_as_one(value):
    with pytest.raises(InvalidConfigurationError, match=r"^logRetentionDays: "):
        configured(logRetentionDays=value)


def cased(document: Any, case: Any) -> Any:
    if isinstance(document, list):
        return [cased(each, case) for each in document]
    return {case(name): cased(value, case) for name, value in document.items()} if isinstance(document, dict) else document


@pytest.mark.parametrize("case", [str.upper, lambda name: name[:1].upper() + name[1:], str.lower], ids=["upper", "pascal", "lower"])
def test_names_in_another_case_are_taken_if_one_that_is_required_is_missing(case):
    body = {"actions": [{"id": "a"}, {"id": "b"}], "contextFeatures": [], "excludedActions": ["b"], "eventId": "e"}
    told = cased(body, case) if case is not str.lower else {**cased(body, case), "Actions": cased(body["actions"], case)}
    told.pop("actions", None)
    for each in told[next(name for name in told if name.lower() == "actions")]:
        each["FEATURES"] = FEATURES
    expected = {**body, "actions": [action("a"), action("b")]}
    assert ranked(told) == ranked(expected)


def test_names_in_another_case_are_nothing_where_all_that_is_required_is_there():
    assert ranked({"actions": [action("a")], "EventId": "e", "ContextFeatures": 3})[0:2] == ranked({"actions": [action("a")]})[0:2]
    assert rewarded({"value": 1, "Value": "x"}) == 1


def test_names_in_another_case_are_taken_in_every_body():
    assert rewarded({"VALUE": -1}) == -1
    pascal = {name[:1].upper() + name[1:]: value for name, value in CONFIGURATION.items()}
    assert read_configuration(json.dumps(pascal).encode(), "v1.0") == configured("v1.0")
    assert read_loop(b'{"Tier": "f0"}').tier == "f0"
    changes = {"RewardWaitTime": "00:01:00", "DefaultReward": "0.5", "logRetentionDays": 7.0}
    read_changes = read_loop(json.dumps({"configuration": changes}).encode()).to_changes()
    assert read_changes == {"reward_wait": timedelta(minutes=1), "default_reward": 0.5, "log_retention_days": 7}
    slots = {"Slots": [{"Id": "s", "BaselineAction": "a"}], "Actions": [{"Id": "a", "Features": FEATURES}]}
    assert read_multi_slot_rank(json.dumps(slots).encode(), ActionReader())[1].slots[0].baseline == "a"
    assert read_observations(b'{"EventId": 3, "Value": "1"}')[0].event_id == "3"
    evaluation = {"Name": 1, "StartTime": "2026-01-01", "EndTime": "2026-01-02", "Policies": [], "EnableOfflineExperimentation": "true"}
    read = parse(json.dumps(evaluation).encode(), EvaluationContract, InvalidEvaluationContractError)
    assert (read.name, read.enable_offline_experimentation) == ("1", True)


def test_the_name_that_is_right_goes_before_one_in_another_case():
    assert ranked({"actions": [{"ID": "other", "id": "a", "Features": FEATURES}]})[0].actions[0].id == "a"


def test_what_is_still_missing_is_named():
    with pytest.raises(InvalidConfigurationError, match=r"^defaultReward, rewardAggregation.*: these members are required"):
        read_configuration(b'\xef\xbb\xbf{"RewardWaitTime": "PT1M"}', "v1.0")


@pytest.mark.parametrize("nothing", [None, []], ids=["null", "PHP's empty map"])
def test_null_and_phps_empty_map_are_objects_without_features(nothing):
    situation = ranked({"contextFeatures": [nothing, {"c": 1}], "actions": [action("a", [nothing, {"x": 1}])]})[0]
    assert situation == ranked({"contextFeatures": [{}, {"c": 1}], "actions": [action("a", [{}, {"x": 1}])]})[0]
    assert ranked({"contextFeatures": [nothing], "actions": [action("a")]})[0].context == ({},)
    with pytest.raises(InvalidRankRequestError, match=r"^actions\[0\]\.features: an action needs"):
        ranked({"actions": [action("a", [nothing])]})


@pytest.mark.parametrize("given_", ["x", 1, True, ["a"], [[]], [1]])
def test_what_is_no_object_of_features_stays_refused_by_its_place(given_):
    with pytest.raises(InvalidRankRequestError, match=r"^contextFeatures\[1\]: "):
        ranked({"contextFeatures": [None, given_], "actions": [action("a")]})


def test_phps_list_with_gaps_is_a_list():
    """It is what `json_encode` writes after `array_filter` or `unset`."""
    gaps = {"actions": {"0": action(10), "2": action(1.5), "3": action("c", {"1": {"x": 1}})}, "excludedActions": {"1": 10}, "eventId": "e"}
    assert ranked(gaps) == ranked({"actions": [action("10"), action("1.5"), action("c")], "excludedActions": ["10"], "eventId": "e"})
    exact = b'{"actions": {"4": {"id": 1.50, "features": [{"x": 1}]}}}'
    assert ranked(exact)[0].actions[0].id == "1.50"


def test_an_empty_object_is_an_empty_list():
    """PHP writes it of a list that is empty, where it is told to write objects."""
    empty: dict[str, Any] = {"contextFeatures": {}, "excludedActions": {}}
    assert ranked({"actions": [action("a")], **empty}) == ranked({"actions": [action("a")]})
    slots = [{"id": "s", "baselineAction": "a", "features": {}, "excludedActions": {}}]
    asked = read_multi_slot_rank(json.dumps({"actions": [action("a")], "slots": slots}).encode(), ActionReader())[1]
    assert (asked.slots[0].features, asked.slots[0].excluded) == ((), frozenset())
    evaluation = {"name": "n", "startTime": "2026-01-01", "endTime": "2026-01-02", "policies": {}}
    assert parse(json.dumps(evaluation).encode(), EvaluationContract, InvalidEvaluationContractError).policies == []
    with pytest.raises(InvalidRankRequestError, match=r"^actions\[0\]\.features: an action needs"):
        ranked({"actions": [action("a", {})]})


def test_the_values_of_an_object_with_names_of_the_callers_own_are_read_as_leniently():
    schedule = {"name": 1, "everyDays": "1", "overDays": 7.0, "leastLifts": {"p": "0.1", "q": -1}}
    assert parse(json.dumps(schedule).encode(), ScheduleContract, InvalidContractError).least_lifts == {"p": 0.1, "q": -1.0}
    with pytest.raises(InvalidContractError, match=r"^leastLifts\.p: Input should be a valid number"):
        parse(json.dumps({**schedule, "leastLifts": {"p": True}}).encode(), ScheduleContract, InvalidContractError)


@pytest.mark.parametrize(
    "no_list", [{}, {"id": "a"}, {"0": action("a"), "x": action("b")}, {"": action("a")}, {"-1": action("a")}, {"1.0": 1}]
)
def test_another_object_is_no_list(no_list):
    with pytest.raises(InvalidRankRequestError, match=r"^actions: "):
        ranked({"actions": no_list})


def test_features_without_a_name_are_left_out_and_told():
    with_them = {"contextFeatures": [{"": 1, "u": {"": {"a": 1}, "age": 3}}], "actions": [action("a"), action("b", [{"": "x", "y": 1}])]}
    without = {"contextFeatures": [{"u": {"age": 3}}], "actions": [action("a"), action("b", [{"y": 1}])]}
    situation = ranked(with_them)[0]
    assert situation == ranked(without)[0]
    assert situation.left_out == ("contextFeatures[0]", "contextFeatures[0].u", "actions[1].features[0]")
    reader = ActionReader()
    read_rank(json.dumps(with_them).encode(), reader)
    other_place = {"actions": with_them["actions"][::-1]}
    assert read_rank(json.dumps(other_place).encode(), reader)[1].left_out == ("actions[0].features[0]",)
    assert ranked(without)[0].left_out == ()


def test_an_action_whose_features_had_no_name_is_left_with_its_id():
    for features in ([{"": 1}], [{"": {"a": 1}}, {}], [{"title": {"": 1}}], [None, {"": None}]):
        situation = ranked({"actions": [action("a", features), action("b")]})[0]
        assert (situation.actions[0].id, bool(situation.left_out)) == ("a", True)
    with pytest.raises(InvalidRankRequestError, match=r"^actions\[0\]\.features: an action needs"):
        ranked({"actions": [action("a", [{"title": {}}]), action("b", [{"": 1}])]})


def test_features_without_a_name_are_left_out_of_slots():
    slots = [{"id": "s", "baselineAction": "a", "features": [{"": 1}], "positionFeatures": [{"x": {"": 1}, "y": 2}]}]
    asked = read_multi_slot_rank(json.dumps({"actions": [action("a")], "slots": slots}).encode(), ActionReader())[1]
    assert asked.slots[0].features == ({}, {"x": {}, "y": 2})
    assert asked.left_out == ("slots[0].features[0]", "slots[0].positionFeatures[0].x")


def test_a_byte_order_mark_says_nothing():
    mark = b"\xef\xbb\xbf"
    assert rewarded(mark + b'{"value": 1}') == 1
    assert ranked(mark + json.dumps({"actions": [action(1.0)]}).encode())[0].actions[0].id == "1.0"
    assert len(read_observations(mark + b'{"eventId": "e", "value": 1}\n{"eventId": "f", "value": 1}')) == 2


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "nan"])
def test_numbers_that_json_has_not_are_named(literal):
    with pytest.raises(InvalidRequestError, match=f"{literal} is not a number of JSON"):
        rewarded(f'{{"é": 1, "value": {literal}}}'.encode())
    line = f'{{"eventId": "e", "value": 1}}\n{{"eventId": "e", "value": {literal}}}'
    with pytest.raises(InvalidRequestError, match=f"^line 2: not valid JSON: {literal} is not a number of JSON"):
        read_observations(line.encode())


@pytest.mark.parametrize("number", ["1e400", "-1E+999", "2.5e308", f"1{'0' * 400}"])
def test_numbers_that_are_too_large_are_named_with_their_place(number):
    told = number if len(number) <= 40 else f"{number[:40]}..."
    with pytest.raises(InvalidRequestError, match=rf"{re.escape(told)} is too large a number \(value, line 1 column 12\)"):
        rewarded(f'{{ "value": {number}}}'.encode())
    features = f'{{"actions": [{{"id": "a", "features": [{{"x": [1, {number}]}}]}}]}}'
    with pytest.raises(InvalidRequestError, match=r"is too large a number \(actions\[0\]\.features\[0\]\.x\[1\], line 1"):
        ranked(features.encode())


def test_the_byte_that_is_not_utf_8_is_named():
    with pytest.raises(InvalidRequestError, match=r"it has to be UTF-8, which byte 7 \(0xe9\) is not$"):
        rewarded('{"é": "é", "value": 1}'.encode().replace("é".encode(), "é".encode("latin-1"), 2).replace(b"{", b"{    ", 1))


@pytest.mark.parametrize("coding", ["br", "zstd", "lz4", "gzip, br"])
def test_a_stream_that_begins_with_a_bracket_is_not_taken_for_json(coding):
    for stream in (b"[\x16\x80abc", b"{\xff", b"\x8b\x05"):
        with pytest.raises(UnsupportedMediaTypeError, match=rf"compressed \({coding.rpartition(' ')[2]}\)"):
            check_encoding(coding, stream)
    for text in (b' [{"a": 1}]', b"\xef\xbb\xbf{", b""):
        check_encoding(coding, text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_text_in_another_encoding_is_named_with_or_without_its_mark(encoding):
    with pytest.raises(InvalidRequestError, match=f"it is {encoding[:6].upper()}, and has to be UTF-8"):
        rewarded('{"value": 1}'.encode(encoding))


@pytest.mark.parametrize("level", range(1, 10))
def test_what_is_compressed_is_named_at_every_level(level):
    lines = b'{"value": 1}\n{"value": 1}'
    for read in (rewarded, read_observations, lambda body: read_interactions(body, ActionReader())):
        with pytest.raises(UnsupportedMediaTypeError, match=r"compressed \(gzip\)"):
            read(gzip.compress(lines, level))
        with pytest.raises(UnsupportedMediaTypeError, match=r"compressed \(deflate\)"):
            read(zlib.compress(lines, level))


@pytest.mark.parametrize("member", ["slots", "Slots", "SLOTS"])
def test_a_list_at_the_wrong_door_is_found_however_it_is_written(member):
    for written in ([{"id": "top"}], [], {"1": {"id": "top"}}):
        body = json.dumps({member: written, "actions": []}).encode()
        assert holds_list(body, "slots"), written
        assert holds_list(b"\xef\xbb\xbf" + body, "slots"), written
    for other in (None, "a", 1, {}, {"id": "top"}):
        assert not holds_list(json.dumps({member: other, "actions": []}).encode(), "slots"), other
    assert not holds_list(json.dumps({"slots": None, "sLoTs": [1]}).encode(), "slots"), "the right name goes first"


@pytest.mark.parametrize(("value", "is_number"), [(1, True), ("0.5", True), (True, False), ("a", False), (None, False), ([1], False)])
def test_a_number_at_the_wrong_door_is_found_however_it_is_written(value, is_number):
    assert holds_number(json.dumps({"Value": value}).encode(), "value") is is_number


@pytest.mark.parametrize("wrong", [1, True, [1]])
def test_of_a_list_with_many_errors_the_first_is_looked_for_alone(wrong):
    many = [wrong] * 1_000
    slot = {"id": "s", "baselineAction": "a"}
    excluded: list[Any] = [[wrong]] * 1_000
    wrongly: dict[str, dict[str, Any]] = {
        "contextFeatures[0]": {"contextFeatures": many},
        "actions[0].features[0]": {"actions": [action("a", many)]},
        "excludedActions[0]": {"excludedActions": excluded},
        "slots[0].features[0]": {"slots": [{**slot, "features": many}]},
        "slots[0].excludedActions[0]": {"slots": [{**slot, "excludedActions": excluded}]},
    }
    for place, members in wrongly.items():
        body = json.dumps({"actions": [action("a")], **members}).encode()
        with pytest.raises(InvalidRankRequestError) as refused:
            read_multi_slot_rank(body, ActionReader()) if "slots" in members else read_rank(body, ActionReader())
        assert refused.value.target == place
        assert isinstance(refused.value.__cause__, ValidationError)
        assert refused.value.__cause__.error_count() == 1
    line = {"eventId": "e", "actions": [action("a")], "rewardActionId": "a", "ranking": many}
    with pytest.raises(InvalidRankRequestError, match=r"^line 1: ranking\[0\]: ") as told:
        read_interactions(json.dumps(line).encode(), ActionReader())
    assert isinstance(cause := told.value.__cause__, InvalidRankRequestError)
    assert isinstance(cause.__cause__, ValidationError)
    assert cause.__cause__.error_count() == 1


def test_phps_empty_map_is_an_object_wherever_nothing_has_to_be_in_it():
    assert read_loop(b"[]") == LoopRequest()
    assert read_loop(b'{"configuration": []}').to_changes() == {}
    with pytest.raises(InvalidRequestError, match=r"^configuration: Input should be a JSON object"):
        read_loop(b'{"configuration": [1]}')


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:10:00", 600),
        ("1.02:03:04", 93_784),
        ("00:00:03.5000000", 3.5),
        ("23:59:59", 86_399),
        ("30.00:00:00", 2_592_000),
        ("1:02:03:04", 93_784),
    ],
)
def test_durations_are_read_as_net_writes_them(text, seconds):
    assert read_duration(text).total_seconds() == seconds
    assert configured(rewardWaitTime=text)["reward_wait"].total_seconds() == seconds


@pytest.mark.parametrize(
    "text",
    ["24:00:00", "00:60:00", "00:00:60", "--00:10:00", "10", "10:00", "a.00:00:00", "00:10:00.12345678", "١:00:00", "P", "PT", "P1D2"],
)
def test_what_no_clock_shows_is_no_duration(text):
    with pytest.raises(InvalidConfigurationError, match=r"^rewardWaitTime: Input should be an ISO 8601 duration"):
        configured(rewardWaitTime=text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (" PT10M\n", timedelta(minutes=10)),
        ("-00:10:00", -timedelta(minutes=10)),
        ("-1.00:00:00", -timedelta(days=1)),
        ("-PT10M", -timedelta(minutes=10)),
        ("P99999999999D", timedelta.max),
        ("PT99999999999999S", timedelta.max),
        ("-P99999999999D", timedelta.min),
    ],
)
def test_a_duration_that_cannot_be_is_read_to_be_refused_for_its_length(text, same):
    assert configured(rewardWaitTime=text)["reward_wait"] == same


def test_a_line_of_a_batch_is_read_as_leniently():
    line = {
        "eventId": 1,
        "actions": [action(10), action(11)],
        "ranking": [{"id": 10, "probability": "0.25"}, {"id": 11, "probability": 0.75}],
    }
    read = read_interactions(json.dumps({**line, "rewardActionId": 10}).encode(), ActionReader())[0]
    assert (read.event_id, read.probabilities, read.chosen) == ("1", (0.25, 0.75), 0)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["", "1", "true", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "Id", "features", "", "value"]), inner, max_size=3),
    max_leaves=8,
)


@given(anything, anything, anything)
def test_whatever_is_sent_is_read_or_refused(one, two, three):
    body = json.dumps({"actions": [{"id": one, "features": [two]}, three], "contextFeatures": two, "eventId": three}).encode()
    with contextlib.suppress(InvalidRankRequestError):
        read_rank(body, ActionReader())
    with contextlib.suppress(InvalidRewardRequestError):
        rewarded({"value": one, "Value": two})
