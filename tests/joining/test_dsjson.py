"""The cold log's lines, and that Vowpal Wabbit's own tools read them."""

import gzip
from dataclasses import replace

import orjson
import pytest
import vowpalwabbit
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import UnreadableError
from shared.domain.events import Action, JoinedEvent, Proposal, Situation, SkipReason
from shared.domain.slots import Filling, MultiSlotSituation, Slot
from shared.joining.chunks import compressed
from shared.joining.dsjson import line, lines, read_action, read_parts, read_situation, situation_text
from shared.joining.reading import read_line
from tests.builders import T0, after, apprentice, decision, observation, situation

EVENT = JoinedEvent(
    decision("e1", probabilities=(0.2, 0.5, 0.3), chosen=2, version="00000007-abc"), 0.25, (observation(reward=0.25, at=after(2)),)
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ODD_SLOTS = [b'{"FromUrl": [], "_slot": %b, "_multi": []}' % slot for slot in (b"null", b"1", b'"x"', b"[]", b"{}", b'{"id": "x"}')]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3) | st.lists(st.integers(0, 9), max_size=3),
    max_leaves=8,
)
features = st.lists(st.dictionaries(st.text("xyz", min_size=1, max_size=3), values, max_size=3), max_size=3).map(tuple)
situations = st.builds(
    Situation,
    context=features,
    actions=st.lists(st.builds(Action, id=st.text("ab", min_size=1, max_size=4), features=features), min_size=1, max_size=4).map(tuple),
)
slot_situations = st.builds(lambda asked, slot, own: replace(asked, slot=slot, baseline_id=own), situations, st.text(min_size=1), texts)


def test_a_line_tells_what_was_decided_and_what_came_of_it():
    told = orjson.loads(line(EVENT))
    assert (told["_label_cost"], told["_label_probability"], told["_label_Action"], told["_labelIndex"]) == (-0.25, 0.3, 3, 2)
    assert (told["a"], told["p"]) == ([3, 2, 1], [0.3, 0.5, 0.2])
    assert (told["EventId"], told["Timestamp"], told["VWState"]) == ("e1", "2026-05-17T12:00:00Z", {"m": "00000007-abc"})
    assert told["o"] == [{"EventId": "e1", "ts": "2026-05-17T12:00:02Z", "v": 0.25}]
    assert told["c"] == orjson.loads(EVENT.decision.situation)
    assert "_skipLearn" not in told


def test_what_was_not_learned_says_why():
    told = orjson.loads(line(replace(EVENT, skip=SkipReason.NOT_ACTIVATED)))
    assert (told["_skipLearn"], told["SkipReason"]) == (True, "notActivated")


def test_a_line_of_a_slot_names_it_and_others_do_not():
    told = orjson.loads(line(replace(EVENT, decision=decision("e1", slot="top"))))
    assert (told["EventId"], told["Slot"], told["c"]["_slot"]) == ("e1", "top", {"id": "top", "baseline": "a"})
    assert b"lot" not in line(EVENT)


@pytest.mark.parametrize("is_lesson", [True, False])
def test_a_line_of_apprentice_mode_tells_what_was_proposed_and_others_do_not(is_lesson):
    event = replace(EVENT, decision=apprentice(proposed=1, chance=0.3, is_lesson=is_lesson))
    told = orjson.loads(line(event))
    assert (told["_labelIndex"], told["_label_probability"], told["_label_cost"]) == (0, 1.0, -0.25)
    assert told["Proposed"] == {"a": 2, "p": 0.3, "lesson": is_lesson}
    assert read_line(line(event)) == replace(event, decision=replace(event.decision, encoded=b""))
    assert b"Proposed" not in line(EVENT)


@pytest.mark.parametrize("proposed", [b'{"a":3,"p":0.3,"lesson":true}', b'{"a":0,"p":0.3,"lesson":true}', b'{"p":0.3}', b"1", b"[]"])
def test_a_proposal_that_makes_no_sense_is_unreadable(proposed):
    good = line(replace(EVENT, decision=apprentice(proposed=1, chance=0.3)))
    with pytest.raises(UnreadableError):
        read_line(good.replace(b'{"a":2,"p":0.3,"lesson":true}', proposed))


def read_or_refused(read):
    try:
        return read()
    except UnreadableError:
        return None


@given(situations | slot_situations)
def test_a_situation_comes_back_from_its_text(asked):
    assert read_situation(situation_text(asked)) == asked


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"FromUrl": 1, "_multi": []}', b'{"FromUrl": [], "_multi": [{}]}', *ODD_SLOTS])
def test_a_damaged_situation_is_unreadable(text):
    with pytest.raises(UnreadableError):
        read_situation(text)
    with pytest.raises(UnreadableError):
        [read_action(action) for action in read_parts(text).actions]


@given(situations | slot_situations)
def test_parts_of_a_situation_are_those_of_the_whole(asked):
    parts = read_parts(situation_text(asked))
    assert (parts.context, parts.slot, parts.baseline_id) == (asked.context, asked.slot, asked.baseline_id)
    assert tuple(read_action(action) for action in parts.actions) == asked.actions


@pytest.mark.parametrize(
    "text",
    [
        b'{"FromUrl":[{"x":1,"x":2}],"_multi":[{"i":{"id":"a"},"j":[{"y":1e400}]}]}',
        b' { "_multi" : [ {"j":[{}], "i":{"id":7}} , {"i":{"id":"b"},"j":[]} ] , "more":[1,{}] , "FromUrl" : [ {} , {"u":null} ] } ',
        b'{"FromUrl":[{"n":123456789012345678901234567890}],"_multi":[{"i":{"id":"\\u00e4"},"j":[{"\\ud83d\\ude00":true}]}]}',
        b'{"FromUrl":[],"_multi":[]}',
        b'{"FromUrl":[],"_multi":[{"i":{"id":"a"},"j":[1]}]}',
        b'{"FromUrl":[],"_multi":[7,null]}',
        b'{"FromUrl":[[["k",1]]],"_multi":[{"i":[],"j":[]}]}',
    ],
)
def test_a_text_of_another_program_is_read_alike_in_parts_and_as_a_whole(text):
    def in_parts():
        parts = read_parts(text)
        return Situation(parts.context, tuple(read_action(each) for each in parts.actions), slot=parts.slot, baseline_id=parts.baseline_id)

    assert read_or_refused(in_parts) == read_or_refused(lambda: read_situation(text))


def test_a_chunk_is_gzip_and_the_same_lines_give_the_same_bytes():
    text = lines([EVENT, EVENT])
    assert gzip.decompress(compressed(text)) == text == line(EVENT) * 2
    assert compressed(text) == compressed(text)


def test_vowpal_wabbit_reads_the_log_and_learns_from_it():
    """The same action is rewarded every time: after reading the log, VW prefers it."""
    asked = situation("a", "b", "c")
    workspace = vowpalwabbit.Workspace("--cb_explore_adf --epsilon 0.1 --dsjson --quiet -q ::")
    for number in range(60):
        chosen = number % 3
        event = JoinedEvent(decision(f"e{number}", probabilities=(0.25, 0.5, 0.25), chosen=chosen, at=T0, asked=asked), float(chosen == 1))
        workspace.learn(workspace.parse(line(event).decode()))
    unseen = JoinedEvent(decision(asked=asked, probabilities=(0.3, 0.3, 0.4)), 0.0)
    probabilities = workspace.predict(workspace.parse(line(unseen).decode()))
    workspace.finish()
    assert probabilities == pytest.approx([0.1 / 3, 1 - 0.2 / 3, 0.1 / 3])


def test_to_vowpal_wabbit_a_proposal_is_nothing():
    """Lines that differ only in what was proposed teach it the same."""
    learned = []
    for proposed in (None, Proposal(1, 0.1, is_lesson=True)):
        workspace = vowpalwabbit.Workspace("--cb_explore_adf --epsilon 0.1 --dsjson --quiet -q ::")
        for number in range(20):
            shown = replace(decision(probabilities=(0.25, 0.75), chosen=number % 2), proposal=proposed)
            workspace.learn(workspace.parse(line(JoinedEvent(shown, float(number % 2))).decode()))
        learned.append(workspace.predict(workspace.parse(line(JoinedEvent(decision(), 0.0)).decode())))
        workspace.finish()
    assert learned[0] == learned[1] == pytest.approx([0.05, 0.95])


def test_vowpal_wabbit_tells_slots_apart():
    """One action is rewarded in one slot and the other in the other."""
    actions = situation("a", "b").actions
    asked = MultiSlotSituation((), actions, (Slot("top", "a", features=({"size": {"is": "large"}},)), Slot("side", "b")))
    workspace = vowpalwabbit.Workspace("--cb_explore_adf --epsilon 0.1 --dsjson --quiet -q ::")
    filling = Filling(asked)
    lines_of_slots = {}
    for slot, liked in zip(asked.slots, (0, 1), strict=True):
        chosen = [decision("e", probabilities=(0.5, 0.5), chosen=n, asked=filling.situation(slot), slot=slot.id) for n in (0, 1)]
        lines_of_slots[slot.id] = [line(JoinedEvent(each, float(each.chosen == liked))).decode() for each in chosen]
    for _ in range(40):
        for each in [*lines_of_slots["top"], *lines_of_slots["side"]]:
            workspace.learn(workspace.parse(each))
    probabilities = {slot: workspace.predict(workspace.parse(each[0])) for slot, each in lines_of_slots.items()}
    workspace.finish()
    assert probabilities["top"] == pytest.approx([0.95, 0.05])
    assert probabilities["side"] == pytest.approx([0.05, 0.95])
