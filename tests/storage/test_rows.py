"""A row is what its writer wrote, or damaged: whatever is in it, reading it ends in one of the two."""

import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from shared.domain.clock import from_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.storage import names
from shared.storage.names import RowName, floor_time, partition, row_time
from shared.storage.rows import head, opened, own, sightings
from shared.storage.segments import decode_decisions, decode_observations, encode
from shared.storage.sightings import Sightings
from tests.builders import T0, after, apprentice, decision, observation

DECISIONS = [decision("a", at=T0), decision("b", at=after(1), slot="s1"), decision("b", slot="s2"), apprentice("c"), decision("ü" * 99)]
OBSERVATIONS = [observation("a"), observation("b", None), observation("c", -0.5, slot="s1")]
EMPTY: dict[str, list] = {"id": [], "at": [], "reward": []}


SEALED = after(1)


def stored(events, *, version: int = names.FORMAT, at: datetime = SEALED) -> dict:
    """Make a row as it comes back from storage; those of version 1 had no checksum over the sightings."""
    columns = encode(events)
    if version == 1 and "Sightings" in columns:
        columns["Sightings"] = columns["Sightings"][:-4]
    rewards = sum(not hasattr(event, "decided_at") and not event.is_activation for event in events)
    name = RowName(at, "a1b2c3d4", 1, count=len(events), rewards=rewards, size=9_999, version=version)
    return {"PartitionKey": partition(at, 0), "RowKey": str(name), **columns}


def with_columns(row: dict, changes: dict) -> dict:
    """Change what is in a payload, and give it the checksum that belongs to it."""
    raw = isal_zlib.decompress(row["Payload00"][4:])
    size = int.from_bytes(raw[:4], "little")
    return {**row, "Payload00": payload({**orjson.loads(raw[4 : 4 + size]), **changes}, raw[4 + size :])}


def payload(columns: object, rest: bytes = b"") -> bytes:
    text = orjson.dumps(columns)
    compressed = isal_zlib.compress(struct.pack("<I", len(text)) + text + rest, 1)
    return struct.pack("<I", zlib.crc32(compressed)) + compressed


foreign = st.one_of(
    st.none(),
    st.binary(max_size=100),
    st.text(max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.booleans(),
    st.just(datetime(2026, 1, 1, tzinfo=UTC)),
    st.just(UUID(int=7)),
    st.tuples(st.integers(), st.just("Edm.Int64")),
)


def otherwise(name: str, old: Any) -> st.SearchStrategy:
    """What a property may have become: something else, cut, doubled, or with a bit or a letter changed."""
    if name in ("PartitionKey", "RowKey"):
        letters = st.tuples(st.integers(0, len(old)), st.text(max_size=3))
        return st.text(max_size=30) | letters.map(lambda change: old[: change[0]] + change[1] + old[change[0] + 1 :])
    if not isinstance(old, bytes) or not old:
        return foreign
    cut = st.integers(0, len(old)).map(lambda at: old[:at])
    flipped = st.integers(0, len(old) - 1).map(lambda at: old[:at] + bytes([old[at] ^ 4]) + old[at + 1 :])
    return foreign | cut | flipped | st.just(old + old)


@st.composite
def damaged_rows(draw):
    """A row of either kind and version, of which some properties were cut, changed, lost, swapped or added."""
    events = draw(st.sampled_from([DECISIONS, DECISIONS[:1], DECISIONS[3:], OBSERVATIONS]))
    row = stored(events, version=draw(st.sampled_from([1, 2])))
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from([*row, "Payload00", "Payload01", "Sightings", "Events", "Other"]))
        row[name] = draw(otherwise(name, row.get(name)))
    return row, events


@given(damaged_rows())
def test_a_row_damaged_anywhere_is_as_it_was_or_set_aside(case):
    row, events = case
    decode: Any = decode_observations if events is OBSERVATIONS else decode_decisions
    try:
        told = head(row)
        read = opened(row, decode)
    except NewerFormatError:
        return  # which a name may come to say
    assert read.segment.head == told
    assert told.count >= 0
    assert told.key.name == row["RowKey"]
    if read.segment.events is None:
        assert read.damage
        assert isinstance(read.remains, bytes)
    else:
        assert list(read.segment.events) == events
    if decode is decode_decisions:
        try:
            seen = sightings(row)
        except UnreadableError:
            return
        assert len(seen.fingerprints) == len(seen.micros) == told.count
        assert all(from_micros(at) <= told.key.sealed_at for at in seen.micros)


@pytest.mark.parametrize("version", [1, 2])
def test_what_was_written_is_read_in_either_version(version):
    row = stored(DECISIONS, version=version)
    assert opened(row, decode_decisions).segment.events == DECISIONS
    assert sightings(row) == Sightings.of(DECISIONS)
    assert head(row).size == (9_999 if version > 1 else 5 * 16 * 1024)
    assert opened(stored(OBSERVATIONS, version=version), decode_observations).segment.events == OBSERVATIONS


@given(st.data())
def test_no_bit_of_the_sightings_changes_unseen(data):
    row = stored(DECISIONS)
    name = data.draw(st.sampled_from(["Sightings", "Events"]))
    at, bit = data.draw(st.integers(0, len(row[name]) - 1)), data.draw(st.integers(0, 7))
    row[name] = row[name][:at] + bytes([row[name][at] ^ 1 << bit]) + row[name][at + 1 :]
    with pytest.raises(UnreadableError):
        sightings(row)


@pytest.mark.parametrize("lost", ["Sightings", "Events"])
def test_no_column_of_the_sightings_is_lost_unseen(lost):
    row = stored(DECISIONS)
    del row[lost]
    with pytest.raises(UnreadableError):
        sightings(row)


def test_sightings_of_the_first_version_are_read_unless_they_cannot_be_true():
    row = stored(DECISIONS, version=1)
    for wrong in (row["Sightings"][:-1], row["Sightings"][:-16], row["Sightings"] + bytes(16), b"\xff" * len(row["Sightings"])):
        with pytest.raises(UnreadableError):
            sightings({**row, "Sightings": wrong})


@pytest.mark.parametrize(
    "changes",
    [
        {"id": [1, 2, 3, 4, 5]},
        {"id": "abcde"[:5], "slot": [1] * 5},
        {"at": ["x"] * 5},
        {"at": [10**19] * 5},
        {"at": [1.5] * 5},
        {"version": [-1] * 5},
        {"version": [9] * 5},
        {"mode": [-1] * 5},
        {"modes": ["Other"]},
        {"versions": [7]},
        {"probabilities": [["x", "y"]] * 5},
        {"probabilities": [[]] * 5},
        {"probabilities": [None] * 5},
        {"chosen": [2] * 5},
        {"chosen": [-1] * 5},
        {"chosen": [True] * 5},
        {"deferred": [1] * 5},
        {"proposal": [[1, 2]] * 5},
        {"proposal": [["x", 0.5, True]] * 5},
        {"shared": [0] * 4},
        {"id": ["x"] * 4},
        {"id": None},
    ],
)
def test_what_no_writer_writes_is_damage_under_a_right_checksum_as_well(changes):
    row = with_columns(stored(DECISIONS), changes)
    assert opened(row, decode_decisions).segment.events is None


@pytest.mark.parametrize("changes", [{"reward": ["x", None, 1.0]}, {"at": [None] * 3}, {"id": [[]] * 3}, {"slot": [1] * 3}, {"id": []}])
def test_so_it_is_in_observations(changes):
    assert opened(with_columns(stored(OBSERVATIONS), changes), decode_observations).segment.events is None


@pytest.mark.parametrize("columns", [None, [], {}, "text", 5, {"id": 5}])
def test_a_payload_of_something_else_is_damage(columns):
    decoders: list[Any] = [decode_decisions, decode_observations]
    for decode in decoders:
        assert opened({**stored(OBSERVATIONS), "Payload00": payload(columns)}, decode).segment.events is None


def test_an_empty_row_as_earlier_releases_wrote_holds_nothing():
    name = f"{row_time(T0)}-a1b2c3d4-000007-1-0-0"
    row = {"PartitionKey": partition(T0, 0), "RowKey": name, "Payload00": payload(EMPTY)}
    decoders: list[Any] = [decode_decisions, decode_observations]
    for decode in decoders:
        read = opened(row, decode)
        assert (read.segment.events, read.damage, read.segment.head.count) == ([], "", 0)
    assert sightings(row) == Sightings.of([])
    assert opened({**row, "Payload00": stored(DECISIONS)["Payload00"]}, decode_decisions).segment.events is None


def test_a_row_without_anything_of_ours_counts_as_its_name_says():
    row = {name: stored(DECISIONS)[name] for name in ("PartitionKey", "RowKey")}
    read = opened(row, decode_decisions)
    assert (read.segment.events, read.segment.head.count) == (None, 5)


@pytest.mark.parametrize(
    "name", ["", "x", "0", row_time(T0), f"{row_time(T0)}-é", f"{row_time(T0)}'--", f"{row_time(T0)}-a-000001-2-+1-0-0"]
)
def test_a_row_whose_name_is_none_counts_as_one(name):
    read = opened({**stored(DECISIONS), "RowKey": name}, decode_decisions)
    assert (read.segment.events, read.segment.head.count) == (None, 1)
    assert names.partition_time(partition(read.segment.head.key.sealed_at, 0)) == T0


@pytest.mark.parametrize("minutes", [-500, -1, 1, 500])
def test_a_row_in_another_minute_than_its_name_says_is_damage_of_that_minute(minutes):
    at = after(1) + timedelta(minutes=minutes)
    row = {**stored(DECISIONS), "PartitionKey": partition(at, 0)}
    read = opened(row, decode_decisions)
    assert (read.segment.events, read.segment.head.count) == (None, 5)
    assert partition(read.segment.head.key.sealed_at, 0) == partition(at, 0)
    with pytest.raises(UnreadableError):
        sightings(row)


@given(st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=20) | st.from_regex(r"\A[0-9]{0,16}.{0,3}\Z"))
def test_a_row_is_sealed_in_the_window_whose_names_take_it_in(name):
    at = floor_time(name)
    assert row_time(at) <= name or at == from_micros(0)
    assert name < row_time(at + timedelta(microseconds=1)) or at == from_micros(10**16 - 1)


def test_a_row_of_a_later_release_is_no_damage():
    row = stored(DECISIONS)
    newer = {**row, "RowKey": row["RowKey"].replace("-000001-2-", "-000001-3-")}
    for read in (head, sightings, own, lambda row: opened(row, decode_decisions)):
        with pytest.raises(NewerFormatError):
            read(newer)


def test_what_is_moved_of_a_row_is_what_a_writer_of_ours_wrote():
    row = stored(DECISIONS)
    assert own({**row, "Other": "text", "Payload01": 7, "etag": replace}) == row
    assert own({**row, "RowKey": "junk"}) is None
