"""Binary joined logs say the same as lines of dsjson do; whatever their bytes are, reading ends with lines or with a sentence."""

import gzip
import random
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import KindNotReadError, UnreadableError
from shared.domain.events import JoinedEvent, LearningMode, Proposal, SkipReason
from shared.joining.binary import dictionary as dictionaries
from shared.joining.binary import messages, packed
from shared.joining.dsjson import read_situation
from shared.joining.foreign.reader import DsjsonReader
from shared.joining.splitting import Line, LineSplitter
from tests.joining import binary_logs as binary
from tests.joining.binary_logs import ICE, PASTA, T0, activation, cb, ccb, checkpoint, events, log, message, reward

LATER = T0 + timedelta(seconds=5)
PLACES = {"_multi": [{"__aid": 18_446_744_073_709_551_615}, {"__aid": 7}]}


def lines(data: bytes, size: int = 1 << 20) -> tuple[list[Line], str]:
    """Give what the file holds, cut into blocks of this size, and what is said of the whole."""
    splitter, found = LineSplitter(), list[Line]()
    try:
        for at in range(0, len(data), size):
            found += splitter.feed(data[at : at + size])
        found += splitter.end()
    except UnreadableError as error:
        return found, str(error)
    return found, ""


def read(data: bytes) -> list[JoinedEvent]:
    """Give the events of a file that has nothing to complain of."""
    found, said = lines(data)
    assert said == ""
    reader = DsjsonReader(undated=datetime.now(UTC))
    return [event for number, line in enumerate(found) for event in reader.read(_text(line), number).events]


def refusals(data: bytes) -> list[str]:
    """Give what is said of single events."""
    reader, told = DsjsonReader(undated=datetime.now(UTC)), []
    for number, line in enumerate(lines(data)[0]):
        try:
            reader.read(_text(line), number)
        except UnreadableError as error:
            told.append(str(error))
    return told


def _text(line: Line) -> bytes:
    if isinstance(line, UnreadableError):
        raise line
    return line


def test_a_decision_and_its_reward_are_one_event():
    (event,) = read(log(events(cb(), reward(0.3, arrived=LATER))))
    assert (event.reward, event.decision.event_id, event.decision.decided_at) == (0.3, "e", T0)
    assert (event.decision.chosen, event.decision.probabilities, event.decision.model_version) == (1, (0.2, 0.8), "model-1")
    assert [(each.observed_at, each.reward) for each in event.observations] == [(LATER, 0.3)]
    same = {"_label_cost": -0.3, "EventId": "e", "Timestamp": "2023-05-17T08:30:00Z", "a": [2, 1], "p": [0.8, 0.2], "c": binary.CONTEXT}
    (line,) = DsjsonReader(undated=T0).read(orjson.dumps(same), 1).events
    assert event.decision.situation == line.decision.situation


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (binary.EARLIEST, 2.0),
        (binary.AVERAGE, -0.5),
        (binary.MEDIAN, 0.0),
        (binary.SUM, -2.0),
        (binary.MIN, -4.0),
        (binary.MAX, 2.0),
    ],
)
def test_rewards_become_one_by_the_function_that_the_file_tells(how, expected):
    told = [
        reward(-4.0, arrived=LATER),
        reward(2.0),
        reward(-1.0, arrived=LATER),
        activation(),
        reward(1.0, arrived=LATER + timedelta(seconds=1)),
    ]
    (event,) = read(log(events(cb(), *told), how=checkpoint(aggregation=how)))
    assert event.reward == expected


def test_the_largest_of_negative_rewards_is_negative():
    assert read(log(events(cb(), reward(-2.0), reward(-1.0)), how=checkpoint(aggregation=binary.MAX)))[0].reward == -1.0


def test_an_event_without_a_reward_has_the_default_of_the_last_checkpoint():
    first, second = checkpoint(default_reward=-0.1), checkpoint(default_reward=0.7)
    assert [event.reward for event in read(log(events(cb("a")), events(cb("b"), activation("b")), second, events(cb("c")), how=first))] == [
        -0.1,
        -0.1,
        0.7,
    ]


def test_one_message_may_hold_several_decisions_and_rewards_in_any_order():
    found = read(log(events(reward(2.0, "b"), cb("a"), cb("b"), reward(1.0, "a"), cb("a"))))
    assert [(event.decision.event_id, event.reward) for event in found] == [("b", 2.0), ("a", 1.0)]


def test_times_are_the_clients_if_the_file_says_so_and_they_are_told():
    sent = T0 - timedelta(days=1)
    told = events(cb(sent=sent), reward(1.0), reward(2.0, sent=sent))
    assert [(event.decision.decided_at, event.reward) for event in read(log(told, how=checkpoint(is_by_client_time=True)))] == [(sent, 2.0)]
    assert [(event.decision.decided_at, event.reward) for event in read(log(told))] == [(T0, 1.0)]


def test_a_deferred_decision_is_learned_from_only_if_it_was_activated():
    waiting, shown = cb("waiting", is_deferred=True), cb("shown", is_deferred=True)
    found = read(log(events(waiting, reward(1.0, "waiting")), events(shown, reward(1.0, "shown"), activation("shown", arrived=LATER))))
    assert [event.skip for event in found] == [SkipReason.NOT_ACTIVATED, None]
    assert [event.decision.deferred for event in found] == [True, True]
    assert [each.is_activation for each in found[1].observations] == [False, True]


def test_the_chance_that_an_event_was_kept_is_told():
    found, _ = lines(log(events(cb("a", passed=0.25)), events(cb("b")), events(cb("c", passed=0.1))))
    assert [orjson.loads(_text(line))["pdrop"] for line in found] == [0.75, 0.0, 0.9]


def test_each_slot_has_the_rewards_that_name_it_by_place_or_by_id_and_every_activation():
    told = [reward(1.0, of=0), reward(2.0, of="side"), reward(4.0, of="top", arrived=LATER), activation()]
    top, side = read(log(events(ccb(is_deferred=True), *told), how=checkpoint(aggregation=binary.SUM)))
    assert [(event.decision.slot, event.reward, event.decision.chosen) for event in (top, side)] == [("top", 5.0, 1), ("side", 2.0, 0)]
    assert (top.decision.probabilities, side.decision.probabilities) == ((0.25, 0.75), (1.0, 0.0))
    assert [sum(each.is_activation for each in event.observations) for event in (top, side)] == [1, 1]
    assert (top.skip, side.skip) == (None, None)
    assert b'"size":"large"' in top.decision.situation


def test_a_slot_that_nothing_was_chosen_for_is_no_event_and_the_others_are():
    (side,) = read(log(events(ccb(slots=(binary.slot((), (), "top"), binary.BOTH[1])), reward(2.0, of="side"))))
    assert (side.decision.slot, side.reward) == ("side", 2.0)


@pytest.mark.parametrize(
    ("baselines", "expected"),
    [((), ["", ""]), ((1, 0), ["ice", "pasta"]), ((1,), ["ice", ""]), ((1, 0, 0), ["ice", "pasta"]), ((-1, 0), ["", ""])],
)
def test_the_slots_own_actions_are_told_if_the_file_tells_them(baselines, expected):
    situations = [read_situation(event.decision.situation) for event in read(log(events(ccb(baselines=baselines))))]
    assert [situation.baseline_id for situation in situations] == expected


def test_rewards_of_no_slot_are_counted_as_not_read():
    data = log(events(ccb(), reward(1.0), reward(2.0, of="elsewhere"), reward(3.0, of=2), reward(4.0, of=-1), reward(5.0, of=1)))
    found, _ = lines(data)
    assert [type(line) for line in found] == [KindNotReadError] * 4 + [bytes]
    assert [outcome["_label_cost"] for outcome in orjson.loads(_text(found[-1]))["_outcomes"]] == [0.0, -5.0]


def test_decisions_that_were_only_logged_are_kept_and_not_learned():
    one, top, side = read(
        log(events(cb("a", mode=binary.LOGGING_ONLY, actions=(1, 2)), reward(1.0, "a")), events(ccb("b", mode=binary.LOGGING_ONLY)))
    )
    assert {event.skip for event in (one, top, side)} == {SkipReason.LOGGING_ONLY}
    assert {event.decision.mode for event in (one, top, side)} == {LearningMode.LOGGING_ONLY}
    assert [(event.decision.chosen, event.reward) for event in (one, top, side)] == [(0, 1.0), (0, 0.0), (1, 0.0)]


def test_in_apprentice_mode_the_baseline_was_shown_and_earned_what_was_observed():
    same, other = cb("same", mode=binary.APPRENTICE, actions=(1, 2)), cb("other", mode=binary.APPRENTICE)
    found = read(log(events(same, reward(5.0, "same")), events(other, reward(2.0, "other")), events(cb("online"), reward(3.0, "online"))))
    assert [event.reward for event in found] == [5.0, 2.0, 3.0]
    assert [event.decision.mode for event in found] == [LearningMode.APPRENTICE, LearningMode.APPRENTICE, LearningMode.ONLINE]
    assert [event.decision.chosen for event in found] == [0, 0, 1]
    assert [event.decision.probabilities for event in found[:2]] == [(1.0, 0.0)] * 2
    assert [event.decision.proposal for event in found] == [Proposal(0, 0.8, False), Proposal(1, 0.8, False), None]


def test_in_apprentice_mode_each_slot_showed_its_baseline():
    decided = ccb(
        mode=binary.APPRENTICE, baselines=(0, 1), slots=(binary.slot((1, 0), (0.75, 0.25), "top"), binary.slot((1,), (1.0,), "side"))
    )
    top, side = read(log(events(decided, reward(4.0, of="top"), reward(0.5, of=1))))
    assert [(event.reward, event.decision.chosen, event.decision.mode) for event in (top, side)] == [
        (4.0, 0, LearningMode.APPRENTICE),
        (0.5, 1, LearningMode.APPRENTICE),
    ]
    assert [event.decision.proposal for event in (top, side)] == [Proposal(1, 0.75, False), Proposal(1, 1.0, False)]


def test_a_reward_that_was_sent_as_text_counts_if_it_is_a_number():
    assert read(log(events(cb(), reward("clicked"), reward("1.5", arrived=LATER))))[0].reward == 1.5


def test_actions_that_are_told_by_number_are_those_of_the_dictionary_before():
    numbered = events(binary.dictionary({18_446_744_073_709_551_615: PASTA, 7: ICE}, packs=True), cb(context=PLACES, packs=True))
    after = events(cb("later", context=b'{"FromUrl":[{"sky":"blue"}],"_multi":[{ "__aid" : 7 },{"__aid":18446744073709551615}]}'))
    plain, other = read(log(numbered, after))
    assert plain.decision.situation == read(log(events(cb(context={"_multi": [PASTA, ICE]}))))[0].decision.situation
    assert other.decision.situation == read(log(events(cb(context={**binary.CONTEXT, "_multi": [ICE, PASTA]}))))[0].decision.situation


def test_a_dictionary_keeps_what_was_sent_last_and_tells_what_is_missing(monkeypatch):
    monkeypatch.setattr(dictionaries, "MOST_KEPT", 150)
    sent = [events(binary.dictionary({number: {"i": {"id": f"{number:060}"}}})) for number in range(3)]
    asked = [events(cb(f"of {number}", context={"_multi": [{"__aid": number}, {}]})) for number in range(4)]
    found, _ = lines(log(*sent, *asked))
    assert [isinstance(line, UnreadableError) for line in found] == [True, False, False, True]
    assert "dictionary, which is not before it" in str(found[0])


def test_a_context_that_grows_beyond_a_line_is_refused(monkeypatch):
    monkeypatch.setattr(dictionaries, "MAX_LINE", 1_000)
    sent = binary.dictionary({1: {"text": "x" * 300}})
    assert refusals(log(events(sent, cb(context={"_multi": [{"__aid": 1}] * 4})))) == ["the event's actions have more than 0 MiB"]


@pytest.mark.parametrize("kind", [binary.Kind.SLATES, binary.Kind.CA, binary.Kind.MULTI_STEP, binary.Kind.EPISODE])
def test_what_this_service_has_no_word_for_is_told_by_its_name_and_stops_nothing(kind):
    other = [events(binary.event(f"x{number}", kind, binary.Table({})), reward(1.0, f"x{number}")) for number in range(3)]
    found, _ = lines(log(*other, events(cb())))
    assert [type(line) for line in found] == [KindNotReadError] * 3 + [bytes]
    assert str(found[0]).startswith("events of ")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (events(reward(1.0)), "a reward without its decision"),
        (events(cb(), reward(float("nan"))), "a reward is NaN or infinite"),
        (events(cb(chances=(float("inf"), 0.2))), "a probability is NaN or infinite"),
        (events(cb(actions=range(1, 1_002))), "there are more than 1000 actions"),
        (events(ccb(slots=binary.BOTH * 501)), "there are more than 1000 slots"),
        (events(cb(mode=9)), "a learning mode has the number 9, which is not known"),
        (events(binary.event("e", 99, b"")), "a kind of events has the number 99, which is not known"),
        (
            events(binary.event("e", binary.Kind.CB, b"no table")),
            "the event e is damaged: it is not a FlatBuffers message, or it was cut off",
        ),
        (
            events(cb(), binary.event("e", binary.Kind.OUTCOME, b"")),
            "an observation of the event e is damaged: it is not a FlatBuffers message, or it was cut off",
        ),
        (
            events(cb(actions=(1,), chances=())),
            "the probability of the chosen action is missing (p, _label_probability, _p):"
            " import such a log with --probability uniform, --probability VALUE or --mode LoggingOnly",
        ),
        (message(binary.EVENTS, b"nothing of this"), "a message is damaged: it is not a FlatBuffers message, or it was cut off"),
        (message(0x1AAAAAAA, b"unknown!"), "a message of the kind 0x1aaaaaaa, which is not known"),
    ],
)
def test_what_is_wrong_with_one_event_is_told_and_stops_nothing(wrong, said):
    data = log(wrong, events(cb("after")))
    assert lines(data)[1] == ""
    assert refusals(data) == [said]
    assert b'"after"' in _text(lines(data)[0][-1])


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
def test_however_it_is_cut_and_packed_the_lines_are_the_same(pack, size):
    data = log(events(cb("a"), reward(1.0, "a")), events(ccb("b")))
    assert lines(pack(data), size) == lines(data)
    assert len(lines(data)[0]) == 2


def test_a_part_of_a_file_that_begins_with_a_message_is_read():
    for start in (events(cb("first")), checkpoint(), message(binary.HEADER, b"")):
        assert [event.decision.event_id for event in read(start + events(cb("e")))][-1] == "e"


def test_files_one_after_another_are_read_like_one():
    assert [event.decision.event_id for event in read(log(events(cb("a"))) + log(events(cb("b"))))] == ["a", "b"]


@pytest.mark.parametrize("padding", [lambda length: length % 8, lambda length: -length % 8])
def test_messages_may_be_padded_by_what_is_left_over_or_to_the_next_eight_bytes(padding):
    odd = b"".join(message(binary.HEADER, bytes(length))[: 8 + length] + bytes(padding(length)) for length in range(9))
    assert [event.decision.event_id for event in read(binary.MAGIC + odd + events(cb()))] == ["e"]


def test_a_file_that_was_cut_off_gives_what_is_whole_and_says_so():
    data = log(events(cb("a")), events(cb("b"), reward(1.0, "b")))
    end = len(data) - len(message(binary.END, b""))
    for cut in range(end - 100, end):
        found, said = lines(data[:cut])
        assert (len(found), said) == (1, "the file is cut off within a message; the messages before it are read")
    assert lines(data[:end])[1] == lines(data[: end + 4])[1] == ""


def test_another_version_and_a_message_that_is_too_long_are_refused(monkeypatch):
    assert lines(b"VWFB\2\0\0\0")[1] == "this is a binary log of version 2; only version 1 is read"
    monkeypatch.setattr(messages, "MOST", 1 << 20)
    found, said = lines(log(events(cb()), message(binary.EVENTS, b"")[:4] + b"\1\0\x10\0" + bytes(100)))
    assert (len(found), said) == (1, "a message says that it has 1048577 bytes: at most 1 MiB are read")


def test_what_a_client_library_wrote_before_it_was_joined_is_named():
    assert "not joined with each other" in lines(b"\0\0\0\x0d\0\0\1\x64" + bytes(400))[1]


def test_what_is_unpacked_is_bounded_and_checked(monkeypatch):
    monkeypatch.setattr(packed, "MOST_UNPACKED", 1 << 20)
    large = events(binary.event("e", binary.Kind.CB, bytes(2 << 20), packs=True))
    whole = binary.event("e", binary.Kind.CB, bytes(1000), packs=True)
    assert refusals(log(large)) == ["a compressed event has more than 1 MiB"]
    broken = binary.Table({0: whole.fields[0].replace(b"\x28\xb5\x2f\xfd", b"nope")})
    assert "a compressed event is damaged" in refusals(log(events(broken)))[0]
    odd = binary.Table({0: binary.Table({0: "e", 3: binary.Byte(0), 4: binary.Real(1.0), 5: binary.Byte(9)}), 1: b""})
    assert "compressed in a way that is not known" in refusals(log(events(binary.Table({0: odd.written()}))))[0]


def test_parts_that_overlap_do_not_make_a_small_file_large():
    again = binary.Repeated
    texts = binary.Table({0: np.arange(3_000, dtype="<u8"), 1: again("x" * 1_000, 3_000)})
    assert refusals(message(binary.EVENTS, binary.Table({0: again(cb(), 3)}).written())) == ["a message is damaged: its events overlap"]
    assert refusals(log(events(binary.event("d", binary.Kind.DEDUP, texts)))) == ["a dictionary of actions is damaged: its texts overlap"]
    slots = again(binary.slot((0,), (1.0,), "x" * 1_000), 900)
    assert refusals(log(events(ccb(slots=slots)))) == ["an event is damaged: the ids of its slots overlap"]


@pytest.mark.parametrize("package", ["flatbuffers", "zstandard"])
def test_a_package_that_is_not_there_is_named_in_one_sentence(monkeypatch, package):
    for name in [name for name in sys.modules if name.startswith(("shared.joining.binary", package))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert lines(log(events(cb("a", packs=True)), events(cb("b", packs=True)))) == (
        [],
        f"this is a binary log: to read it, install the package {package} (requirements/cli.txt)",
    )


SAMPLE = log(
    events(binary.dictionary({1: PASTA, 2: ICE}, packs=True), cb("a", context={"_multi": [{"__aid": 1}, {"__aid": 2}]}), reward(1.0, "a")),
    events(
        ccb("b", packs=True, baselines=(0, 1), mode=binary.APPRENTICE), reward(1.0, "b", of=1), reward("2", "b", of="top"), activation("b")
    ),
)


@given(st.randoms(use_true_random=False), st.integers(1, 30))
def test_whatever_the_bytes_are_reading_ends_with_lines_or_a_sentence(chance: random.Random, count: int):
    data = bytearray(SAMPLE)
    for _ in range(count):
        data[chance.randrange(16, len(data))] = chance.choice((0, 1, 4, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    found, _ = lines(bytes(data[: chance.choice((len(data), chance.randrange(len(data))))]))
    reader = DsjsonReader(undated=T0)
    for number, line in enumerate(found):
        if isinstance(line, bytes):
            assert len(line) < 100 * len(SAMPLE)
            with suppress(UnreadableError):
                reader.read(line, number)
