import random
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from shared.domain.clock import from_micros
from shared.domain.errors import EventTooLargeError, NewerFormatError, UnreadableError
from shared.domain.events import Decision, LearningMode, Observation
from shared.domain.identity import fingerprint
from shared.storage.segments import (
    FORMAT,
    MAX_EVENTS,
    TooLargeError,
    check_format,
    check_size,
    decode_decisions,
    decode_observations,
    encode,
    unpack_sightings,
)
from tests.builders import after, decision, observation

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
times = st.integers(0, 4_000_000_000_000_000).map(from_micros)
probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=50).map(tuple)
decisions = st.builds(
    Decision,
    event_id=texts,
    decided_at=times,
    model_version=st.sampled_from(["", "00000001-abc", "00000002-def"]),
    mode=st.sampled_from(LearningMode),
    probabilities=probabilities,
    chosen=st.integers(0, 49),
    deferred=st.booleans(),
    situation=st.binary(max_size=300),
    encoded=st.binary(max_size=300),
)
observations = st.builds(Observation, event_id=texts, observed_at=times, reward=st.none() | st.floats(-1, 1))


def incompressible(size: int) -> bytes:
    return random.Random(1).randbytes(size)


@given(st.lists(decisions, min_size=1, max_size=20))
def test_decisions_come_back_to_the_last_bit(events):
    assert decode_decisions(encode(events)) == events


@given(st.lists(observations, min_size=1, max_size=20))
def test_observations_come_back_to_the_last_bit(events):
    assert decode_observations(encode(events)) == events


def test_a_row_tells_its_counts_without_being_opened():
    assert encode([decision(), decision("e2")])["Count"] == 2
    row = encode([observation(), observation(reward=None)])
    assert (row["Count"], row["Rewards"]) == (2, 1)


def test_a_row_tells_whose_decisions_it_holds():
    fingerprints, micros = unpack_sightings(encode([decision("x", at=after(1)), decision("y", at=after(2))])["Sightings"])
    assert list(fingerprints) == [fingerprint("x"), fingerprint("y")]
    assert micros[1] - micros[0] == 1_000_000


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
    check_size(replace(decision(), situation=b" " * 2_000_000))  # compresses well
    with pytest.raises(EventTooLargeError):
        check_size(replace(decision(), situation=incompressible(1_000_000)))


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "count", "checksum"])
def test_a_damaged_segment_is_unreadable(damage):
    row = encode([decision(f"e{n}") for n in range(10)])
    payload = row["Payload00"]
    row |= {
        "flip": {"Payload00": payload[:50] + bytes([payload[50] ^ 1]) + payload[51:]},
        "cut": {"Payload00": payload[:-20]},
        "gone": {"Payload00": None},
        "count": {"Count": 9},
        "checksum": {"Checksum": 0},
    }[damage]
    with pytest.raises(UnreadableError):
        decode_decisions(row)


def test_a_segment_of_a_later_release_is_refused_by_name():
    with pytest.raises(NewerFormatError, match=f"version {FORMAT + 1}.*upgrade"):
        check_format({**encode([decision()]), "Format": FORMAT + 1})


def test_a_segment_that_inflates_without_end_is_refused():
    bomb = isal_zlib.compress(bytes(100 * 1024 * 1024), 3)
    row = {"Format": FORMAT, "Count": 1, "Checksum": zlib.crc32(bomb) - 2**31, "Payload00": bomb}
    with pytest.raises(UnreadableError):
        decode_decisions(row)
