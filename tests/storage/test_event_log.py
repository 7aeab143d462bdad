import asyncio
import random
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.errors import EventTooLargeError, NewerFormatError
from shared.domain.events import EventKey
from shared.domain.identity import fingerprint
from shared.domain.ledger import Opened
from shared.storage.event_log import RowEventLog
from shared.storage.names import LOGS, DayTable, Kind
from tests.builders import T0, after, decision, observation
from tests.clocks import SetClock
from tests.storage.conftest import SETTLED, new_log
from tests.storage_proxy import StorageProxy
from tests.stores import first_row, listed, opened, put_rows

TABLE = DayTable("default", 1, Kind.DECISIONS, T0.date()).name


async def decided(log: RowEventLog, since: datetime = T0 - timedelta(days=2), until: datetime = T0 + timedelta(days=2)) -> list[str]:
    heads = [head async for minute in log.decision_heads(since, until) for head in minute]
    return [event.event_id for segment in await log.decisions(heads) for event in segment.events or ()]


async def test_what_was_appended_is_read_back_as_it_was(log):
    events = [decision("a", probabilities=(0.1, 0.9), chosen=1), decision("ü/%2F", deferred=True)]
    for event in events:
        await log.append_decision(event)
    heads = [head async for minute in log.decision_heads(T0, after(1)) for head in minute]
    assert [event for segment in await log.decisions(heads) for event in segment.events or ()] == events


async def test_segments_come_in_the_order_of_their_sealing_across_minutes_shards_and_days(account, clock):
    logs = [new_log(account, clock, shards=4) for _ in range(6)]
    expected = []
    for number in range(30):
        clock.pass_(3600 * 2 if number % 10 == 9 else 25)
        event_id = f"e{number:02d}"
        await logs[number % 6].append_decision(decision(event_id, at=clock.now()))
        expected.append(event_id)
    assert await decided(logs[0]) == expected


async def test_a_window_takes_what_was_sealed_from_its_start_and_before_its_end(log, clock):
    for name in ("before", "first", "last", "after"):
        await log.append_decision(decision(name, at=clock.now()))
        clock.pass_(30)
    assert await decided(log, after(30), after(90)) == ["first", "last"]


async def test_a_segment_is_never_sealed_before_its_decisions(log):
    await log.append_decision(decision(at=after(7)))  # another instance's clock is ahead
    assert await decided(log, after(7), after(8)) == ["e1"]


async def test_concurrent_appends_share_rows(log):
    await asyncio.gather(*(log.append_observation(observation(f"e{n}")) for n in range(500)))
    heads = [head async for minute in log.observation_heads(T0, after(1)) for head in minute]
    assert sum(head.count for head in heads) == sum(head.rewards for head in heads) == 500
    assert len(heads) <= 3


async def test_a_batch_too_large_for_one_row_leaves_in_several(log):
    large = [decision(f"e{n}") for n in range(40)]
    noise = random.Random(5)
    await asyncio.gather(*(log.append_decision(replace(event, situation=noise.randbytes(60_000))) for event in large))
    assert sorted(await decided(log)) == sorted(event.event_id for event in large)


async def test_no_query_brings_more_than_there_is_room_for(proxied, clock):
    log, proxy = proxied
    large = [replace(decision(f"e{n:02d}"), situation=b" " * 3_000_000) for n in range(6)]
    for event in large:
        await log.append_decision(event)
    heads = [head async for minute in log.decision_heads(T0, after(1)) for head in minute]
    assert all(3_000_000 < head.size < 3_010_000 for head in heads)
    proxy.forget()
    opened = await log.decisions(heads)
    assert [event for segment in opened for event in segment.events or ()] == large
    assert [call.method for call in proxy.calls] == ["GET"] * 3  # two rows each, as 8 MiB allow


async def test_a_batch_that_no_row_can_hold_is_refused_alone_and_holds_nobody_up(log):
    """Random characters beyond the BMP in every version: in memory below the limit, and nothing to compress."""
    noise = random.Random(5)
    versions = ["".join(map(chr, noise.choices(range(0x10000, 0x110000), k=256))) for _ in range(1_000)]
    hostile = [replace(decision(f"h{n}", version=version), situation=noise.randbytes(500)) for n, version in enumerate(versions)]
    waits: list[float] = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.001)
            waits.append(time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    appends = [log.append_decision(decision(f"e{n}")) for n in range(20)]
    results = await asyncio.gather(*appends, log.append_decisions(hostile), log.append_decision(decision("last")), return_exceptions=True)
    ticking.cancel()
    assert [type(result) for result in results] == [type(None)] * 20 + [EventTooLargeError, type(None)]
    assert sorted(await decided(log)) == sorted([*(f"e{n}" for n in range(20)), "last"])
    assert max(waits) < 0.5


async def test_an_empty_log_has_no_beginning_and_no_segments(log):
    assert await log.earliest() is None
    assert await decided(log) == []


async def test_the_log_begins_with_the_first_day_that_has_a_table(log):
    await log.append_observation(observation())
    assert await log.earliest() == datetime(2026, 5, 17, tzinfo=UTC)


async def test_loops_do_not_see_each_other(account, clock):
    mine, other = new_log(account, clock, loop="mine"), new_log(account, clock, loop="minex0001d20260517")
    await mine.append_decision(decision("mine"))
    await other.append_decision(decision("other"))
    assert (await decided(mine), await decided(other)) == (["mine"], ["other"])
    assert await mine.drop_tables(before=after(86_400 * 2)) == 1
    assert await decided(other) == ["other"]


def marks(*keys: EventKey) -> set[int]:
    return set(map(fingerprint, keys))


async def test_sightings_tell_when_and_where_an_event_was_decided(log, clock):
    await log.append_decision(decision("x", at=T0))
    clock.pass_(100)
    await asyncio.gather(log.append_decision(decision("y", at=clock.now())), log.append_decision(decision("x", at=clock.now())))
    found = await log.sightings(T0, after(200), marks("x"))
    assert [(s.decided_at, s.position) for s in sorted(found[fingerprint("x")])] in (
        [(T0, 0), (after(100), 0)],
        [(T0, 0), (after(100), 1)],
    )
    assert found.keys() == marks("x")


@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("damaged", [None, 0, 4], ids=["whole", "a straggler damaged", "one of the window damaged"])
async def test_sightings_are_the_same_whether_or_not_segments_were_opened_before(account, log, clock, is_warm, damaged):
    for number in range(9):
        await log.append_decision(decision(f"e{number % 4}", at=clock.now()))
        clock.pass_(20)
        if is_warm and number == 5:
            await log.sightings(T0, clock.now(), set())
    heads = [head async for minute in log.decision_heads(T0, after(120)) for head in minute]
    segments = [replace(s, events=None if n == damaged else s.events) for n, s in enumerate(await log.decisions(heads))]
    ids = marks(*(f"e{number}" for number in range(5)))
    read = await new_log(account, clock).sightings(T0, after(200), ids)
    given = await log.sightings(T0, after(200), ids, opened=Opened(after(60), after(120), [segments[0], *segments[3:]]))
    assert {event_id: sorted(found) for event_id, found in given.items()} == read
    assert await log.sightings(T0, after(200), ids) == read


async def test_what_was_opened_is_sighted_though_it_turned_up_behind_what_is_remembered(account, log, clock):
    await log.append_decision(decision("known", at=clock.now()))
    clock.pass_(100)
    await log.sightings(T0, after(50), set())
    await new_log(account, SetClock(after(10))).append_decision(decision("late", at=after(10)))
    heads = [head async for minute in log.decision_heads(T0, after(50)) for head in minute]
    opened = Opened(T0, after(50), await log.decisions(heads))
    assert (await log.sightings(T0, after(50), marks("known", "late"), opened=opened)).keys() == marks("known", "late")
    assert (await log.sightings(T0, after(50), marks("known", "late"))).keys() == marks("known", "late")  # as for any later window


async def test_a_reward_that_turned_up_behind_what_is_remembered_is_there_from_when_it_was_due(log, account, clock):
    await log.append_observation(observation("known", at=clock.now()))
    clock.pass_(100)
    await log.reports(T0, after(50), set())
    await new_log(account, SetClock(after(10))).append_observation(observation("late", at=after(10)))
    due = [head async for minute in log.observation_heads(T0, after(50)) for head in minute]
    assert (await log.reports(T0, after(50), {"known", "late"}, due=due)).of.keys() == {"known", "late"}
    assert (await log.reports(T0, after(50), {"known", "late"})).of.keys() == {"known", "late"}


async def test_stragglers_more_than_an_hour_apart_do_not_hide_what_was_sealed_between_them(log, clock):
    for seconds in (0, 3650, 3680, 3710):
        clock.at = after(seconds)
        await log.append_decision(decision(f"e{seconds}", at=clock.now()))
    heads = [head async for minute in log.decision_heads(T0, after(3720)) for head in minute]
    opened = Opened(after(3700), after(3720), await log.decisions([heads[0], heads[1], heads[3]]))
    everything = marks("e0", "e3650", "e3680", "e3710")
    assert (await log.sightings(T0, after(3720), everything, opened=opened)).keys() == everything


async def test_what_was_opened_is_not_read_again(new_account, clock):
    with StorageProxy(new_account()) as proxy:
        account = opened(proxy.connection_string)
        log = new_log(account, clock)
        await log.append_decision(decision("e1", at=clock.now()))
        heads = [head async for minute in log.decision_heads(T0, after(1)) for head in minute]
        known = Opened(T0, after(1), await log.decisions(heads))
        proxy.forget()
        assert (await log.sightings(T0, after(1), marks("e1"), opened=known)).keys() == marks("e1")
        assert proxy.calls == []
        await account.close()


async def test_what_is_remembered_is_what_would_be_read(account, log, clock):
    """A warm reader sees what a cold one sees, however often and from wherever it looks."""
    names = {f"e{number}" for number in range(12)}
    for number in range(12):
        clock.pass_(20)
        await log.append_observation(observation(f"e{number}", at=clock.now()))
        since, until = clock.now() - timedelta(seconds=60), clock.now() + timedelta(seconds=1)
        warm = await log.reports(since, until, names)
        cold = await new_log(account, clock).reports(since, until, names)
        assert warm == cold
        assert len(cold.of) == min(number + 1, 4)


async def test_what_is_there_for_good_is_not_read_again(proxied, clock):
    log, proxy = proxied
    await log.append_observation(observation(at=clock.now()))
    clock.pass_(SETTLED.total_seconds() + 60)
    await log.reports(T0, clock.now(), set())
    proxy.forget()
    clock.pass_(1)
    assert len((await log.reports(T0, clock.now(), {"e1"})).of) == 1
    assert len(proxy.calls) == 1  # the end of the log only


async def test_a_segment_that_does_not_verify_is_set_aside_and_the_rest_is_read(log, account, clock):
    await log.append_decision(decision("damaged"))
    clock.pass_(1)
    await log.append_decision(decision("whole"))
    await put_rows(account, TABLE, [{**await first_row(account, TABLE), "Payload00": b"nonsense"}])
    heads = [head async for minute in log.decision_heads(T0, after(10)) for head in minute]
    segments = await log.decisions(heads)
    assert [None if s.events is None else s.events[0].event_id for s in segments] == [None, "whole"]
    kept = await listed(account, LOGS)
    assert [name.split("/")[:3] for name in kept] == [["loops", "default", "quarantine"]]


async def test_a_segment_of_a_later_release_stops_the_reader(log, account):
    await log.append_decision(decision())
    row = await first_row(account, TABLE)
    await put_rows(account, TABLE, [{**row, "RowKey": row["RowKey"].replace("-000001-2-1-0-", "-000002-99-{}")}])
    with pytest.raises(NewerFormatError, match=r"version 99.*upgrade"):
        await decided(log)
    with pytest.raises(NewerFormatError):
        await log.sightings(T0, after(1), marks("e1"))


async def test_a_segment_that_holds_less_than_its_name_says_is_set_aside(log, account):
    await log.append_decision(decision())
    row = await first_row(account, TABLE)
    await put_rows(account, TABLE, [{**row, "RowKey": row["RowKey"].replace("-000001-2-1-0-", "-000001-2-2-0-")}])
    heads = [head async for minute in log.decision_heads(T0, after(10)) for head in minute]
    assert [s.events and len(s.events) for s in await log.decisions(heads)] == [1, None]


async def test_listing_and_sighting_do_not_transfer_what_is_in_the_segments(proxied):
    log, proxy = proxied
    noise = random.Random(5)
    await asyncio.gather(*(log.append_decision(replace(decision(f"e{n}"), situation=noise.randbytes(60_000))) for n in range(20)))
    proxy.forget()
    heads = [head async for minute in log.decision_heads(T0, after(1)) for head in minute]
    assert sum(head.count for head in heads) == 20
    assert len(await log.sightings(T0, after(1), marks(*(f"e{n}" for n in range(20))))) == 20
    assert 0 < proxy.answered_bytes < 10_000


async def test_what_is_appended_together_is_in_one_row(log):
    slots = [[decision(f"e{n}", slot=f"s{m}") for m in range(3)] for n in range(50)]
    rewards = [[observation(f"e{n}", slot=f"s{m}") for m in range(2)] for n in range(50)]
    await asyncio.gather(*map(log.append_decisions, slots), *map(log.append_observations, rewards))
    opened = await log.decisions([head async for minute in log.decision_heads(T0, after(1)) for head in minute])
    observed = await log.observations([head async for minute in log.observation_heads(T0, after(1)) for head in minute])
    for together, segments in ((slots, opened), (rewards, observed)):
        rows = [list(segment.events or ()) for segment in segments]
        assert [event for row in rows for event in row] == [event for each in together for event in each]
        assert not [each for each in together if not any(set(each) <= set(row) for row in rows)]


async def test_slots_too_large_for_one_row_with_others_leave_in_one_of_their_own(log):
    """Both fit by themselves, and would be cut in two if their rows were cut by number of events."""
    noise = random.Random(5)
    large = [[replace(decision(f"e{n}", slot=f"s{m}"), situation=noise.randbytes(80_000)) for m in range(5)] for n in range(3)]
    await asyncio.gather(*map(log.append_decisions, large))
    heads = [head async for minute in log.decision_heads(T0, after(1)) for head in minute]
    assert [head.count for head in heads] == [5, 5, 5]


async def test_slots_that_cannot_be_stored_together_are_refused_and_none_is_stored(log):
    noise = random.Random(5)
    with pytest.raises(EventTooLargeError):
        await log.append_decisions([replace(decision(slot=f"s{n}"), situation=noise.randbytes(80_000)) for n in range(20)])
    assert await decided(log) == []


async def test_the_slots_of_an_event_are_sighted_apart(log):
    await log.append_decisions([decision("x", slot="s1"), decision("x", slot="s2")])
    await log.append_decision(decision("x"))
    heads = [head async for minute in log.decision_heads(T0, after(1)) for head in minute]
    wanted = marks("x", ("x", "s1"), ("x", "s2"), ("x", "s3"))
    read = await log.sightings(T0, after(1), wanted)
    assert {mark: len(found) for mark, found in read.items()} == dict.fromkeys(marks("x", ("x", "s1"), ("x", "s2")), 1)
    assert await log.sightings(T0, after(1), wanted, opened=Opened(T0, after(1), await log.decisions(heads))) == read


async def test_days_are_dropped_whole_and_tomorrow_is_made_ahead(log, clock):
    await log.append_decision(decision("old"))
    clock.pass_(86_400)
    await log.append_decision(decision("new", at=clock.now()))
    await log.create_tables(clock.now() + timedelta(days=1))
    assert await log.drop_tables(before=clock.now()) == 1
    assert await decided(log) == ["new"]
    assert sorted({table.day.day for table in await log.day_tables()}) == [18, 19]


@pytest.fixture
async def proxied(new_account, clock):
    with StorageProxy(new_account()) as proxy:
        account = opened(proxy.connection_string)
        yield new_log(account, clock), proxy
        await account.close()
