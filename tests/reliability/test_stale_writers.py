"""A writer that has not heard that the log was deleted loses nothing that it acknowledges, whenever it writes."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta

import pytest

from shared.domain.errors import BusyError, StorageUnavailableError
from shared.domain.ledger import COMMIT_WITHIN, Pointer
from shared.runtime.settings import read_settings
from shared.storage.epochs import Hearing
from shared.storage.event_log import FollowedFeed, TableEventLog
from shared.storage.polling import BlobModelFeed
from tests.builders import T0, decision
from tests.clocks import SetClock
from tests.processes import Process
from tests.reliability.world import LOOP, SETTLED_FOR, event_log
from tests.storage_proxy import Call, Fault, StorageProxy

OLD = f"{LOOP.name}x0001"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(T0)


@pytest.fixture
async def one(faulty, clock):
    """The process that deletes and clears up, by way of the proxy."""
    process = Process(faulty, clock)
    yield process
    process.models.stop()


async def rank(log: TableEventLog, clock: SetClock, event_id: str) -> str:
    await log.append_decision(decision(event_id, at=clock.now()))
    return event_id


def drops(call: Call) -> bool:
    return call.method == "DELETE" and OLD in call.path


def moves(call: Call) -> bool:
    return call.method == "PUT" and f"{LOOP.name}x0002" in call.path


def meanwhile(proxy: StorageProxy, act: Callable[[], Coroutine[None, None, object]], *, at: Callable[[Call], bool]) -> None:
    """Do something the first time such a call comes by, before it is let through."""
    loop, is_done = asyncio.get_running_loop(), False

    def plan(call: Call) -> Fault | None:
        nonlocal is_done
        if not is_done and at(call):
            is_done = True
            asyncio.run_coroutine_threadsafe(act(), loop).result(20)
        return None

    proxy.plan = plan


@pytest.mark.parametrize("at", [moves, drops], ids=["before a row is moved", "before the table is dropped"])
async def test_what_a_stale_writer_stores_while_tables_are_cleared_is_kept(proxy, account, one, clock, at):
    """It was cut off from the pointer all the while, and comes back just then: its table is still there."""
    stale = event_log(account, clock)
    await rank(stale, clock, "old")
    clock.pass_(1)
    await one.logs.delete()
    await rank(stale, clock, "meanwhile")
    assert stale.epoch.generation == 1
    clock.pass_(SETTLED_FOR.total_seconds() + 1)
    meanwhile(proxy, lambda: rank(stale, clock, "late"), at=at)
    await one.retention.run()
    assert not [name for name in await one.tables() if name.startswith(OLD)]
    assert sorted(await one.logged()) == ["late", "meanwhile"]
    assert stale.epoch.generation == 2


async def test_who_heard_lately_writes_without_asking_and_who_did_not_asks_once(proxy, faulty, clock):
    log = event_log(faulty, clock)
    await rank(log, clock, "first")
    for passed, asked in [(1, 0), (14, 0), (1, 1), (15, 0), (0.1, 1), (3_600, 1), (-5, 1)]:
        clock.pass_(passed)
        proxy.forget()
        await rank(log, clock, f"after {passed}")
        assert [call.method for call in proxy.calls] == ["GET"] * asked + ["PUT"], passed


async def test_polling_saves_asking_though_there_is_nothing_new(proxy, faulty, one, clock):
    await one.rank("e1")
    clock.pass_(30)
    await one.train()
    log = event_log(faulty, clock)
    feed = FollowedFeed(BlobModelFeed(faulty, loop=LOOP.name), log)
    for number in range(4):
        clock.pass_(3_600)
        assert (await asyncio.to_thread(feed.news) is None) is (number > 0)
        clock.pass_(14)
        proxy.forget()
        await rank(log, clock, f"e{number}")
        assert [call.method for call in proxy.calls] == ["PUT"]


async def test_polling_that_gets_no_answer_saves_nothing(proxy, faulty, clock):
    log = event_log(faulty, clock)
    feed = FollowedFeed(BlobModelFeed(faulty, loop=LOOP.name), log)
    await rank(log, clock, "first")
    clock.pass_(60)
    proxy.plan = lambda call: Fault(403) if call.path.endswith("pointer.json") else None
    with pytest.raises(StorageUnavailableError):
        await asyncio.to_thread(feed.news)
    with pytest.raises(StorageUnavailableError):
        await rank(log, clock, "not stored")
    proxy.plan = lambda call: None
    assert [event.event_id for event in await stored(log)] == ["first"]
    await rank(log, clock, "stored")
    assert [event.event_id for event in await stored(log)] == ["first", "stored"]


async def stored(log: TableEventLog) -> list:
    heads = [head async for minute in log.decision_heads(T0, T0 + timedelta(days=1)) for head in minute]
    return [event for segment in await log.decisions(heads) for event in segment.events or ()]


async def test_an_append_waits_for_the_pointer_no_longer_than_for_its_row(proxy, faulty, clock):
    log = event_log(faulty, clock, deadline=0.5)
    proxy.plan = lambda call: Fault(503, delay=8) if call.path.endswith("pointer.json") else None
    begun = asyncio.get_running_loop().time()
    with pytest.raises(StorageUnavailableError):
        await rank(log, clock, "not stored")
    assert asyncio.get_running_loop().time() - begun < 3


async def test_a_pointer_that_a_later_release_wrote_stops_no_writer(one, account, clock):
    await one.rank("e1")
    clock.pass_(30)
    await one.train()
    blob = account.blobs.get_blob_client("personalizer-models", f"loops/{LOOP.name}/pointer.json")
    await blob.upload_blob(b'{"format": 99}', overwrite=True)
    clock.pass_(60)
    log = event_log(account, clock)
    await rank(log, clock, "e2")
    assert "e2" in [event.event_id for event in await stored(log)]


async def test_a_deletion_that_takes_too_long_after_its_cut_is_not_made(one, clock, monkeypatch):
    """Who writes by what was heard just before its commit would be waited for too short."""
    await one.rank("kept")
    read: Callable[[], Awaitable[tuple[Pointer, str] | None]] = one.store.pointer

    async def slowly() -> tuple[Pointer, str] | None:
        clock.pass_(COMMIT_WITHIN.total_seconds() - 20)
        return await read()

    monkeypatch.setattr(one.store, "pointer", slowly)
    with pytest.raises(BusyError, match="slow"):
        await one.logs.delete()
    assert await one.logged() == ["kept"]


@pytest.mark.parametrize("interval", ["PT0.1S", "PT15S", "PT1H"])
@pytest.mark.parametrize("grace", ["PT0S", "PT30S", "PT5M"])
def test_tables_are_dropped_only_when_nobody_can_write_to_them_any_more(interval, grace):
    named = {"PERSONALIZER_MODEL_POLL_INTERVAL": interval, "PERSONALIZER_INGEST_GRACE": grace, "PERSONALIZER_KEYS": "k"}
    settings = read_settings({"AzureWebJobsStorage": "UseDevelopmentStorage=true", **named})
    assert settings.asks_after > settings.model_poll_interval
    assert settings.settled_for >= settings.asks_after + settings.append_deadline + COMMIT_WITHIN


def test_what_was_heard_is_old_by_the_clock_or_by_the_seconds_that_passed():
    clock, seconds = SetClock(T0), [0.0]
    hearing = Hearing(clock, monotonic=lambda: seconds[0])
    age = timedelta(seconds=15)
    assert hearing.is_older_than(age)
    hearing.note(hearing.now())
    assert not hearing.is_older_than(age)
    clock.pass_(16)  # the machine slept
    assert hearing.is_older_than(age)
    clock.pass_(-17)  # the clock was set back
    assert hearing.is_older_than(age)
    clock.pass_(2)
    assert not hearing.is_older_than(age)
    seconds[0] = 16.0  # and again, while time passed
    assert hearing.is_older_than(age)
    early = hearing.now()
    seconds[0] = 20.0
    hearing.note(hearing.now())
    hearing.note(early)  # an answer that was overtaken
    seconds[0] = 34.0
    assert not hearing.is_older_than(age)
