"""Each kind of what releases have stored, read by its own reader."""

from collections import Counter
from pathlib import Path

import pytest

from shared.domain.errors import UnreadableError
from shared.storage.names import Kind
from shared.storage.segments import decode_decisions
from tests.stored.account import blobs, rows
from tests.stored.asking import differences
from tests.stored.kinds import KINDS, chunks, decisions, observations, pointers, queue, records
from tests.stored.releases import OLDEST, Release, releases

FIRST = Release(OLDEST)

every_release = pytest.mark.parametrize("release", releases(), ids=lambda release: release.name)


@pytest.mark.parametrize("kind", KINDS)
@every_release
def test_what_a_release_stored_is_read_as_it_read_it(release, kind):
    read = KINDS[kind](release.folder)
    assert read, "there is something of each kind"
    assert not differences(release.read("read")[kind], read)


@every_release
def test_every_blob_has_a_reader_here_or_is_opened_with_the_whole_storage(release):
    known = {"configuration", "pointer", "models", "states", "log", "figures", "breakdown", "lookback", "board", "lane-0-0", "report"}
    with_the_whole = {"evaluations", "importances", "usage", "mirror", "trainer", "quarantine", "signer", "timers", "changes"}
    parts = [set(Path(blob["name"].replace(".", "/")).parts) for blob in blobs(release.folder)]
    assert all(each & (known | with_the_whole) for each in parts)


def test_the_first_one_has_decisions_of_every_shape():
    events = [event for row in decisions(FIRST.folder).values() for event in row.get("events", [])]
    assert Counter(event["mode"] for event in events) == {"Online": 213, "Apprentice": 60, "LoggingOnly": 30}
    assert Counter(event["slot"] for event in events if event["slot"]) == {"top": 34, "side": 34}
    assert Counter(event["proposal"]["is_lesson"] for event in events if event["proposal"]) == {True: 30, False: 30}
    assert sum(event["deferred"] for event in events) == 12
    assert "a client's own é𝄞" in {event["model_version"] for event in events}
    assert sum("damaged" in row for row in decisions(FIRST.folder).values()) == 1


def test_the_first_one_has_rewards_activations_and_rewards_of_slots():
    events = [event for row in observations(FIRST.folder).values() for event in row["events"]]
    assert sum(event["reward"] is None for event in events) == 4
    assert {event["slot"] for event in events} == {"", "top", "side"}
    assert {event["event_id"] for event in events} >= {"nobody", "twice", "uploaded-0", "rewarded-late"}


def test_the_first_one_has_a_log_that_was_deleted_a_loop_that_ended_and_one_that_lives_again():
    cleared = pointers(FIRST.folder)["loops/clearedx0001/pointer.json"]
    assert (cleared["log"]["generation"], cleared["chunk"][:6]) == (2, "g0002/")
    assert any("/g0002/" in name for name in chunks(FIRST.folder))
    kept = {name.split("/")[1]: each["record"] for name, each in records(FIRST.folder).items()}
    assert (kept["gone"]["remains"][0]["place"], kept["gone"]["deleted_at"] is not None) == ("gonex0001", True)
    assert (kept["again"]["life"], kept["again"]["remains"][0]["place"]) == (2, "againx0001")
    assert len(kept["default"]["keys"]) == 2
    assert [each["step"] for each in queue(FIRST.folder).values()] == [2, 0]


@every_release
def test_a_damaged_row_is_told_apart_and_its_copy_has_its_bytes(release):
    damaged = [name for name, row in decisions(release.folder).items() if row.get("damaged")]
    assert damaged
    for table, _, key in (name.partition("/") for name in damaged):
        row = next(row for row in rows(release.folder / "tables" / f"{table}.jsonl") if row["RowKey"] == key)
        with pytest.raises(UnreadableError):
            decode_decisions(row)
        copies = [blob for blob in blobs(release.folder) if f"/quarantine/{table}/" in blob["name"] and blob["name"].endswith(key)]
        assert [(release.folder / copy["file"]).read_bytes() for copy in copies] == [row["Payload00"]]
    assert Kind.DECISIONS in [Kind(table[len(table) - 9]) for table, _, _ in (name.partition("/") for name in damaged)]
