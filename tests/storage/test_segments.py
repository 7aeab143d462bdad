import json
import random
import struct
import zlib
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from shared.domain.clock import from_micros
from shared.domain.errors import EventTooLargeError, UnreadableError
from shared.domain.events import Decision, Holdout, LearningMode, Observation, Proposal
from shared.domain.identity import fingerprint, id_mark
from shared.storage.names import FORMAT
from shared.storage.segments import (
    MAX_BYTES,
    MAX_EVENTS,
    TooLargeError,
    check_size,
    decode_decisions,
    decode_observations,
    encode,
)
from shared.storage.sightings import Sightings
from tests.builders import after, apprentice, decision, observation

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
times = st.integers(0, 4_000_000_000_000_000).map(from_micros)
chosen = st.shared(st.integers(0, 49), key="chosen")
decisions = st.builds(
    Decision,
    event_id=texts,
    decided_at=times,
    model_version=st.sampled_from(["", "00000001-abc", "00000002-def"]),
    mode=st.sampled_from(LearningMode),
    probabilities=chosen.flatmap(lambda least: st.lists(st.floats(0, 1), min_size=least + 1, max_size=50).map(tuple)),
    chosen=chosen,
    deferred=st.booleans(),
    situation=st.binary(max_size=300),
    encoded=st.binary(max_size=300),
    slot=st.just("") | texts,
    proposal=st.none() | st.builds(Proposal, st.integers(0, 49), st.floats(0, 1), st.booleans()),
    holdout=st.none() | st.builds(Holdout, st.floats(0.001, 0.9), st.floats(0, 1), st.booleans()),
)
observations = st.builds(
    Observation,
    event_id=texts,
    observed_at=times,
    reward=st.none() | st.floats(-1, 1),
    slot=st.just("") | texts,
    mark=st.just(0) | st.integers(0, 2**64 - 1),
)


def incompressible(size: int) -> bytes:
    return random.Random(1).randbytes(size)


@given(st.lists(decisions, min_size=1, max_size=20))
def test_decisions_come_back_to_the_last_bit(events):
    assert decode_decisions(encode(events)) == events


@given(st.lists(observations, min_size=1, max_size=20))
def test_observations_come_back_to_the_last_bit(events):
    assert decode_observations(encode(events)) == events


@given(st.lists(st.sampled_from(["e1", "e2"]).flatmap(lambda e: st.tuples(st.just(e), st.text("ab]}", max_size=9))), min_size=1))
def test_slots_come_back_to_the_last_bit_however_much_their_situations_have_in_common(pairs):
    events = [replace(decision(event_id, slot="s"), situation=text.encode()) for event_id, text in pairs]
    assert decode_decisions(encode(events)) == events


def test_the_actions_of_a_multi_slot_event_are_stored_once():
    actions = incompressible(60_000)
    slots = [replace(decision(slot=f"s{n}"), situation=b'{"FromUrl":[%d],"_multi":[' % n + actions) for n in range(10)]
    assert len(encode(slots)["Payload00"]) < 61_000
    assert decode_decisions(encode(slots)) == slots


def test_rows_without_slots_do_not_speak_of_them():
    for events in ([decision(), decision("e2")], [observation(), observation("e2")]):
        assert b'"slot"' not in isal_zlib.decompress(encode(events)["Payload00"][4:])


def test_rows_without_ids_do_not_speak_of_them_and_those_of_earlier_releases_are_read():
    assert b"mark" not in isal_zlib.decompress(encode([observation()])["Payload00"][4:])
    assert [each.mark for each in decode_observations(encode([observation(), observation(id="r")]))] == [0, id_mark("r")]


def test_rows_without_proposals_do_not_speak_of_them():
    assert b"proposal" not in isal_zlib.decompress(encode([decision(), decision("e2")])["Payload00"][4:])
    assert b"proposal" in isal_zlib.decompress(encode([decision(), apprentice("e2")])["Payload00"][4:])


def test_a_row_has_as_few_properties_as_can_be():
    assert encode([decision(), decision("e2")]).keys() == {"Payload00", "Sightings"}
    assert encode([observation()]).keys() == {"Payload00"}


def sighted(events: list[Decision]) -> Sightings:
    return Sightings.unpack(encode(events), version=FORMAT, count=len(events), latest=2**63)


def test_a_row_tells_whose_decisions_it_holds():
    told = sighted([decision("x", at=after(1)), decision("y", at=after(2))])
    assert [list(told.fingerprints), list(told.events)] == [[fingerprint("x"), fingerprint("y")], []]
    assert told.micros[1] - told.micros[0] == 1_000_000
    told = sighted([decision("x", slot="s1"), decision("x", slot="s2"), decision("x")])
    assert list(told.fingerprints) == [fingerprint(("x", "s1")), fingerprint(("x", "s2")), fingerprint("x")]
    assert len(set(told.fingerprints)) == 3
    assert list(told.events) == [fingerprint("x")]


def test_no_property_is_larger_than_azure_allows():
    row = encode([replace(decision(f"e{n}"), situation=incompressible(50_000)) for n in range(12)])
    binary = [value for value in row.values() if isinstance(value, bytes)]
    assert max(map(len, binary)) <= 64 * 1024
    assert sum(map(len, binary)) * 4 / 3 < 1024 * 1024 - 10_000
    assert len(decode_decisions(row)) == 12


def test_too_many_events_for_one_row_are_refused():
    with pytest.raises(TooLargeError):
        encode([replace(decision(f"e{n}"), situation=incompressible(100_000)) for n in range(10)])
    with pytest.raises(TooLargeError):
        encode([observation()] * (MAX_EVENTS + 1))


def test_an_event_too_large_for_a_row_of_its_own_is_refused_before_it_is_logged():
    check_size([replace(decision(), situation=b" " * 2_000_000)])  # compresses well
    with pytest.raises(EventTooLargeError):
        check_size([replace(decision(), situation=incompressible(1_000_000))])


def test_so_is_what_has_to_be_stored_together_and_would_not_fit():
    slots = [replace(decision(slot=f"s{n}"), situation=b" " * (MAX_BYTES // 10)) for n in range(10)]
    check_size(slots[:9])
    with pytest.raises(EventTooLargeError):
        check_size(slots)


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "empty", "checksum"])
def test_a_damaged_segment_is_unreadable(damage):
    row = encode([decision(f"e{n}") for n in range(10)])
    payload = row["Payload00"]
    row |= {
        "flip": {"Payload00": payload[:50] + bytes([payload[50] ^ 1]) + payload[51:]},
        "cut": {"Payload00": payload[:-20]},
        "gone": {"Payload00": None},
        "empty": {"Payload00": b""},
        "checksum": {"Payload00": bytes(4) + payload[4:]},
    }[damage]
    with pytest.raises(UnreadableError):
        decode_decisions(row)


def sealed(raw: bytes) -> dict[str, bytes]:
    """Make a row of what is in it, whatever that is."""
    compressed = isal_zlib.compress(raw, 3)
    return {"Payload00": struct.pack("<I", zlib.crc32(compressed)) + compressed}


@pytest.mark.parametrize("marks", [[-1], [2**64], [0.5], ["r"], [None], [True], [], [1, 2]])
def test_marks_that_are_none_are_damage(marks):
    text = json.dumps({"id": ["e1"], "at": [0], "reward": [1.0], "mark": marks}).encode()
    with pytest.raises(UnreadableError):
        decode_observations(sealed(struct.pack("<I", len(text)) + text))


def test_a_segment_that_inflates_without_end_is_refused():
    with pytest.raises(UnreadableError):
        decode_decisions(sealed(bytes(100 * 1024 * 1024)))


@pytest.mark.parametrize(
    "shared", [[0] * 99, [1_000_000] * 100, [-1] * 100, [0] + [900_000] * 99], ids=["few", "long", "negative", "endless"]
)
def test_slots_whose_situations_cannot_be_put_together_are_refused(shared):
    raw = isal_zlib.decompress(encode([replace(decision(slot="s"), situation=b"")] * 100)["Payload00"][4:])
    head, rest = orjson.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")]), raw[4 + int.from_bytes(raw[:4], "little") :]
    text = orjson.dumps(head | {"shared": shared})
    first = struct.pack("<I", 900_000) + rest[4:400] + b" " * 900_000 + rest[400:]
    with pytest.raises(UnreadableError, match=r"shorter|cut short|larger"):
        decode_decisions(sealed(struct.pack("<I", len(text)) + text + first))
