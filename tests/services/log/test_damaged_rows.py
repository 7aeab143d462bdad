"""Damaged rows are set aside and counted; trainer, status, receipts, deletion and retention go on as if they were not there."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.domain.errors import NewerFormatError
from shared.storage.names import DayTable, Kind, partition, row_time
from shared.storage.segments import encode
from tests import stores
from tests.builders import T0, after, decision, observation
from tests.processes import WAIT, Process
from tests.reliability.world import LOOP, SETTLED_FOR
from tests.storage.test_rows import EMPTY, payload

Change = Callable[[dict, random.Random], dict]


def table_of(kind: Kind) -> str:
    return DayTable(LOOP.name, 1, kind, T0.date()).name


async def rows_of(process: Process, kind: Kind) -> list[dict]:
    """Read the rows as storage has them, in the order in which they were sealed."""
    return sorted(await stores.rows_of(process.account, table_of(kind)), key=lambda row: row["RowKey"])


async def put(process: Process, kind: Kind, *changes: tuple[dict, dict]) -> None:
    """Put other rows in the place of some."""
    kept = {_key(row): row for row in await rows_of(process, kind)}
    for old, new in changes:
        del kept[_key(old)]
        kept[_key(new)] = new
    await stores.rewrite(process.account, table_of(kind), kept.values())


async def add(process: Process, kind: Kind, *rows: dict) -> None:
    await stores.put_rows(process.account, table_of(kind), rows)


def _key(row: dict) -> tuple[str, str]:
    return row["PartitionKey"], row["RowKey"]


def flipped(row: dict, chance: random.Random, name: str) -> dict:
    at = chance.randrange(len(row[name]))
    return {**row, name: row[name][:at] + bytes([row[name][at] ^ 1 << chance.randrange(8)]) + row[name][at + 1 :]}


def without(row: dict, *gone: str) -> dict:
    return {name: value for name, value in row.items() if name not in gone}


def renamed(row: dict, name: str) -> dict:
    return {**row, "RowKey": name}


LOST: dict[str, Change] = {
    "no property of ours": lambda row, _: {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"], "Other": 5},
    "no payload": lambda row, _: without(row, "Payload00"),
    "a payload cut short": lambda row, chance: {**row, "Payload00": row["Payload00"][: chance.randrange(len(row["Payload00"]))]},
    "a bit of the payload": lambda row, chance: flipped(row, chance, "Payload00"),
    "a payload of text": lambda row, _: {**row, "Payload00": "text"},
    "a payload of a number": lambda row, _: {**row, "Payload00": 7},
    "a second payload": lambda row, _: {**row, "Payload01": b"junk"},
    "another count": lambda row, _: renamed(row, row["RowKey"].replace("-2-1-", "-2-3-")),
    "both": lambda row, _: {**row, "Payload00": b"", "Sightings": b""},
    "another minute": lambda row, _: {**row, "PartitionKey": partition(T0 - timedelta(minutes=1), 0)},
    "a name of its time alone": lambda row, _: renamed(row, row["RowKey"][:16]),
    "a name with a sign": lambda row, _: renamed(row, row["RowKey"].replace("-2-1-", "-2-+1-")),
    "a quoted name": lambda row, _: renamed(row, row["RowKey"][:16] + "' or RowKey ge '"),
    "a name in another script": lambda row, _: renamed(row, row["RowKey"][:16] + "-мёд-🍯"),
    "a long name": lambda row, _: renamed(row, row["RowKey"][:16] + "é" * 400),
}
SIGHTED: dict[str, Change] = {
    "no sightings": lambda row, _: without(row, "Sightings"),
    "sightings cut short": lambda row, chance: {**row, "Sightings": row["Sightings"][: chance.randrange(len(row["Sightings"]))]},
    "a bit of the sightings": lambda row, chance: flipped(row, chance, "Sightings"),
    "sightings of text": lambda row, _: {**row, "Sightings": "text"},
    "sightings too long": lambda row, _: {**row, "Sightings": row["Sightings"] * 2},
    "sightings in no time": lambda row, _: {**row, "Sightings": b"\xff" * len(row["Sightings"])},
    "events that are none": lambda row, _: {**row, "Events": b"1234567"},
    "events of a number": lambda row, _: {**row, "Events": 5},
    "another property": lambda row, _: {**row, "Other": "text", "Number": 2.5},
}


async def decided(process: Process, count: int) -> list[str]:
    """Have so many decisions made, one a second, and a reward for each."""
    ids = [f"e{number:03d}" for number in range(count)]
    for each in ids:
        process.clock.pass_(1)
        await process.rank(each)
        await process.reward(each)
    return ids


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_to_rows_of_decisions_the_rest_is_learned_and_they_are_counted(one, other, seed):
    chance = random.Random(seed)
    kinds = [*LOST, *SIGHTED]
    chance.shuffle(kinds)
    ids = await decided(one, len(kinds) + 5)
    rows = await rows_of(one, Kind.DECISIONS)
    await put(one, Kind.DECISIONS, *[(row, (LOST | SIGHTED)[kind](row, chance)) for kind, row in zip(kinds, rows, strict=False)])
    lost = sum(3 if kind == "another count" else 1 for kind in kinds if kind in LOST)
    sound = [event_id for event_id, kind in zip(ids, [*kinds, *[""] * 5], strict=True) if kind not in LOST]
    assert (await other.progress()).pending == len(sound) + lost

    one.clock.pass_(WAIT + 1)
    await one.train()
    found = (await other.progress()).counters
    assert (found.learned, found.skipped) == (len(sound), {"quarantined": lost})
    assert (found.rewards, found.late_rewards) == (len(ids), 0)
    assert len([name for name in await one.blobs() if "/quarantine/" in name]) == len(LOST)

    one.clock.pass_(5)
    await one.rank(sound[0])  # repeated
    for event_id in sound[1:]:  # late, whether or not their sightings are damaged
        assert (await other.receipts.find(event_id)).decisions
        await one.reward(event_id)
    one.clock.pass_(WAIT + 1)
    await other.train()
    found = (await one.progress()).counters
    assert (found.learned, found.skipped) == (len(sound), {"quarantined": lost, "duplicate": 1})
    assert found.late_rewards == len(sound) - 1

    one.clock.pass_(5)
    await one.logs.delete()
    await one.rank("next")
    one.clock.pass_(86_400 * 3)
    await one.train()
    await one.retention.run()
    await one.retention.run()  # what rows would have been moved to
    assert await one.joined_lines() == 1
    assert not [table for table in await one.tables() if "20260517" in table]
    assert not [name for name in await one.blobs() if "/quarantine/" in name]


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_happens_to_rows_of_observations_the_rest_is_counted_and_they_are_too(one, other, seed):
    chance = random.Random(seed)
    kinds = [kind for kind in LOST if kind != "both"]
    chance.shuffle(kinds)
    ids = await decided(one, len(kinds) + 5)
    rows = await rows_of(one, Kind.OBSERVATIONS)
    await put(one, Kind.OBSERVATIONS, *[(row, LOST[kind](row, chance)) for kind, row in zip(kinds, rows, strict=False)])
    one.clock.pass_(WAIT + 1)
    await other.train()
    found = (await one.progress()).counters
    assert (found.learned, found.skipped) == (len(ids), {})
    named = len([kind for kind in kinds if "name" not in kind])  # what has no name tells of no reward
    assert (found.rewards, found.unknown_rewards) == (named + 5, named)
    assert len([name for name in await one.blobs() if "/quarantine/" in name]) == len(kinds)


async def test_rows_that_stand_nowhere_are_no_part_of_the_log(one, other):
    await decided(one, 3)
    for number, place in enumerate(["", "202605171200", "202605171200-", "202605171200-é", "202605171260-00", "20260517"]):
        junk = {"PartitionKey": place, "RowKey": f"{row_time(after(1))}-a1b2c3d4-{number:06d}-2-1-0-99"}
        await add(one, Kind.DECISIONS, junk)
    one.clock.pass_(WAIT + 1)
    await one.train()
    assert ((await other.progress()).counters.learned, (await other.progress()).counters.skipped) == (3, {})


async def test_a_row_that_was_copied_is_learned_once(one, other):
    await decided(one, 3)
    for row in await rows_of(one, Kind.DECISIONS):
        await add(one, Kind.DECISIONS, {**row, "PartitionKey": row["PartitionKey"].replace("-00", "-01")})
    one.clock.pass_(WAIT + 1)
    await one.train()
    assert ((await other.progress()).counters.learned, (await other.progress()).counters.skipped) == (3, {})


async def test_empty_rows_as_earlier_releases_wrote_hold_nothing_up_and_go_with_their_day(one, other):
    """Without end they wrote them, for one batch that was too large for a row."""
    await decided(one, 3)
    for kind in Kind:
        for number in range(150):
            name = f"{row_time(after(1 + number / 99))}-a1b2c3d4-{number:06d}-1-0-0"
            row = {"PartitionKey": partition(after(1), 0), "RowKey": name, "Payload00": payload(EMPTY)}
            await add(one, kind, row)
    assert (await other.progress()).pending == 3
    one.clock.pass_(WAIT + 1)
    await one.train()
    one.clock.pass_(5)
    await one.reward("e001")
    one.clock.pass_(WAIT + 1)
    await other.train()
    found = (await other.progress()).counters
    assert (found.learned, found.skipped, found.rewards, found.late_rewards) == (3, {}, 4, 1)
    assert (await one.receipts.find("e001")).decisions
    assert not [name for name in await one.blobs() if "/quarantine/" in name]
    one.clock.pass_(86_400 * 3)
    await one.train()
    await one.retention.run()
    assert not [table for table in await one.tables() if "20260517" in table]


@pytest.mark.parametrize("kind", Kind)
async def test_a_row_of_a_later_release_is_waited_with_and_not_moved(one, kind):
    await decided(one, 3)
    row = (await rows_of(one, kind))[0]
    await add(one, kind, renamed(row, row["RowKey"].replace("-2-1-", "-3-1-")))
    one.clock.pass_(WAIT + 1)
    with pytest.raises(NewerFormatError, match="upgrade"):
        await one.train()
    assert await one.store.pointer() is None


async def test_rows_of_the_first_format_are_learned_beside_those_of_the_second(one, other):
    one.clock.pass_(1)
    await one.rank("new")
    old = encode([decision("old", at=after(1)), decision("slots", at=after(1), slot="s")])
    key = {"PartitionKey": partition(after(1), 0), "RowKey": f"{row_time(after(1))}-a1b2c3d4-000001-1-2-0"}
    await add(one, Kind.DECISIONS, {**key, **old, "Sightings": old["Sightings"][:-4]})
    one.clock.pass_(WAIT + 1)
    await one.train()
    await one.rank("old")
    await one.log.append_observation(observation("slots", at=one.clock.now(), slot="s"))
    one.clock.pass_(WAIT + 1)
    await other.train()
    found = (await other.progress()).counters
    assert (found.learned, found.skipped, found.late_rewards) == (3, {"duplicate": 1}, 1)
    assert (await one.receipts.find("slots")).decisions


@pytest.mark.parametrize("kind", [*LOST, *SIGHTED])
@pytest.mark.sweep(keep=8)
async def test_a_damaged_row_holds_no_old_table_up_that_is_cleared(one, other, kind):
    """It stands among rows that a writer stored there which had not heard that the log was deleted."""
    await other.rank("old")
    one.clock.pass_(1)
    await one.logs.delete()
    one.clock.pass_(1)
    await other.rank("damaged")
    one.clock.pass_(1)
    await other.rank("sound")
    row = (await rows_of(one, Kind.DECISIONS))[-2]
    changed = (LOST | SIGHTED)[kind](row, random.Random(1))
    await put(one, Kind.DECISIONS, (row, changed))
    one.clock.pass_(SETTLED_FOR.total_seconds() + 1)
    await one.retention.run()
    assert not [table for table in await one.tables() if "x0001" in table]
    await one.train()
    found = (await other.progress()).counters
    is_named = kind in SIGHTED or ("name" not in kind and kind != "another minute")
    assert found.learned == 1 + (kind in SIGHTED)
    assert found.skipped.get("quarantined", 0) == (0 if kind in SIGHTED or not is_named else 3 if kind == "another count" else 1)
