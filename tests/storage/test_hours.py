"""Whole hours of the log that are kept as files: read in place of rows, and never more than a saving."""

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import UnreadableError
from shared.domain.identity import fingerprint
from shared.domain.ledger import LogEpoch
from shared.storage.columns import OBSERVED, Block, observed
from shared.storage.files import Files
from shared.storage.hours import FEWEST_ROWS, _parted, read_block, write_block
from shared.storage.names import LOGS, hours_prefix
from shared.storage.ports import Storage
from tests.builders import T0, after, decision, observation, segment
from tests.storage.conftest import new_log
from tests.storage_proxy import Fault, StorageProxy
from tests.stores import opened, overwrite

pytestmark = pytest.mark.long

HOUR = 3600
NAMES = {f"e{number}" for number in range(60)}
DAY_AND_A_HALF = after(36 * HOUR)


@given(st.integers(-9000, 9000), st.integers(0, 20_000))
def test_a_range_is_parted_at_whole_hours_and_nowhere_else(begin, length):
    since, until = after(begin), after(begin + length)
    parts = list(_parted(since, until))
    ends = [since, *[last for _, last in parts]]
    assert ends == sorted({since, until, *_hours(since, until)})
    assert [first for first, _ in parts] == ends[:-1]


def _hours(since: datetime, until: datetime) -> list[datetime]:
    return [at for at in (after(hour * HOUR) for hour in range(-4, 10)) if since < at < until]


def test_a_block_comes_back_as_it_was_and_a_damaged_one_is_unreadable():
    block = Block.of([observed(segment([observation()]))], OBSERVED)
    data = write_block(block)
    again = read_block(data, OBSERVED)
    assert (again.base, again.rows.tolist()) == (block.base, block.rows.tolist())
    for damaged in (b"", data[:-1], data[:-40], data[:-1] + b"\x00" if data[-1] else data[:-1] + b"\x01", b"X" + data[1:], data + data):
        with pytest.raises(UnreadableError):
            read_block(damaged, OBSERVED)


@pytest.fixture
async def proxied(new_account):
    with StorageProxy(new_account()) as proxy:
        account = opened(proxy.connection_string)
        yield account, proxy
        await account.close()


async def fill(account, clock) -> None:
    """Three hours with enough events to be kept, and one with few."""
    log = new_log(account, clock)
    for hour in range(4):
        clock.at = after(hour * HOUR + 100)
        names = [f"e{hour}", *[f"o{hour}-{number}" for number in range(FEWEST_ROWS if hour < 3 else 5)]]
        await asyncio.gather(*(log.append_observation(observation(name, at=clock.at)) for name in names))
        await log.append_decisions([decision(name, at=clock.at) for name in names])
    clock.at = DAY_AND_A_HALF


async def content(account: Storage, name: str) -> bytes:
    found = await account.files(LOGS).read(name)
    assert found is not None
    return found.data


async def kept(account) -> list[str]:
    return sorted([str(blob.name) async for blob in Files(account, LOGS).listing(hours_prefix("default"))])


async def test_what_is_read_from_kept_hours_is_what_the_rows_tell_and_takes_no_rows(account, clock):
    await fill(account, clock)
    since, until, marks = after(-HOUR), after(30 * HOUR), set(map(fingerprint, NAMES))
    rows = await new_log(account, clock).reports(since, until, NAMES), await new_log(account, clock).sightings(since, until, marks)
    assert len(await kept(account)) == 2 * 3
    hours = await new_log(account, clock).reports(since, until, NAMES), await new_log(account, clock).sightings(since, until, marks)
    assert hours == rows
    assert len(hours[0].of) == len(hours[1]) == 4
    for table in await new_log(account, clock).day_tables():
        await account.rows.drop(table.name)
    assert (await new_log(account, clock).reports(since, until, NAMES)).of.keys() == {"e0", "e1", "e2"}
    assert len(await new_log(account, clock).sightings(since, until, marks)) == 3


async def test_an_hour_that_is_not_long_over_is_not_kept(account, clock):
    await fill(account, clock)
    clock.at = after(2 * HOUR + 1)
    await new_log(account, clock).reports(T0, after(3 * HOUR), NAMES)
    assert [name[-10:] for name in await kept(account)] == ["2026051712"]


async def test_a_damaged_hour_is_read_from_its_rows_and_made_anew(account, clock):
    await fill(account, clock)
    before = await new_log(account, clock).reports(T0, after(4 * HOUR), NAMES)
    first = (await kept(account))[0]
    whole = await content(account, first)
    await overwrite(account, LOGS, first, whole[:-3])
    assert await new_log(account, clock).reports(T0, after(4 * HOUR), NAMES) == before
    assert await content(account, first) == whole


async def test_hours_from_before_a_deletion_are_not_read_and_go(account, clock):
    await fill(account, clock)
    await new_log(account, clock).reports(T0, after(4 * HOUR), NAMES)
    log = new_log(account, clock)
    log.follow(LogEpoch(2, since=after(4 * HOUR)))
    assert (await log.reports(T0, after(4 * HOUR), NAMES)).of == {}
    await log.drop_tables(before=T0)
    assert await kept(account) == []


async def test_hours_in_the_format_of_an_earlier_release_are_not_read_and_go(account, clock):
    await fill(account, clock)
    first = f"{hours_prefix('default', version=1)}0001/o/2026051712"
    await Files(account, LOGS).write_once(first, b"OPHC and what an earlier release wrote")
    found = await new_log(account, clock).reports(T0, after(4 * HOUR), NAMES)
    assert len(found.of) == 4
    await new_log(account, clock).drop_tables(before=T0)
    assert not [blob async for blob in Files(account, LOGS).listing(hours_prefix("default", version=1))]
    assert len(await kept(account)) == 3


async def test_hours_go_with_the_tables_of_their_day(account, clock):
    await fill(account, clock)
    await new_log(account, clock).reports(T0, after(4 * HOUR), NAMES)
    await new_log(account, clock).drop_tables(before=after(2 * HOUR))
    assert [name[-10:] for name in await kept(account)] == ["2026051714"]


async def test_hours_that_cannot_be_kept_stop_nothing(proxied, clock):
    account, proxy = proxied
    await fill(account, clock)
    proxy.plan = lambda call: Fault(status=403) if call.method == "PUT" and "/hours/" in call.path else None
    assert len((await new_log(account, clock).reports(T0, after(4 * HOUR), NAMES)).of) == 4
    assert await kept(account) == []


async def test_a_warm_reader_of_ordinary_waits_keeps_no_hours(account, clock):
    log = new_log(account, clock)
    for number in range(30):
        clock.pass_(300)
        await asyncio.gather(*(log.append_observation(observation(f"e{number}-{n}", at=clock.now())) for n in range(200)))
        await log.reports(clock.now() - timedelta(minutes=15), clock.now(), NAMES)
    assert await kept(account) == []
